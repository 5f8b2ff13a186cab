"""Usage is summed exactly, whoever adds to it, and outlives the journal."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ...core.identity import Pin
from ...core.session import Session
from ..base import Store
from ..batch import new_writer
from ..journal_events import Event, SessionCreated
from ..upkeep import PORTION
from ..usage import USAGE_KEPT, Usage, day_of
from .given import START, ManualClock, OpenedStore

DAY = 86400.0
TODAY = day_of(START)


class UsageContract(OpenedStore):
    """The sums of usage."""

    def test_sums_are_told_by_what_is_asked_for(self, store: Store) -> None:
        before = store.revision()
        assert store.usage() == store.usage(["day"]) == []
        store.add_usage(
            [
                Usage._make((TODAY, "s", "a", "p/m", 1, 20, 300)),
                Usage._make((TODAY, "s", "b", "p/m", 2, 1, 1)),
            ]
        )
        store.add_usage(
            [
                Usage._make((TODAY, "t", "a", "q/m", 4, 0, 0)),
                Usage._make(("2024-01-01", "s", "a", "p/m", 8, 1, 1)),
            ]
        )
        store.add_usage([Usage._make((TODAY, "s", "a", "p/m", 16, 0, 0))])
        store.add_usage([])
        assert store.usage() == [Usage._make(("", "", "", "", 31, 22, 302))]
        assert store.usage(["day", "pin"], since=TODAY) == [
            Usage._make((TODAY, "", "", "p/m", 19, 21, 301)),
            Usage._make((TODAY, "", "", "q/m", 4, 0, 0)),
        ]
        assert store.usage(["key"], session="s") == [
            Usage._make(("", "", "a", "", 25, 21, 301)),
            Usage._make(("", "", "b", "", 2, 1, 1)),
        ]
        assert store.usage(session="none") == []
        assert store.revision() == before

    def test_writers_at_once_lose_nothing_and_wait_for_no_other(self, store: Store) -> None:
        names = [(f"s{number % 7}", f"k{number % 3}") for number in range(40)]

        def add(writer: int) -> None:
            turned = names[writer:] + names[:writer]
            for _ in range(5):
                store.add_usage(Usage._make((TODAY, *name, "p/m", 1, 2, 3)) for name in dict.fromkeys(turned))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(4)))
        assert store.usage() == [Usage._make(("", "", "", "", 420, 840, 1260))]

    def test_a_batch_that_comes_again_is_added_once(self, store: Store) -> None:
        first, other = new_writer().after(), new_writer().after()
        added = Usage._make((TODAY, "s", "k", "p/m", 1, 1, 1))
        for batch in (first, first, other, first.after(), first, other, None, None):
            store.add_usage([added], batch)
            lines = batch and batch._replace(writer=f"lines of {batch.writer}")
            store.record([Event(START, SessionCreated(), "s")], lines)
        assert [sums.requests for sums in store.usage()] == [5]
        assert len(store.journal()) == 5

    def test_the_names_of_batches_are_forgotten_after_a_day(self, store: Store, clock: ManualClock) -> None:
        batch = new_writer().after()
        added = [Usage._make((TODAY, "s", "k", "p/m", 1, 1, 1))]
        for passes in (0.0, DAY - 60.0, 120.0):
            clock.now += passes
            while store.prune(keep_days=90):
                pass
            store.add_usage(added, batch)
        assert [sums.requests for sums in store.usage()] == [2]

    def test_of_old_usage_the_sums_of_all_sessions_stay_for_a_while(self, store: Store) -> None:
        store.record([Event(START, SessionCreated(), "s")])
        old, older = day_of(START - 100 * DAY), day_of(START - (USAGE_KEPT + 1) * DAY)
        store.add_usage(
            Usage._make((old, f"s{number}", "k", "p/m", 1, 2, 3)) for number in range(PORTION + 5)
        )
        store.add_usage(
            [Usage._make((older, "s", "k", "p/m", 9, 9, 9)), Usage._make((TODAY, "s", "k", "p/m", 1, 1, 1))]
        )
        done: list[int] = []
        while not done or done[-1]:
            done.append(store.shorten_usage(keep_days=90))
        assert done == [PORTION, 6, 1, 0]
        assert store.usage(["day", "session"]) == [
            Usage._make((old, "", "", "", PORTION + 5, 2 * PORTION + 10, 3 * PORTION + 15)),
            Usage._make((TODAY, "s", "", "", 1, 1, 1)),
        ]

    def test_a_session_that_was_asked_is_not_unused(self, store: Store) -> None:
        for name in ("asked", "old"):
            store.save_session(Session(name, Pin.parse("p/m"), changed_at=START - 90 * DAY), None)
        store.add_usage([Usage._make((day_of(START - 29 * DAY), "asked", "k", "p/m", 1, 1, 1))])
        assert store.unused_sessions(START - 30 * DAY, 9) == ["old"]
        assert [store.forget_sessions(START - 30 * DAY), store.forget_sessions(START - 28 * DAY)] == [1, 1]
