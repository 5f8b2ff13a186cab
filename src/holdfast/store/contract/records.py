"""The journal, tokens and model lists."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from dataclasses import replace

import pytest

from ...core.errors import StoreError
from ...core.faults import FaultClass
from ..base import COOLDOWN_KEPT, Store, Token
from ..journal_events import (
    AnswerTruncated,
    Detail,
    Event,
    SessionCreated,
    SessionResumed,
    UnknownEvent,
    UsageCounted,
)
from .given import ATTEMPTED, FAULT, START, URL, ManualClock, OpenedStore, cooled, worked


class RecordContract(OpenedStore):
    """The journal, tokens and model lists."""

    def test_the_journal_gives_back_what_happened_the_newest_last(self, store: Store) -> None:
        failed = ATTEMPTED._replace(
            key=None, fault=FAULT, then="日本 \udcff", more=(("of tomorrow", {"a": [1, None]}),)
        )
        events: list[Event[Detail]] = [
            Event(at=START + 1, detail=failed, session="s", request="r1", pin="p/m"),
            Event(START, SessionCreated(), "s", pin="p/m"),
            Event(
                at=START + 2,
                detail=UnknownEvent("of-tomorrow", {"a": 1}),
                session="t",
                request="r2",
                pin="p/m",
            ),
        ]
        store.record(events)
        assert store.journal() == [events[1], events[0], events[2]]
        assert store.journal(session="s") == [events[1], events[0]]
        assert store.journal(request="r2") == [events[2]]
        assert store.journal(session="s", request="r2") == []
        assert store.journal(limit=2) == [events[0], events[2]]

    def test_events_of_one_instant_keep_their_order(self, store: Store) -> None:
        events = [Event(START, ATTEMPTED, "s", f"r{number}") for number in range(20)]
        store.record(events)
        assert store.journal(session="s") == events

    def test_many_requests_that_went_well_read_as_if_each_had_a_line_of_its_own(self, store: Store) -> None:
        events = [
            _answered(
                f"{int(START) + number // 40:08x}{number:08x}",
                START + number / 50,
                f"s{number % 3}",
                number % 2,
            )
            for number in range(200)
        ]
        truncated = AnswerTruncated(FaultClass.TRANSIENT, "", "")
        broke_off = Event(
            at=START + 1.501, detail=truncated, session="s0", request=events[60].request, pin="p/m"
        )
        usage = UsageCounted({"input": 1, "output": 2})
        counted = [event._replace(at=event.at + 0.001, detail=usage) for event in events[:50]]
        recorded = sorted([*events, broke_off, *counted], key=lambda event: event.at)
        for first in range(0, len(recorded), 100):
            store.record(recorded[first : first + 100])
        assert store.journal(limit=1000) == recorded
        for session in ("s0", "s1", "s2"):
            assert store.journal(session=session, limit=1000) == [
                event for event in recorded if event.session == session
            ]
        for limit in (1, 7, 100):
            assert store.journal(limit=limit) == recorded[-limit:]
        assert store.journal(request=events[60].request) == [events[60], broke_off]
        assert store.journal(request=events[40].request) == [events[40], counted[40]]
        assert store.journal(request=events[40].request, session="other") == []
        assert store.journal(request=events[40].request[:8]) == []

    def test_pruning_removes_what_is_old_and_nothing_that_decides(self, store: Store) -> None:
        store.record(
            [Event(START - 8 * 86400, SessionCreated(), "s"), Event(START - 86400, SessionResumed(), "s")]
        )
        store.apply(
            [worked(START - 9e7), cooled(until=START - COOLDOWN_KEPT - 1), cooled("endpoint:x")], START
        )
        assert store.prune(keep_days=7) == 2
        assert [event.detail for event in store.journal()] == [SessionResumed()]
        assert len(store.evidence()) == len(store.cooldowns()) == 1

    def test_a_token_is_kept_as_its_hash_and_revoked_once(self, store: Store, clock: ManualClock) -> None:
        bound, free = (
            Token("t1", "hash-1", "laptop", session="s", created_at=START),
            Token("t2", "hash-2", "ci", created_at=START + 1),
        )
        store.add_token(free)
        store.add_token(bound)
        assert store.tokens() == [bound, free]
        clock.now += 9
        assert store.revoke_token("t1") is True
        assert store.revoke_token("t1") is False
        assert store.revoke_token("none") is False
        assert store.token("t1") == replace(bound, revoked_at=START + 9)
        assert store.token("none") is None

    def test_a_token_does_not_replace_another(self, store: Store) -> None:
        store.add_token(Token("t", "hash", "label"))
        with pytest.raises(StoreError, match="exists"):
            store.add_token(Token("t", "other", "label"))
        assert store.tokens() == [Token("t", "hash", "label")]

    def test_models_are_those_of_the_very_url_in_the_providers_order(self, store: Store) -> None:
        store.save_models("p", URL, ("z", "a/b", "m:free"), START)
        store.save_models("q", URL, (), START)
        assert store.models("p", URL) == (("z", "a/b", "m:free"), START)
        assert store.models("q", URL) == ((), START)
        assert store.models("p", "https://edited.example/v1") is None
        store.save_models("p", URL, ("late",), START - 1)
        assert store.models("p", URL) == (("z", "a/b", "m:free"), START)
        store.save_models("p", URL, ("new",), START + 1)
        assert store.models("p", URL) == (("new",), START + 1)


def _answered(request: str, at: float, session: str, key: int) -> Event[Detail]:
    detail = ATTEMPTED._replace(key=f"k{key}")
    return Event(at=at, detail=detail, session=session, request=request, pin="p/m")
