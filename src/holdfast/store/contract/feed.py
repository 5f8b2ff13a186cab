"""The feed: what others must learn has a number, what nobody must learn has none, and who reads the rows
above a number misses nothing."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ...core.changes import (
    CooldownStarted,
    Evidence,
    FallbackEnded,
    FallbackStarted,
    KeyFailed,
    KeyKept,
    Owner,
)
from ...core.faults import FaultClass
from ...core.identity import Pin
from ...core.session import Session
from .. import verdict_tables
from ..base import AccountObject, Store
from ..feed import REFUTED_LEVEL, TOLD_FOR, Changes, Follower, Revision
from ..journal_events import Event, SessionCreated
from ..token import Token
from .given import FP, KEY, START, URL, ManualClock, OpenedStore, cooled, worked
from .provisions import RECORD

PIN = Pin.parse("p/m")
Call = Callable[[Store], object]
KNOWN: dict[str, Call] = {
    "a kept key": lambda store: store.apply([KeyKept("s", "a")], START),
    "a fallback": lambda store: store.apply([FallbackStarted("t", "q/m", "why", START + 60)], START),
    "verdicts": lambda store: store.apply([worked(), cooled(), cooled("endpoint:e")], START),
    "a record": lambda store: store.save_provision(RECORD, None),
    "a token": lambda store: store.add_token(Token("old", "hash", "label", pins=(PIN,))),
}
GOOD = Evidence(FP, URL, START, START)
REFUSED = KeyFailed(FP, URL, FaultClass.AUTH_REJECTED, START + 1)
TOLD: dict[str, tuple[Call, Changes]] = {
    "a choice": (
        lambda store: store.save_session(Session("s", Pin.parse("q/m"), version=1), 0),
        Changes(sessions=["s"]),
    ),
    "a removal": (lambda store: store.remove_session("s"), Changes(sessions=["s"])),
    "another kept key": (lambda store: store.apply([KeyKept("s", "b")], START), Changes(sessions=["s"])),
    "a fallback that began": (
        lambda store: store.apply([FallbackStarted("s", "q/m", "why", START)], START),
        Changes(sessions=["s"]),
    ),
    "a fallback that ended": (
        lambda store: store.apply([FallbackEnded("t")], START),
        Changes(sessions=["t"]),
    ),
    "a renamed provider": (
        lambda store: store.rename_provider("p", "q"),
        Changes(sessions=["s", "t"], tokens=["old"]),
    ),
    "a good answer": (
        lambda store: store.apply([worked(START + 100)._replace(model="n")], START),
        Changes(
            evidence=[Evidence(FP, URL, START, START + 100)],
            cooldowns=[cooled(since=START + 100, until=START + 100, level=REFUTED_LEVEL).cooldown],
        ),
    ),
    "a refused key": (
        lambda store: store.apply([REFUSED], START),
        Changes(evidence=[GOOD._replace(last_fault=FaultClass.AUTH_REJECTED, last_fault_at=START + 1)]),
    ),
    "a cooldown": (
        lambda store: store.apply([cooled("endpoint:x")], START),
        Changes(cooldowns=[cooled("endpoint:x").cooldown]),
    ),
    "a key that is forgotten": (
        lambda store: store.forget(FP),
        Changes(
            evidence=[Evidence(FP, URL, last_fault_at=START)],
            cooldowns=[cooled(until=START, level=REFUTED_LEVEL).cooldown],
        ),
    ),
    "a cooldown that is ended": (
        lambda store: store.clear(KEY),
        Changes(cooldowns=[cooled(until=START, level=REFUTED_LEVEL).cooldown]),
    ),
    "a new token": (
        lambda store: store.add_token(Token("t", "hash", "label")),
        Changes(tokens=["t"]),
    ),
    "a revoked token": (lambda store: store.revoke_token("old"), Changes(tokens=["old"])),
    "a token that lives on": (lambda store: store.renew_token("old", START + 9), Changes(tokens=["old"])),
    "a first object": (
        lambda store: store.save_objects([AccountObject("r", "s", Owner("p", "k", FP), START)]),
        Changes(sessions=["s"]),
    ),
    "a record": (
        lambda store: store.save_provision(replace(RECORD, version=8), 7),
        Changes(provisions=True),
    ),
    "a record that is gone": (
        lambda store: store.remove_provision("amazee"),
        Changes(provisions=True),
    ),
}
QUIET: dict[str, Call] = {
    "a new session": lambda store: store.save_session(Session("new", PIN), None),
    "the key that it keeps": lambda store: store.apply([KeyKept("new", "a")], START),
    "a session that is there": lambda store: store.create_sessions([(Session("s", PIN), ())]),
    "the journal": lambda store: store.record([Event(START, SessionCreated(), "s")]),
    "a lease": lambda store: store.lease("n", "o", 5),
    "models": lambda store: store.save_models("p", URL, {"m": {}}, START),
    "pruning": lambda store: store.prune(1),
    "what is so already": lambda store: store.apply(
        [KeyKept("s", "a"), FallbackEnded("s"), KeyKept("unknown", "a")], START
    ),
    "an older verdict": lambda store: store.apply([cooled(since=START - 9)], START),
    "a known success": lambda store: store.apply([worked(durable=False)], START),
    "nothing to end": lambda store: (
        store.clear("nothing"),
        store.forget("nobody"),
        store.remove_session("none"),
        store.revoke_token("none"),
        store.renew_token("none", START),
        store.remove_provision("none"),
    ),
}


def _fill(store: Store) -> None:
    store.create_sessions([(Session("s", PIN), ()), (Session("t", PIN), ())])
    for call in KNOWN.values():
        call(store)


def _plain(changes: Changes) -> Changes:
    return changes._replace(
        evidence=sorted(changes.evidence),
        cooldowns=sorted(changes.cooldowns, key=lambda cooldown: cooldown.subject),
        sessions=sorted(changes.sessions),
        tokens=sorted(changes.tokens),
    )


class FeedContract(OpenedStore):
    """The behaviour of `revision` and `changes`."""

    @pytest.mark.parametrize("change", TOLD)
    def test_what_others_must_learn_takes_the_next_number_and_its_rows_carry_it(
        self, store: Store, change: str
    ) -> None:
        _fill(store)
        before = store.revision()
        assert _plain(store.changes(before.number)) == _plain(Changes())
        make, expected = TOLD[change]
        make(store)
        # A provider is renamed in more than one transaction.
        after = store.revision()
        assert after == Revision(before.number + (2 if change == "a renamed provider" else 1), before.epoch)
        assert _plain(store.changes(before.number)) == _plain(expected)
        assert _plain(store.changes(after.number)) == _plain(Changes())

    def test_what_nobody_must_learn_takes_no_number(self, store: Store) -> None:
        _fill(store)
        before = store.revision()
        for name, call in QUIET.items():
            call(store)
            assert (store.revision(), _plain(store.changes(before.number))) == (before, _plain(Changes())), (
                name
            )

    def test_changes_are_read_in_parts_that_leave_out_nothing(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(verdict_tables, "_PAGE", 3)
        for number in range(10):
            store.apply([cooled(f"endpoint:{number}-{part}") for part in range(number % 5 + 1)], START)
            store.add_token(Token(f"t{number}", "hash", "label"))
        seen: list[Changes] = []
        after: int | None = 0
        while after is not None:
            seen.append(store.changes(after))
            assert seen[-1].upto is None or seen[-1].upto > after
            after = seen[-1].upto
        assert len(seen) > 3
        assert len({cooldown.subject for part in seen for cooldown in part.cooldowns}) == 30
        assert {token for part in seen for token in part.tokens} == {f"t{number}" for number in range(10)}

    def test_a_follower_reads_all_once_and_then_what_changed(self, store: Store) -> None:
        _fill(store)
        taken: list[Changes | None] = []
        follower = Follower(store, taken.append)
        follower.look()
        follower.look()
        assert taken == [None]
        store.clear(KEY)
        store.revoke_token("old")
        follower.look()
        follower.look()
        assert [None if part is None else list(part.tokens) for part in taken] == [None, ["old"]]
        assert follower.revision == store.revision()

    def test_what_could_not_be_taken_over_is_read_again(self, store: Store) -> None:
        _fill(store)
        taken: list[Any] = []

        def take(changes: Changes | None) -> None:
            taken.append(changes)
            if len(taken) in (1, 3):
                raise ValueError("not now")

        follower = Follower(store, take)
        for _ in range(4):
            store.clear(KEY)
            try:
                follower.look()
            except ValueError:
                assert follower.revision != store.revision()
            store.apply([cooled(since=START + len(taken))], START)
        assert taken[:2] == [None, None]
        assert len(taken[3].cooldowns) == 1
        assert follower.revision is not None

    def test_a_session_that_was_removed_and_made_again_is_told_of_and_is_the_new_one(
        self, store: Store, clock: ManualClock
    ) -> None:
        _fill(store)
        before = store.revision()
        for turn in range(3):
            assert store.remove_session("s") is True
            assert (store.session("s"), store.remove_session("s")) == (None, False)
            clock.now += 1
            again = Session("s", Pin.parse(f"p/{turn}"), created_at=clock.now, changed_at=clock.now)
            store.save_session(again, None)
            assert store.session("s") == again
            assert [session.id for session in store.sessions()] == ["s", "t"]
        assert store.revision().number == before.number + 3
        assert store.changes(before.number).sessions == ["s"]
        assert store.broken_sessions() == []

    def test_what_ended_is_told_of_for_a_day(self, store: Store, clock: ManualClock) -> None:
        _fill(store)
        before = store.revision().number
        store.remove_session("s")
        store.clear(KEY)
        clock.now += TOLD_FOR - 1
        store.prune(keep_days=90)
        assert [len(part) for part in store.changes(before)[1:3]] == [1, 1]
        clock.now += 2
        store.prune(keep_days=90)
        assert [len(part) for part in store.changes(before)[1:3]] == [0, 0]

    def test_a_verdict_from_before_the_good_answer_that_refuted_it_does_not_come_back(
        self, store: Store
    ) -> None:
        store.apply([cooled(since=START)], START)
        store.apply([worked(START + 5)], START + 5)
        store.apply([cooled(since=START + 4)], START + 6)
        assert store.cooldowns() == []
        later: CooldownStarted = cooled(since=START + 6)
        store.apply([later], START + 6)
        assert store.cooldowns() == [later.cooldown]

    def test_of_many_new_sessions_those_are_made_that_are_not_there(self, store: Store) -> None:
        store.save_session(Session("s250", Pin.parse("q/old")), None)
        new = [Session(f"s{number}", PIN) for number in [*range(501), 7]]
        line = Event(START, SessionCreated(), "", pin="p/m")
        made = store.create_sessions((each, [line._replace(session=each.id)]) for each in new)
        assert made == {each.id for each in new} - {"s250"}
        assert len(store.journal(limit=1000)) == 500
        named = store.sessions_named([f"s{number}" for number in range(495, 510)] + ["s250"])
        assert {session.id: str(session.pin) for session in named} == {
            "s250": "q/old",
            **{f"s{number}": "p/m" for number in range(495, 501)},
        }
        assert store.create_sessions([]) == set()
        assert store.sessions_named([]) == []

    def test_a_name_is_claimed_once(self, store: Store) -> None:
        assert store.claim("pepper", "mine") == "mine"
        assert store.claim("pepper", "theirs") == "mine"
        assert store.claim("other", "theirs") == "theirs"
        assert store.claim("pepper", "theirs", replace=True) == "theirs"
        assert store.claim("pepper", "mine") == "theirs"
