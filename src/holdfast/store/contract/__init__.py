"""The behaviour of every store, as tests: subclass `StoreContract` (or `DurableStoreContract`) in a test
and define how your store is opened. Needs pytest, unlike the rest of the package.

    class TestMyStore(StoreContract):
        def open_store(self, clock):
            return MyStore(clock=clock)
"""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ...core.changes import KeyFailed, Owner
from ...core.errors import StoreError
from ...core.faults import FaultClass
from ...core.identity import Pin
from ...core.session import Session
from ..base import AccountObject, Store
from ..feed import Changes
from ..journal_events import Event, SessionCreated
from .feed import FeedContract
from .given import START, URL, ManualClock, cooled, worked
from .labels import LabelContract
from .leases import LeaseContract
from .lists import ListContract
from .objects import ObjectContract
from .provisions import ProvisionContract
from .records import RecordContract
from .sessions import SessionContract
from .usage import UsageContract
from .verdicts import VerdictContract

__all__ = ["DurableStoreContract", "ManualClock", "StoreContract"]


class StoreContract(
    SessionContract,
    ListContract,
    LabelContract,
    VerdictContract,
    FeedContract,
    RecordContract,
    ObjectContract,
    UsageContract,
    LeaseContract,
    ProvisionContract,
):
    """The behaviour of any store, in one process."""

    def test_threads_share_one_store_and_lose_nothing(self, store: Store) -> None:
        def work(number: int) -> bool:
            store.apply([KeyFailed(f"{number:016}", URL, FaultClass.AUTH_REJECTED, START)], START)
            store.record([Event(START, SessionCreated(), f"s{number}")])
            store.evidence()
            return store.lease("n", str(number), 60) is not None

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(work, range(80))) == 1
        assert len(store.evidence()) == len(store.journal()) == 80

    def test_a_closed_store_says_so_and_closes_twice(self, store: Store) -> None:
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.sessions()
        with pytest.raises(StoreError, match="closed"):
            store.record([Event(START, SessionCreated(), "s")])


class DurableStoreContract(StoreContract):
    """The behaviour of a store that outlives its process: within a test, `open_store` opens the same data
    again."""

    def test_everything_is_there_after_a_restart(self, store: Store, clock: ManualClock) -> None:
        store.save_session(Session("s", Pin.parse("p/m")), None)
        store.apply([worked(), cooled(since=START + 1)], START)
        store.record([Event(START, SessionCreated(), "s")])
        made = AccountObject("resp_1", "s", Owner("p", "k", "f"), START)
        store.save_objects([made])
        lease = store.lease("n", "a", 60)
        store.close()
        with self.open_store(clock) as again:
            assert [session.id for session in again.sessions()] == ["s"]
            assert len(again.evidence()) == len(again.cooldowns()) == len(again.journal()) == 1
            assert again.first_object("s") == again.account_object("resp_1") == made
            assert again.holder("n") == lease

    def test_two_that_are_open_at_once_see_each_others_changes(
        self, store: Store, clock: ManualClock
    ) -> None:
        with self.open_store(clock) as other:
            before = other.revision()
            store.record([Event(START, SessionCreated(), "s")])
            assert other.revision() == before
            store.apply([worked()], START)
            assert other.revision() == store.revision() != before
            assert other.evidence() == store.evidence()
            assert other.changes(before.number) == store.changes(before.number) != Changes()
            assert store.lease("n", "a", 5) is not None
            assert other.lease("n", "b", 5) is None
