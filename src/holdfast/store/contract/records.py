"""The journal, tokens and model lists."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ...core.changes import KeyFailed
from ...core.config import ModelFacts
from ...core.errors import StoreError
from ...core.faults import FaultClass
from ...core.identity import Pin
from ...core.session import Session
from .. import relational_upkeep
from ..base import COOLDOWN_KEPT, EVIDENCE_KEPT, Store
from ..journal_events import (
    AnswerTruncated,
    Detail,
    Event,
    SessionCreated,
    UnknownEvent,
    UsageCounted,
)
from ..token import TOKEN_KEPT, Token
from ..upkeep import PORTION
from .given import ATTEMPTED, FAULT, FP, START, URL, ManualClock, OpenedStore, cooled, worked

DAY = 86_400.0
FACTS: ModelFacts = {"context": 9, "output": 5, "input": ("text", "image"), "reasoning": True}


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
        for days in (8, 5, 0):
            store.record([Event(START - days * DAY, SessionCreated(), f"{days}")])
        store.apply(
            [worked(START - 9e7), cooled(until=START - COOLDOWN_KEPT - 1), cooled("endpoint:x")], START
        )
        assert store.count_old(keep_days=7) == 1
        assert [store.prune(keep_days=7), store.prune(keep_days=7), store.count_old(keep_days=7)] == [2, 0, 0]
        assert [event.session for event in store.journal()] == ["5", "0"]
        assert len(store.evidence()) == len(store.cooldowns()) == 1

    def test_what_is_known_of_a_key_that_nobody_uses_any_more_is_pruned(self, store: Store) -> None:
        last, long_ago = START - EVIDENCE_KEPT, START - EVIDENCE_KEPT - 1
        dead = worked(long_ago)._replace(fingerprint="dead")
        refused = KeyFailed("dead", URL, FaultClass.AUTH_REJECTED, long_ago)
        rotated = worked(last)._replace(fingerprint="rotated")
        store.apply([dead, refused, rotated, worked(START)], START)
        store.apply([cooled(f"key:dead@{URL}", since=long_ago, until=math.inf)], START)
        for name in (f"probe:dead@{URL}", f"probe:{FP}@{URL}", "provision:p"):
            lease = store.lease(name, "me", 5)
            assert lease is not None
            store.release(lease)
        assert store.prune(keep_days=90) == 3, "the evidence, the cooldown and the lease of its tests"
        assert {evidence.fingerprint for evidence in store.evidence()} == {"rotated", FP}
        assert store.cooldowns() == []
        fences = [store.lease(name, "me", 5) for name in (f"probe:dead@{URL}", f"probe:{FP}@{URL}")]
        assert [lease and lease.fence for lease in fences] == [1, 2]

    def test_a_verdict_from_before_the_clock_was_set_back_never_returns(
        self, store: Store, clock: ManualClock
    ) -> None:
        barred = cooled("key:dead", since=START + 3600, until=math.inf)
        store.apply([cooled(since=START + 3600, until=START + 7200), barred], START + 3600)
        before = store.revision()
        assert store.prune(keep_days=90) == 1
        assert store.revision() != before, "others have it in memory"
        clock.now = START + 3600
        assert store.cooldowns() == [barred.cooldown]

    def test_what_is_old_goes_in_portions(self, store: Store) -> None:
        old = START - 2 * DAY
        many = [Event(old - number, SessionCreated(), f"s{number}") for number in range(PORTION + 9)]
        store.record([*many, Event(START, SessionCreated(), "new")])
        store.apply(
            [worked(START - 9e7)._replace(fingerprint=f"{number}") for number in range(PORTION + 7)]
            + [worked()],
            START,
        )
        portions = [store.prune(keep_days=1) for _ in range(4)]
        assert portions == [PORTION, PORTION + 9, 7, 0]
        assert (len(store.journal()), len(store.evidence())) == (1, 1)

    def test_the_oldest_lines_go_first_where_the_store_is_too_large(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relational_upkeep, "LINES_KEPT", 50)
        lines = [Event(START + number, SessionCreated(), f"s{number}") for number in range(PORTION + 60)]
        store.record(lines)
        assert store.prune_to_size(1 << 40) == 0
        assert [store.prune_to_size(1) for _ in range(3)] == [PORTION, 10, 0]
        assert store.journal() == lines[-50:]

    def test_what_a_store_holds_is_told_by_table(self, store: Store) -> None:
        store.record([Event(START - 5, SessionCreated(), "s"), Event(START, SessionCreated(), "s")])
        store.apply([worked()], START)
        store.save_session(Session("s", Pin.parse("p/m"), changed_at=START - 9), None)
        status = store.status()
        rows = {table.name: (table.rows, table.oldest, table.newest) for table in status.tables}
        assert rows["journal"] == (2, START - 5, START)
        assert rows["session"] == (1, START - 9, START - 9)
        assert rows["evidence"] == (1, START, START)
        assert rows["cooldown"] == (0, None, None)
        assert status.size > status.free >= 0
        store.vacuum()
        assert (store.status().free, len(store.journal())) == (0, 2)
        assert store.compact() == 0

    def test_a_clock_that_is_a_year_ahead_makes_nothing_old(self, store: Store, clock: ManualClock) -> None:
        store.record([Event(START, SessionCreated(), "s")])
        store.apply([worked(START), cooled(until=math.inf)], START)
        clock.now = START + 365 * DAY
        assert store.prune(keep_days=90) == 0
        assert len(store.journal()) == len(store.evidence()) == len(store.cooldowns()) == 1

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

    def test_a_tokens_limits_are_given_back_as_they_were_stored(self, store: Store) -> None:
        limited = Token(
            "t",
            "hash",
            "run s",
            session="s",
            pins=(Pin.parse("p/a/b"), Pin.parse("q/c:free")),
            strict=True,
            expires_at=START + 60,
            instance="here",
            budget="later",
        )
        store.add_token(limited)
        assert store.token("t") == limited
        assert store.tokens() == [limited]

    def test_renewing_a_token_moves_its_end(self, store: Store) -> None:
        store.add_token(Token("t", "hash", "run s", expires_at=START + 60))
        assert store.renew_token("t", START + 120) is True
        assert store.token("t") == Token("t", "hash", "run s", expires_at=START + 120)
        store.revoke_token("t")
        assert store.renew_token("t", START + 180) is store.renew_token("none", START + 180) is False

    def test_the_tokens_of_gateways_that_ended_do_not_pile_up(self, store: Store, clock: ManualClock) -> None:
        for name, instance in (("revoked", "a"), ("expired", "b"), ("running", "c"), ("laptop", None)):
            store.add_token(Token(name, f"hash-{name}", name, expires_at=START + 60, instance=instance))
        store.revoke_token("revoked")
        store.renew_token("running", START + 2 * TOKEN_KEPT)
        clock.now += TOKEN_KEPT + 61
        store.prune(keep_days=90)
        assert [token.id for token in store.tokens()] == ["laptop", "running"]

    def test_the_pins_of_a_token_follow_a_renamed_provider(self, store: Store) -> None:
        pins = Pin.parse("p/m"), Pin.parse("pp/m"), Pin.parse("q/p/m")
        store.add_token(Token("t", "hash", "laptop", pins=pins))
        store.rename_provider("p", "other")
        assert store.tokens()[0].pins == (Pin.parse("other/m"), *pins[1:])

    def test_models_are_those_of_the_very_url_in_the_providers_order(self, store: Store) -> None:
        listed: dict[str, ModelFacts] = {"z": {}, "a/b": FACTS, "m:free": {"reasoning": False}}
        store.save_models("p", URL, listed, START)
        store.save_models("q", URL, {}, START)
        assert store.models("p", URL) == (listed, START)
        assert [*(store.models("p", URL) or ({}, 0))[0]] == [*listed]
        assert store.models("q", URL) == ({}, START)
        assert store.models("p", "https://edited.example/v1") is None
        store.save_models("p", URL, {"late": {}}, START - 1)
        assert store.models("p", URL) == (listed, START)
        store.save_models("p", URL, {"new": {}}, START + 1)
        assert store.models("p", URL) == ({"new": {}}, START + 1)


def _answered(request: str, at: float, session: str, key: int) -> Event[Detail]:
    detail = ATTEMPTED._replace(key=f"k{key}")
    return Event(at=at, detail=detail, session=session, request=request, pin="p/m")
