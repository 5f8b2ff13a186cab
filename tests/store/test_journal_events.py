"""The journal's events: what is written is read again, and what other releases wrote is read as far as it can
be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core.faults import Confidence, Fault, FaultClass, Scope
from holdfast.core.identity import Dialect
from holdfast.store.gathered import Similar, events
from holdfast.store.gathered import rows as stored_rows
from holdfast.store.journal_events import (
    KINDS,
    AnswerTruncated,
    Attempted,
    ChoiceAnswers,
    Detail,
    Event,
    EventKind,
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
    of_type,
)
from holdfast.store.stored_events import event_values, read, stored, stored_kind
from tables import rows

URL = "https://mimo.example/v1"
FAULT = Fault(
    FaultClass.RATE_LIMITED,
    Scope.KEY_MODEL,
    status=429,
    retry_after=2.0,
    confidence=Confidence.CODE,
    signs=("code:1302",),
    excerpt="slow down",
)
GOOD = Attempted(number=1, key="a", url=URL, dialect=Dialect.OPENAI_CHAT, seconds=0.5)

FAILED_ATTEMPT = (
    '{"number": 2, "key": null, "url": "https://mimo.example/v1", "dialect": "openai-chat", "seconds": 0.5, '
    '"probe": true, '
    '"fault": {"kind": "rate_limited", "scope": "key+model", "status": 429, "retry_after": 2.0, '
    '"confidence": 5, '
    '"signs": ["code:1302"], "excerpt": "slow down"}, "then": "waited 2 s"}'
)
GATHERED_ATTEMPTS = (
    '["attempt", {"number": 1, "key": "a", "url": "https://mimo.example/v1", "dialect": "openai-chat"}, '
    '"seconds", [["00000002", 9.0, 0.5], ["00000003", 10.0, 0.25]]]'
)

# As the last release before typed events (6f19264) wrote them: the kind, the detail, and what that tells.
STORED: list[tuple[str, str, Detail]] = [
    (
        "attempt",
        (
            '{"number": 1, "key": "a", "url": "https://mimo.example/v1", "dialect": "openai-chat", '
            '"seconds": 0.5}'
        ),
        GOOD,
    ),
    (
        "attempt",
        FAILED_ATTEMPT,
        GOOD._replace(number=2, key=None, probe=True, fault=FAULT, then="waited 2 s"),
    ),
    ("usage", '{"tokens": {"input": 12, "output": 34}}', UsageCounted({"input": 12, "output": 34})),
    ("created", "{}", SessionCreated()),
    ("created", '{"model": null}', SessionCreated()),
    ("created", '{"model": "mimo/m1"}', SessionCreated(model="mimo/m1")),
    (
        "created",
        '{"key": "a", "project": "/p/.holdfast.toml"}',
        SessionCreated(key="a", project="/p/.holdfast.toml"),
    ),
    ("created", '{"imported": "hermes"}', SessionCreated(imported="hermes")),
    ("resumed", "{}", SessionResumed()),
    ("switched", '{"before": "mimo/m1"}', SessionSwitched(before="mimo/m1")),
    (
        "switched",
        '{"before": "a/m", "moved": "with all sessions of a"}',
        SessionSwitched(before="a/m", moved="with all sessions of a"),
    ),
    (
        "refused",
        '{"fault": "quota_window", "key": "a", "until": 9.5}',
        RequestRefused(FaultClass.QUOTA_WINDOW, "a", 9.5),
    ),
    (
        "refused",
        '{"fault": "auth_rejected", "key": "", "until": null}',
        RequestRefused(FaultClass.AUTH_REJECTED, "", None),
    ),
    ("stood-in", '{"reason": "transient", "until": 9.5}', FellBack("transient", 9.5)),
    ("answers-again", "{}", ChoiceAnswers()),
    ("returned", "{}", ReturnedToChoice()),
    ("key-changed", '{"key": "a"}', KeyChanged("a")),
    (
        "truncated",
        '{"fault": "transient", "cause": "truncated", "excerpt": "Aua\\u00df"}',
        AnswerTruncated(FaultClass.TRANSIENT, "truncated", "Auaß"),
    ),
    ("given-up", '{"reason": "its caller left"}', RequestGivenUp("its caller left")),
    ("healed", '{"before": "custom/m", "key": "a"}', SessionHealed(before="custom/m", key="a")),
    ("renamed", '{"before": "old/m1"}', ProviderRenamed(before="old/m1")),
    (
        "relabelled",
        '{"before": "k2", "key": "file-1f2e3d4c", "forgotten": "k1"}',
        KeysRelabelled(before="k2", key="file-1f2e3d4c", forgotten="k1"),
    ),
    ("removed", "{}", SessionRemoved()),
    ("former-name", '{"asked": "m", "former": "old/m"}', FormerNameUsed("m", "old/m")),
    ("refused-elsewhere", "{}", RefusedElsewhere()),
    ("model-differs", '{"chosen": "m1", "answered": "m0"}', ModelDiffered("m1", "m0")),
    (
        "translated",
        '{"caller": "openai-responses", "endpoint": "openai-chat", "less": "web_search"}',
        RequestTranslated("openai-responses", "openai-chat", "web_search"),
    ),
    (
        "provisioned",
        '{"state": "degraded", "reason": "key_dead", "told": "blocked"}',
        ProvisioningChanged("degraded", "key_dead", message="blocked"),
    ),
]

# As another release may write them, or a hand.
ODD: list[tuple[str, dict[str, Any], Detail]] = [
    ("of-tomorrow", {"a": [1]}, UnknownEvent("of-tomorrow", {"a": [1]})),
    ("attempt", {}, Attempted(0, None, "", None, None)),
    ("attempt", {**stored(GOOD), "region": "eu"}, GOOD._replace(more=(("region", "eu"),))),
    (
        "attempt",
        {**stored(GOOD), "dialect": "telex"},
        GOOD._replace(dialect=None, more=(("dialect", "telex"),)),
    ),
    ("attempt", {**stored(GOOD), "number": True}, GOOD._replace(number=0, more=(("number", True),))),
    (
        "attempt",
        {**stored(GOOD), "fault": {"kind": "class_of_tomorrow", "status": 418}},
        GOOD._replace(
            fault=Fault(FaultClass.UNKNOWN), more=(("fault", {"kind": "class_of_tomorrow", "status": 418}),)
        ),
    ),
    (
        "attempt",
        {**stored(GOOD), "fault": "none"},
        GOOD._replace(fault=Fault(FaultClass.UNKNOWN), more=(("fault", "none"),)),
    ),
    (
        "attempt",
        {**stored(GOOD), "fault": {"kind": "blocked", "of_tomorrow": 1}},
        GOOD._replace(
            fault=Fault(FaultClass.BLOCKED), more=(("fault", {"kind": "blocked", "of_tomorrow": 1}),)
        ),
    ),
    ("usage", {"tokens": {"input": "many"}}, UsageCounted({}, (("tokens", {"input": "many"}),))),
    ("switched", {}, SessionSwitched(before="")),
    ("stood-in", {"until": "soon"}, FellBack("", None, (("until", "soon"),))),
    (
        "refused",
        {"fault": "of_tomorrow"},
        RequestRefused(FaultClass.UNKNOWN, "", None, (("fault", "of_tomorrow"),)),
    ),
]

TEXT = st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
FAULTS = st.builds(
    Fault,
    st.sampled_from(FaultClass),
    status=st.none() | st.integers(100, 599),
    signs=st.lists(TEXT, max_size=2).map(tuple),
    excerpt=TEXT,
)


def details(made: type) -> st.SearchStrategy[Any]:
    """What an event of this type may tell."""
    more = st.dictionaries(TEXT.map("x-{}".format), JSON, max_size=2).map(
        lambda extras: tuple(extras.items())
    )
    own: dict[str, Any] = {"fault": st.none() | FAULTS} if made is Attempted else {}
    return st.builds(made, more=more, **own).filter(lambda detail: detail == detail)  # noqa: PLR0124 - not a number is no time


@rows(("kind", "text", "detail"), STORED)
def test_lines_that_this_release_did_not_write_are_read_unchanged(
    kind: str, text: str, detail: Detail
) -> None:
    assert read(kind, json.loads(text)) == detail
    assert type(read(kind, json.loads(text))) is type(detail)
    assert {name: value for name, value in json.loads(text).items() if value is not None}.items() <= stored(
        detail
    ).items()


def test_the_table_of_stored_lines_has_every_kind() -> None:
    assert set(EventKind) == set(KINDS.values())
    assert {kind for kind, _, _ in STORED} == {stored_kind(kind) for kind in EventKind}


@pytest.mark.parametrize(("kind", "values", "detail"), ODD)
def test_what_other_releases_added_left_out_or_changed_is_read_and_kept(
    kind: str, values: dict[str, Any], detail: Detail
) -> None:
    assert read(kind, values) == detail
    assert values.items() <= stored(detail).items()
    assert stored_kind(Event(1.0, detail).kind) == kind


@pytest.mark.parametrize("values", [None, 1, "text", [1]])
def test_a_line_that_is_no_object_is_not_read_as_one(values: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        read("created", values)


@pytest.mark.parametrize("made", KINDS, ids=lambda made: made.__name__)
@given(data=st.data())
@settings(max_examples=12)
def test_every_kind_of_event_is_read_as_it_was_written(made: type, data: st.DataObject) -> None:
    detail = data.draw(details(made))
    kind = Event(1.0, detail).kind
    again = read(stored_kind(kind), json.loads(json.dumps(stored(detail))))
    assert again == detail
    assert type(again) is made


@pytest.mark.parametrize("made", KINDS, ids=lambda made: made.__name__)
@given(data=st.data())
@settings(max_examples=12)
def test_nothing_that_is_stored_is_lost_by_reading_it(made: type, data: st.DataObject) -> None:
    names = st.sampled_from([*stored(data.draw(details(made))), "fault", "then", "key", "tomorrow"])
    values = data.draw(st.dictionaries(names, JSON | st.dictionaries(TEXT, JSON, max_size=2), max_size=4))
    again = read(KINDS[made], values)
    assert read(KINDS[made], stored(again)) == again
    assert all(stored(again)[name] == value for name, value in values.items() if value)


GATHERED = [
    (
        (10.0, "gathered", "s", "68f00000", "mimo/m1", GATHERED_ATTEMPTS),
        [
            Event(at=9.0, detail=GOOD, session="s", request="68f0000000000002", pin="mimo/m1"),
            Event(
                at=10.0,
                detail=GOOD._replace(seconds=0.25),
                session="s",
                request="68f0000000000003",
                pin="mimo/m1",
            ),
        ],
    ),
    (
        (
            1.0,
            "gathered",
            "s",
            "68f00000",
            "mimo/m1",
            (
                '["usage", {}, "tokens", [["00000001", 1.0, {"input": 1, "output": 2}], ["00000002", 1.0, '
                '{"input": 1}]]]'
            ),
        ),
        [
            Event(
                at=1.0,
                detail=UsageCounted({"input": 1, "output": 2}),
                session="s",
                request="68f0000000000001",
                pin="mimo/m1",
            ),
            Event(
                at=1.0,
                detail=UsageCounted({"input": 1}),
                session="s",
                request="68f0000000000002",
                pin="mimo/m1",
            ),
        ],
    ),
    (
        (
            1.0,
            "gathered",
            "s",
            "68f00000",
            "mimo/m1",
            (
                '["model-differs", {"chosen": "m1"}, "answered", [["00000001", 1.0, "m0"], ["00000002", 1.0, '
                '"mx"]]]'
            ),
        ),
        [
            Event(
                at=1.0,
                detail=ModelDiffered("m1", "m0"),
                session="s",
                request="68f0000000000001",
                pin="mimo/m1",
            ),
            Event(
                at=1.0,
                detail=ModelDiffered("m1", "mx"),
                session="s",
                request="68f0000000000002",
                pin="mimo/m1",
            ),
        ],
    ),
]


@pytest.mark.parametrize(("row", "shared"), GATHERED)
def test_a_row_that_many_lines_share_is_the_same_as_ever(
    row: tuple[Any, ...], shared: list[Event[Detail]]
) -> None:
    assert events(row) == shared
    assert list(stored_rows(shared)) == [row]


def test_events_are_picked_by_what_they_tell() -> None:
    events: list[Event[Detail]] = [Event(1.0, GOOD), Event(2.0, SessionCreated()), Event(3.0, GOOD)]
    assert [event.at for event in of_type(events, Attempted)] == [1.0, 3.0]


def test_an_event_is_given_to_programs_with_the_word_of_today() -> None:
    assert event_values(Event(at=1.0, detail=FellBack("transient", 9.5), session="s", pin="p/m")) == {
        "at": 1.0,
        "kind": "fell-back",
        "session": "s",
        "request": "",
        "pin": "p/m",
        "detail": {"reason": "transient", "until": 9.5},
    }


@pytest.mark.parametrize("written", [written for _, written in GATHERED])
@pytest.mark.parametrize("number", [1, 2])
def test_events_that_are_known_to_be_similar_are_read_as_if_each_had_been_made(
    written: list[Event[Any]], number: int
) -> None:
    own = {Attempted: "seconds", UsageCounted: "tokens", ModelDiffered: "answered"}
    lines = [
        (event.request[8:], event.at, getattr(event.detail, own[type(event.detail)]))
        for event in written[:number]
    ]
    (row,) = stored_rows([Similar(written[-1], lines)])
    assert events(row) == written[:number]
