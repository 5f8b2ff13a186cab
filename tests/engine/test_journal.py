"""The journal in words: what `why` prints of each event."""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast.core.faults import Fault, FaultClass, Phase
from holdfast.core.identity import Auth, Connection, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.core.steps import Attempt
from holdfast.engine.journal import attempt_event, why
from holdfast.store.journal_events import (
    KINDS,
    AnswerTruncated,
    Attempted,
    ChoiceAnswers,
    Detail,
    Event,
    FellBack,
    FormerNameUsed,
    KeyChanged,
    KeysRelabelled,
    ModelDiffered,
    ProviderRenamed,
    ProvisioningChanged,
    RefusedElsewhere,
    RequestGivenUp,
    RequestRefused,
    RequestTranslated,
    ReturnedToChoice,
    SessionCreated,
    SessionHealed,
    SessionRemoved,
    SessionResumed,
    SessionSwitched,
    UnknownEvent,
    UsageCounted,
)
from tables import rows

C = FaultClass
NOW = 1_772_460_000.0
NAME = ProviderName("mimo-plan")
KEY = Key(NAME, "a", "env:MIMO_KEY")
CONNECTION = Connection(
    Provider(NAME, (Endpoint("https://plan.example/v1"),), (KEY,)), Dialect.OPENAI_CHAT, KEY, "mimo-pro"
)
KEYLESS = Connection(
    Provider(ProviderName("den"), (Endpoint("http://127.0.0.1:8080/v1", auth=Auth.NONE),)),
    Dialect.OPENAI_CHAT,
    None,
    "llama",
)


def clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


PIN = "mimo-plan/mimo-pro"
UNREAD = Fault(C.AUTH_REJECTED, phase=Phase.UNSENT, sent=False)
JOURNAL: list[tuple[Detail, str, str]] = [
    (SessionCreated(), PIN, "created on mimo-plan/mimo-pro"),
    (SessionCreated(key="a", project="/p"), PIN, "created on mimo-plan/mimo-pro (key: a, project: /p)"),
    (SessionResumed(), PIN, "resumed on mimo-plan/mimo-pro"),
    (SessionSwitched(before="router/x"), PIN, "switched by its user from router/x to mimo-plan/mimo-pro"),
    (
        RequestRefused(C.QUOTA_WINDOW, "team", NOW + 600),
        PIN,
        (
            f"nothing sent on {PIN} with key 'team': its last failure, quota_window, still applies "
            "(until: 14:10:00)"
        ),
    ),
    (
        RequestRefused(C.BLOCKED, "", None),
        PIN,
        f"nothing sent on {PIN} with no key: its last failure, blocked, still applies",
    ),
    (
        FellBack("transient", NOW + 600),
        "router/x",
        "fell back to router/x until 14:10:00, because of transient",
    ),
    (
        FellBack("", None),
        "router/x",
        "fell back to router/x until (not recorded), because of (not recorded)",
    ),
    (
        ChoiceAnswers(),
        PIN,
        "mimo-plan/mimo-pro answers again, tested in the background: the next turn goes there",
    ),
    (ReturnedToChoice(), PIN, "returned to mimo-plan/mimo-pro"),
    (KeyChanged("a"), PIN, "the value of key 'a' changed"),
    (
        AnswerTruncated(C.TRANSIENT, "truncated", ""),
        PIN,
        "the answer broke off after part of it had reached the client: transient (cause: truncated)",
    ),
    (RequestGivenUp("the deadline of 5 s is over"), PIN, "given up: the deadline of 5 s is over"),
    (SessionHealed(before="", more=(("row", 7),)), PIN, "healed: now on mimo-plan/mimo-pro (row: 7)"),
    (ProviderRenamed(before=""), PIN, "renamed from (not recorded) to mimo-plan/mimo-pro"),
    (SessionRemoved(), PIN, "removed"),
    (
        FormerNameUsed("m", "router/m"),
        PIN,
        "asked for 'm': a name of its former choice router/m, so mimo-plan/mimo-pro is meant",
    ),
    (RefusedElsewhere(), PIN, "its token was presented to another gateway than its own, which refused it"),
    (ModelDiffered("glm-5", "glm-4"), PIN, "another model answered than the one chosen: glm-4 for glm-5"),
    (
        RequestTranslated("openai-responses", "openai-chat", "web_search,cache_control"),
        PIN,
        "translated from openai-responses to openai-chat (less: web_search,cache_control)",
    ),
    (ProvisioningChanged("ready", "", ""), "mimo-plan", "setting up mimo-plan: ready"),
    (UsageCounted({"input": 12, "output": 34}), PIN, "the provider counted 12 input, 34 output tokens"),
    (
        KeysRelabelled(before="k1", key="file-1a2b3c4d"),
        PIN,
        "its keys are no longer called by their position (before: k1, key: file-1a2b3c4d)",
    ),
    (
        UnknownEvent("of-tomorrow", {"a": 1}),
        PIN,
        "an event that this version does not know: of-tomorrow (a: 1)",
    ),
    (
        Attempted(0, "a", "https://x.example/v1", None, 0.0, fault=UNREAD, then="went on with key 'b'"),
        PIN,
        "key 'a' could not be read, nothing was sent to x.example; went on with key 'b'",
    ),
    (
        Attempted(0, None, "", None, None),
        PIN,
        "attempt (not recorded): no key at (not recorded): answered in (not recorded)",
    ),
    (
        Attempted(1, "a", "https://x.example/v1", None, 1.0, more=(("dialect", "telex"),)),
        PIN,
        "attempt 1: key 'a' at x.example: answered in 1 s (dialect: telex)",
    ),
]


@rows(("detail", "pin", "text"), JOURNAL, ids=[type(row[0]).__name__ for row in JOURNAL])
def test_each_event_of_the_journal_is_one_sentence(detail: Detail, pin: str, text: str) -> None:
    assert why([Event(NOW, detail, "issue-42", pin=pin)], clock=clock) == [f"14:00:00  {text}"]


def test_every_kind_of_event_has_its_sentence() -> None:
    assert {type(row[0]) for row in JOURNAL} == {*KINDS, UnknownEvent}


def test_the_attempts_of_a_request_read_in_order() -> None:
    refused = Fault(C.AUTH_REJECTED, status=401)
    cut = Fault(C.TRANSIENT, phase=Phase.CONNECT)
    log = [
        Attempt(
            1,
            CONNECTION,
            NOW,
            NOW + 0.25,
            refused,
            then="asked again after 0.5 s: this key worked here before",
        ),
        Attempt(2, CONNECTION, NOW + 1, NOW + 1.1, refused, probe=True),
        Attempt(3, KEYLESS, NOW + 2, NOW + 2.3, cut, then="tried again after 0.1 s"),
        Attempt(4, KEYLESS, NOW + 3, NOW + 4),
    ]
    assert why([attempt_event(attempt, "issue-42", "hf_1") for attempt in log], clock=clock) == [
        (
            "14:00:00  attempt 1: key 'a' at plan.example: auth_rejected (HTTP 401) in 0.2 s; asked again "
            "after 0.5 s: this key worked here before"
        ),
        "14:00:01  attempt 2: test of key 'a' at plan.example: auth_rejected (HTTP 401) in 0.1 s",
        "14:00:02  attempt 3: no key at 127.0.0.1:8080: transient in 0.3 s; tried again after 0.1 s",
        "14:00:03  attempt 4: no key at 127.0.0.1:8080: answered in 1 s",
    ]


def test_without_a_clock_the_journal_is_shown_in_utc() -> None:
    assert why([Event(NOW, SessionRemoved(), "issue-42")]) == ["2026-03-02 14:00:00 UTC  removed"]
