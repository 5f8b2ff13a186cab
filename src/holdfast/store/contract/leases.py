"""Leases: one holder at a time, by the store's clock, with a fence that only grows."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from dataclasses import replace

from ..base import Store
from .given import START, ManualClock, OpenedStore


class LeaseContract(OpenedStore):
    """The behaviour of leases."""

    def test_a_lease_has_one_holder_the_same_owner_included(self, store: Store) -> None:
        lease = store.lease("probe:k", "me", 5)
        assert lease is not None
        assert (lease.owner, lease.until) == ("me", START + 5)
        assert store.lease("probe:k", "you", 5) is None
        assert store.lease("probe:k", "me", 5) is None
        assert store.holder("probe:k") == lease
        assert store.lease("probe:other", "you", 5) is not None

    def test_a_lease_is_taken_over_when_its_time_has_passed_and_its_fence_grows(
        self, store: Store, clock: ManualClock
    ) -> None:
        first = store.lease("n", "a", 5)
        clock.now += 5
        assert store.holder("n") is None
        second = store.lease("n", "b", 5)
        assert first is not None
        assert second is not None
        assert second.fence > first.fence
        store.release(second)
        third = store.lease("n", "c", 5)
        assert third is not None
        assert third.fence > second.fence

    def test_a_lease_is_prolonged_while_it_lasts_and_never_after(
        self, store: Store, clock: ManualClock
    ) -> None:
        lease = store.lease("n", "a", 5)
        assert lease is not None
        clock.now += 4
        assert store.renew(lease, 5) is True
        clock.now += 4
        assert store.holder("n") == replace(lease, until=START + 9)
        clock.now += 1
        assert store.renew(lease, 5) is False

    def test_a_stale_holder_neither_releases_nor_prolongs_the_next_ones_lease(
        self, store: Store, clock: ManualClock
    ) -> None:
        stale = store.lease("n", "a", 5)
        clock.now += 6
        current = store.lease("n", "a", 5)
        assert stale is not None
        store.release(stale)
        assert store.renew(stale, 50) is False
        assert store.holder("n") == current

    def test_a_released_lease_is_free_at_once(self, store: Store) -> None:
        lease = store.lease("n", "a", 5)
        assert lease is not None
        store.release(lease)
        assert store.holder("n") is None
        assert store.renew(lease, 5) is False
        assert store.lease("n", "b", 5) is not None

    def test_a_lease_from_before_the_clock_was_set_back_holds_nobody_up(
        self, store: Store, clock: ManualClock
    ) -> None:
        assert store.lease("n", "killed", 5) is not None
        clock.now -= 86_400
        assert store.holder("n") is None
        assert store.lease("n", "b", 5) is not None
