"""Sessions, events, errors, evidence, the catalogue and the gate: what each promises."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf

import pytest

from holdfast.config.catalog import options
from holdfast.core.changes import (
    NO_KEY,
    Cooldown,
    CooldownStarted,
    Evidence,
    KeyFailed,
    KeySucceeded,
    refuted,
    subject,
    subject_prefixes,
)
from holdfast.core.compatibility import dialect_for
from holdfast.core.config import Config, ModelFacts
from holdfast.core.errors import (
    CannotHandOver,
    ConfigError,
    ConnectionLost,
    HoldfastError,
    IdentityError,
    Problem,
    SecretMissing,
)
from holdfast.core.faults import Confidence, Fault, FaultClass, Origin, Phase, Scope
from holdfast.core.health import HealthRegistry
from holdfast.core.identity import Auth, Dialect, Endpoint, Pin, Provider, ProviderName, Translates
from holdfast.core.recovery_policy import (
    FINAL,
    NEVER_WORKED,
    NO_KEY_SENT,
    ONCE_MORE,
    RULES,
    UNKNOWN_ANSWER,
    Failure,
    rule_for,
    verdict,
)
from holdfast.core.retry_budget import Bucket
from holdfast.core.routes import FallbackChain
from holdfast.core.session import ActiveFallback, Session
from holdfast.core.steps import Attempt, Refused
from holdfast.engine.journal import attempt_event
from holdfast.store.journal_events import Attempted
from holdfast.store.stored_faults import dump_fault, load_fault
from holdfast.wire.answered_model import same_model
from world import CHAT, key, provider, route

MIMO = provider("mimo", "a")
CONNECTION = route(MIMO).connection
URL = CONNECTION.endpoint.url
PIN = Pin.parse("mimo/m1")


# -- session
# ------------------------------------------------------------------------------------------------------------


def test_a_choice_takes_nothing_of_the_old_one_along() -> None:
    old = Session("s", PIN, "b", ActiveFallback(Pin.parse("r/m"), "why", 9.0), "b", 1.0, 1.0, 3)
    assert old.choose(Pin.parse("x/y"), 5.0) == Session(
        "s", Pin.parse("x/y"), created_at=1.0, changed_at=5.0, version=4, former=(PIN,)
    )


def test_an_active_fallback_ends_by_itself() -> None:
    chain = FallbackChain(PIN, (Pin.parse("r/m"),), return_after=600.0)
    session = Session("s", PIN, active_fallback=ActiveFallback(Pin.parse("r/m"), "why", 900.0))
    assert session.fallback_in_force(chain, 899.9) == session.active_fallback
    assert session.fallback_in_force(chain, 900.0) is None
    assert Session("s", PIN).fallback_in_force(chain, 0.0) is None


def test_a_fallback_that_no_line_of_the_configuration_allows_is_not_in_force() -> None:
    chain = FallbackChain(PIN, (Pin.parse("r/m"),), return_after=600.0)
    session = Session("s", PIN, active_fallback=ActiveFallback(Pin.parse("r/m"), "why", 900.0))
    assert session.fallback_in_force(chain, 240.0) is not None, "clocks may differ by a minute"
    assert session.fallback_in_force(chain, 239.0) is None, "the clock was set back"
    assert session.fallback_in_force(None, 800.0) is None
    assert session.fallback_in_force(replace(chain, then=(Pin.parse("r/n"),)), 800.0) is None


def test_a_turn_is_waited_for_ten_minutes_after_its_session_could_have_returned() -> None:
    active_fallback = ActiveFallback(Pin.parse("q/n"), "transient", 1_000.0)
    assert [
        active_fallback.waits_for_turn(now, 300.0, checked=False) for now in (1_000.0, 1_599.0, 1_600.0)
    ] == [True, True, False]
    assert [
        active_fallback.waits_for_turn(now, 300.0, checked=True) for now in (1_000.0, 1_899.0, 1_900.0)
    ] == [True, True, False]
    assert [active_fallback.is_released(now, 300.0) for now in (1_299.0, 1_300.0)] == [False, True]
    released = active_fallback.released(500.0, 300.0)
    assert released.is_released(500.0, 300.0)
    assert [released.waits_for_turn(now, 300.0, checked=True) for now in (500.0, 1_099.0, 1_100.0)] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("session_id", ["", " a", "a b", "a/b", "../x", "a" * 129, "a\n"])
def test_an_id_that_could_be_misread_in_a_path_is_refused(session_id: str) -> None:
    with pytest.raises(IdentityError, match="session id"):
        Session(session_id, PIN)


# -- events
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultClass.UNKNOWN),
        Fault(
            FaultClass.QUOTA_WINDOW,
            Scope.ACCOUNT,
            Origin.UPSTREAM,
            Phase.PRE_OUTPUT,
            429,
            True,
            False,
            1.5,
            99.0,
            Confidence.CODE,
            ("a", "b"),
            "c",
            "h",
            "p",
            "r",
            "e",
            True,
        ),
    ],
)
def test_a_fault_comes_back_from_the_journal_as_it_was(fault: Fault) -> None:
    assert load_fault(json.loads(json.dumps(dump_fault(fault)))) == fault


def test_an_attempt_is_kept_without_what_could_be_derived_or_must_not_be_kept() -> None:
    good = attempt_event(Attempt(1, CONNECTION, 10.0, 10.5), "s", "r")
    assert (good.at, good.session, good.request, good.pin) == (10.0, "s", "r", "mimo/m1")
    assert good.detail == Attempted(number=1, key="a", url=URL, dialect=CHAT, seconds=0.5)
    refused = Attempt(
        2, route(provider("local")).connection, 1.0, 2.0, Fault(FaultClass.BLOCKED), True, "gave up"
    )
    bad = attempt_event(refused, "s", "r").detail
    assert (bad.fault, bad.probe, bad.then, bad.key) == (Fault(FaultClass.BLOCKED), True, "gave up", None)
    assert bad.attempt(refused.connection, 1.0) == refused


# -- errors
# ------------------------------------------------------------------------------------------------------------


def test_every_error_of_ours_ends_with_the_command_to_run() -> None:
    error = ConfigError(
        "two things are wrong",
        problems=[Problem("a.b", "bad", "fix it", "f.toml:3"), Problem("c", "worse")],
        next_step="holdfast doctor",
    )
    assert (
        str(error)
        == "two things are wrong\n  f.toml:3: a.b: bad\n    fix it\n  c: worse\n  run: holdfast doctor"
    )
    assert (
        str(SecretMissing("no key", tried=["env:X: not set"], next_step="x"))
        == "no key\n  tried env:X: not set\n  run: x"
    )
    assert str(ConnectionLost("gone", candidates=["a/b"], next_step="x")) == "gone\n  could be: a/b\n  run: x"
    assert str(HoldfastError("plain")) == "plain"


def test_errors_carry_their_facts_and_their_exit_code() -> None:
    fault = Fault(FaultClass.BLOCKED)
    refused = Refused("no", fault=fault, attempts=[Attempt(1, CONNECTION, 0, 1, fault)])
    assert (refused.fault, len(refused.attempts), refused.exit_code) == (fault, 1, 4)
    assert [
        error.exit_code
        for error in (HoldfastError, ConfigError, IdentityError, SecretMissing, ConnectionLost, Refused)
    ] == [1, 2, 2, 2, 3, 4]


# -- evidence
# ------------------------------------------------------------------------------------------------------------


def test_evidence_is_known_good_for_some_days_only() -> None:
    evidence = Evidence("f", URL, 0.0, 1000.0)
    assert evidence.known_good(1000.0 + 86400 * 7, 7)
    assert not evidence.known_good(1001.0 + 86400 * 7, 7)
    assert not Evidence("f", URL).known_good(0.0, 7)


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        (Scope.KEY, f"key:f@{URL}"),
        (Scope.ACCOUNT, f"account:mimo:team@{URL}"),
        (Scope.KEY_MODEL, f"key:f@{URL}#m1"),
        (Scope.MODEL, f"model:m1@{URL}"),
        (Scope.ENDPOINT, f"endpoint:{URL}"),
        (Scope.REQUEST, ""),
        (Scope.CLIENT, ""),
    ],
)
def test_a_verdict_names_exactly_what_it_is_about(scope: Scope, name: str) -> None:
    assert subject(scope, "f", route(provider("mimo", keys=(key("mimo", "a", "team"),))).connection) == name


def test_without_an_account_a_verdict_on_the_account_is_one_on_the_key() -> None:
    assert subject(Scope.ACCOUNT, "f", CONNECTION) == f"key:f@{URL}"


@pytest.mark.parametrize(
    ("fingerprint", "owner", "account", "scopes"),
    [
        ("f", "mimo", "team", {Scope.KEY, Scope.KEY_MODEL, Scope.ACCOUNT}),
        ("f", "mimo", None, {Scope.KEY, Scope.KEY_MODEL}),
        ("f", "mimo", "tea", {Scope.KEY, Scope.KEY_MODEL}),
        ("f", "mim", "team", {Scope.KEY, Scope.KEY_MODEL}),
        ("other", "mimo", "team", {Scope.ACCOUNT}),
        (None, "mimo", "team", {Scope.ACCOUNT}),
        (None, "mimo", None, set()),
        ("ff", "mimo", "", set()),
    ],
)
def test_what_is_about_a_key_or_its_account_is_known_by_how_its_name_begins(
    fingerprint: str | None, owner: str, account: str | None, scopes: set[Scope]
) -> None:
    shared = route(provider("mimo", keys=(key("mimo", "a", "team"),))).connection
    prefixes = subject_prefixes(fingerprint, key(owner, "b", account))
    assert {scope for scope in Scope if subject(scope, "f", shared).startswith(prefixes)} == scopes


def test_a_key_without_an_account_shares_no_verdict_with_an_account_of_any_name() -> None:
    other = route(provider("mimo", keys=(key("mimo", "a", "None"),))).connection
    name = subject(Scope.ACCOUNT, "f", other)
    assert not name.startswith(subject_prefixes("other", key("mimo", "b")))


def cooldown(scope: Scope, until: float, fingerprint: str = "f") -> Cooldown:
    return Cooldown(
        subject(scope, fingerprint, CONNECTION), until, 1.0, 0, Fault(FaultClass.QUOTA_EXHAUSTED, scope)
    )


def test_the_verdict_that_matters_is_the_hard_one_that_lasts_longest() -> None:
    health = HealthRegistry(
        [], [cooldown(Scope.ENDPOINT, 900.0), cooldown(Scope.KEY, 50.0), cooldown(Scope.KEY_MODEL, 70.0)]
    )
    verdict = health.cooldown("f", CONNECTION)
    assert verdict is not None
    assert (verdict.until, verdict.hard) == (70.0, True)
    soft = health.cooldown("g", CONNECTION)
    assert soft is not None
    assert not soft.hard
    assert HealthRegistry().cooldown("f", CONNECTION) is None


def test_a_good_answer_refutes_every_verdict_it_contradicts() -> None:
    shared = route(provider("mimo", keys=(key("mimo", "a", "team"),))).connection
    verdicts = [
        Cooldown(subject(scope, "f", shared), 99.0, 1.0, 0, Fault(FaultClass.QUOTA_EXHAUSTED, scope))
        for scope in Scope
        if subject(scope, "f", shared)
    ]
    health = HealthRegistry([], [*verdicts, cooldown(Scope.KEY, 99.0, "other")])
    change = KeySucceeded("f", URL, "m1", "mimo:team", 5.0, True)
    health.apply(change)
    assert health.cooldown("f", shared) is None
    assert health.cooldown("other", CONNECTION) is not None
    assert len(refuted(change)) == 5
    assert len(refuted(change._replace(account=""))) == 4


def test_a_success_seen_here_survives_an_older_one_from_the_store() -> None:
    health = HealthRegistry([Evidence("f", URL, 1.0, 10.0)], [])
    health.apply(KeySucceeded("f", URL, "m1", "", 50.0, False))
    health.load([Evidence("f", URL, 1.0, 10.0, FaultClass.AUTH_REJECTED, 40.0)], [])
    assert health.evidence("f", CONNECTION.endpoint).last_ok == 50.0
    assert health.evidence("f", CONNECTION.endpoint).stored_ok == 10.0
    health.load([], [])
    assert health.evidence("f", CONNECTION.endpoint) == Evidence("f", URL)


def test_a_key_is_suspect_after_it_was_refused_until_it_works() -> None:
    health = HealthRegistry([Evidence("f", URL, 1.0, 10.0)], [])
    health.apply(KeyFailed("f", URL, FaultClass.AUTH_REJECTED, 20.0))
    assert health.evidence("f", CONNECTION.endpoint).suspect
    health.apply(KeySucceeded("f", URL, "m1", "", 21.0, True))
    assert not health.evidence("f", CONNECTION.endpoint).suspect


def test_the_host_where_a_key_works_is_known_from_evidence_alone() -> None:
    health = HealthRegistry(
        [
            Evidence("f", "https://plan.example/v1", 1.0, 10.0),
            Evidence("f", "https://older.example/v1", 1.0, 5.0),
            Evidence("f", URL, 1.0, 99.0),
        ],
        [],
    )
    assert health.works_elsewhere("f", CONNECTION.endpoint) == "https://plan.example/v1"
    assert health.works_elsewhere("g", CONNECTION.endpoint) is None


def test_a_retry_budget_refills_slowly_and_never_beyond_its_size() -> None:
    bucket = Bucket()
    assert [bucket.take(100.0) for _ in range(11)] == [True] * 10 + [False]
    assert not bucket.take(109.0)
    assert bucket.take(111.0)
    for _ in range(5):
        bucket.succeed()
    assert bucket.take(111.0)
    full = Bucket()
    full.succeed()
    assert [full.take(0.0) for _ in range(11)].count(True) == 10


# -- recovery
# ------------------------------------------------------------------------------------------------------------


def test_every_class_has_its_row() -> None:
    assert set(RULES) == set(FaultClass)


@pytest.mark.parametrize(
    ("fault", "worked", "rule"),
    [
        (Fault(FaultClass.AUTH_REJECTED, sent=False), True, NO_KEY_SENT),
        (Fault(FaultClass.AUTH_REJECTED, terminal=True, confidence=Confidence.CODE), True, FINAL),
        (
            Fault(FaultClass.AUTH_REJECTED, terminal=True, confidence=Confidence.TEXT),
            True,
            RULES[FaultClass.AUTH_REJECTED],
        ),
        (Fault(FaultClass.AUTH_REJECTED), False, NEVER_WORKED),
        (Fault(FaultClass.AUTH_REJECTED), True, RULES[FaultClass.AUTH_REJECTED]),
        (Fault(FaultClass.UNKNOWN, status=599), False, UNKNOWN_ANSWER),
        (Fault(FaultClass.UNKNOWN, status=200), False, UNKNOWN_ANSWER),
        (Fault(FaultClass.UNKNOWN, status=418), False, RULES[FaultClass.UNKNOWN]),
        (Fault(FaultClass.TRANSIENT, maybe_processed=True), False, ONCE_MORE),
    ],
)
def test_which_row_governs_depends_on_what_is_known(fault: Fault, worked: bool, rule: object) -> None:
    assert rule_for(fault, worked_here=worked) is rule


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault(FaultClass.QUOTA_EXHAUSTED, confidence=Confidence.CODE), 3600),
        (Fault(FaultClass.QUOTA_EXHAUSTED, confidence=Confidence.TEXT), 300),
        (Fault(FaultClass.QUOTA_WINDOW, confidence=Confidence.CODE), 1800),
        (Fault(FaultClass.QUOTA_WINDOW, confidence=Confidence.CODE, retry_after=7200.0), 7200),
        (Fault(FaultClass.QUOTA_WINDOW, confidence=Confidence.CODE, reset_at=1e9), 86400),
        (Fault(FaultClass.QUOTA_WINDOW, confidence=Confidence.TEXT, reset_at=90000.0), 300),
        (Fault(FaultClass.RATE_LIMITED, confidence=Confidence.CODE, retry_after=30.0), 30),
        (Fault(FaultClass.RATE_LIMITED, confidence=Confidence.CODE, retry_after=100.0), 100),
        (Fault(FaultClass.RATE_LIMITED, confidence=Confidence.STATUS), 1),
        (Fault(FaultClass.AUTH_REJECTED, terminal=True, confidence=Confidence.CODE), inf),
    ],
)
def test_how_long_a_verdict_lasts_depends_on_how_strong_its_sign_is(fault: Fault, seconds: float) -> None:
    fault = replace(fault, scope=Scope.KEY)
    failure = Failure(fault, rule_for(fault, worked_here=True), CONNECTION, "f", sent_at=0.0)
    *_, cooled = verdict(failure, HealthRegistry(), 10.0, 0.0)
    assert isinstance(cooled, CooldownStarted)
    assert cooled.cooldown.until - 10.0 == pytest.approx(seconds)


def test_what_speaks_of_one_request_sets_nothing_aside() -> None:
    fault = Fault(FaultClass.QUOTA_EXHAUSTED, Scope.REQUEST, confidence=Confidence.TEXT)
    assert not [
        *verdict(
            Failure(fault, rule_for(fault, worked_here=True), CONNECTION, "f", sent_at=0.0),
            HealthRegistry(),
            10.0,
            0.0,
        )
    ]


def test_a_failure_sent_before_the_last_verdict_adds_nothing_to_it() -> None:
    fault, rule = (
        Fault(FaultClass.QUOTA_EXHAUSTED, Scope.ACCOUNT, confidence=Confidence.CODE),
        RULES[FaultClass.QUOTA_EXHAUSTED],
    )
    health = HealthRegistry([], [cooldown(Scope.KEY, 3600.0)])
    assert not [*verdict(Failure(fault, rule, CONNECTION, "f", sent_at=0.5), health, 10.0, 0.0)]
    assert [*verdict(Failure(fault, rule, CONNECTION, "f", sent_at=1.5), health, 10.0, 0.0)]


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (
            ConnectionLost("it is gone", candidates=["a/m", "b/m"], next_step="x"),
            ["  could be: a/m", "  could be: b/m", "  run: x"],
        ),
        (SecretMissing("no key", tried=["env:A: not set"]), ["  tried env:A: not set"]),
        (
            ConfigError("wrong:", problems=[Problem("p.url", "is no URL", location="f:3")], next_step="x"),
            ["  f:3: p.url: is no URL", "  run: x"],
        ),
        (CannotHandOver("no dialect"), []),
    ],
)
def test_an_error_is_one_sentence_with_its_details_below_it(error: HoldfastError, lines: list[str]) -> None:
    assert str(error).split("\n") == [error.what, *lines]


# -- catalogue and gate
# ----------------------------------------------------------------------------------------------------

BARE = provider("bare", "k", models=())
OPEN = provider("open", "k")
KEYLESS = Provider(ProviderName("keyless"), (Endpoint("https://k.example"),), models=("k1",))
LOCAL = Provider(ProviderName("local"), (Endpoint("http://127.0.0.1:1", auth=Auth.NONE),), models=("l1",))
LISTED = provider("listed", "k", models=("m2", "m1"))
ALL = Config(providers={p.name: p for p in (BARE, OPEN, KEYLESS, LOCAL, LISTED)})


def named(*models: str) -> dict[str, ModelFacts]:
    """Models of a list that says nothing of them."""
    return {model: {} for model in models}


def test_the_picker_offers_declared_and_discovered_models_with_their_connection() -> None:
    offered = options(ALL, {"bare": named("x"), "open": named("o2", "o1"), "listed": named("m1", "m3")})
    assert [(str(o.pin), o.declared) for o in offered] == [
        ("open/o1", False),
        ("open/o2", False),
        ("keyless/k1", True),
        ("local/l1", True),
        ("listed/m2", True),
        ("listed/m1", True),
        ("listed/m3", False),
    ]
    assert {str(o.pin): o.why_not for o in offered if o.why_not} == {
        "keyless/k1": "it has no key (holdfast key add keyless --from env:NAME)"
    }


@pytest.mark.parametrize("name", ["", " padded", "two\nlines", "bell\x07"])
def test_a_listed_name_that_no_pin_can_write_hides_no_other(name: str) -> None:
    assert [o.pin.model for o in options(ALL, {"open": named(name, "o1")}) if o.pin.provider == "open"] == [
        "o1"
    ]


def test_an_option_that_the_reader_cannot_speak_says_why() -> None:
    providers = {name: replace(each, translates=Translates.NEVER) for name, each in ALL.providers.items()}
    offered = options(Config(providers=providers), {}, [Dialect.ANTHROPIC_MESSAGES])
    assert {o.why_not for o in offered} == {"it speaks openai-chat only"}
    assert all(o.dialects == () and o.translated is None for o in offered)


def test_an_option_that_is_translated_for_the_reader_is_at_the_endpoint_of_the_provider() -> None:
    offered = {str(o.pin): o for o in options(ALL, {}, [Dialect.ANTHROPIC_MESSAGES])}
    option = offered["listed/m1"]
    assert (option.dialects, option.translated, option.why_not) == ((), Dialect.ANTHROPIC_MESSAGES, "")
    assert option.endpoint is not None
    assert option.endpoint.dialect is CHAT
    assert offered["keyless/k1"].why_not == "it speaks openai-chat only"


def test_the_dialects_of_an_option_are_in_the_readers_order() -> None:
    both = Provider(
        ProviderName("both"),
        (Endpoint("https://b.example"), Endpoint("https://b.example", Dialect.ANTHROPIC_MESSAGES)),
        (key("both", "k"),),
        models=("m",),
    )
    reader = (Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES, Dialect.OPENAI_CHAT)
    (option,) = options(Config(providers={both.name: both}), {}, reader)
    assert option.dialects == (Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_CHAT)
    assert option.endpoint == both.endpoints[1]


def test_the_gate_decides_by_dialect_alone() -> None:
    both = Provider(
        ProviderName("both"),
        (Endpoint("https://b.example"), Endpoint("https://b.example", Dialect.ANTHROPIC_MESSAGES)),
        (key("both", "k"),),
    )
    assert dialect_for("claude-code", (Dialect.ANTHROPIC_MESSAGES, CHAT), both) is Dialect.ANTHROPIC_MESSAGES
    with pytest.raises(
        CannotHandOver,
        match=r"codex speaks openai-responses; provider 'open' has openai-chat[\s\S]*--harness codex",
    ):
        dialect_for("codex", (Dialect.OPENAI_RESPONSES,), OPEN, translates=False)


@pytest.mark.parametrize(
    ("chosen", "answered", "same"),
    [
        ("gpt-5", "gpt-5-2026-08-07", True),
        ("claude-sonnet-4-6", "claude-sonnet-4-6-20260301", True),
        ("mimo-v2.5-pro", "xiaomi/mimo-v2.5-pro", True),
        ("xiaomi/mimo:free", "xiaomi/mimo", True),
        ("gemini-3-pro", "models/gemini-3-pro", True),
        ("GPT-5", "gpt-5", True),
        ("gpt-5", "gpt-5-mini", False),
        ("good-model", "other-model", False),
        ("gpt-5", "", False),
    ],
)
def test_the_model_that_answered_is_compared_with_the_one_chosen(
    chosen: str, answered: str, same: bool
) -> None:
    assert same_model(chosen, answered) is same


def test_what_takes_no_key_is_known_under_a_name_of_its_own() -> None:
    assert (
        subject(Scope.MODEL, NO_KEY, route(provider("local")).connection)
        == "model:m1@https://local.example/v1"
    )
