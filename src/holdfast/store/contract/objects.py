"""Objects of accounts: what made them is known, in a table that does not grow without bound."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.changes import Owner
from .. import record_tables
from ..base import OBJECTS_KEPT, AccountObject, Store
from .given import FP, START, ManualClock, OpenedStore

if TYPE_CHECKING:
    import pytest

OWNER = Owner("p", "env:KEY", FP)


def _response(number: int, at: float = START, session: str = "s", owner: Owner = OWNER) -> AccountObject:
    return AccountObject(f"resp_{number}", session, owner, at)


class ObjectContract(OpenedStore):
    """Objects of accounts."""

    def test_an_object_is_found_by_its_id_and_the_first_by_its_session(self, store: Store) -> None:
        objects = [_response(2, START + 2), _response(1, START + 1), _response(3, START, "other")]
        store.save_objects(objects)
        store.save_objects([])
        assert [store.account_object(made.id) for made in objects] == objects
        assert store.account_object("resp_9") is None
        assert [store.first_object(name) for name in ("s", "other", "none")] == [objects[1], objects[2], None]

    def test_of_two_objects_with_one_id_the_later_counts(self, store: Store) -> None:
        late = _response(1, START + 1, owner=Owner("p", "other", "f"))
        store.save_objects([late])
        store.save_objects([_response(1)])
        assert store.account_object("resp_1") == late
        store.save_objects([_response(1, START + 2)])
        assert store.account_object("resp_1") == _response(1, START + 2)

    def test_objects_follow_a_renamed_provider(self, store: Store) -> None:
        store.save_objects([_response(1)])
        store.rename_provider("p", "q")
        assert store.account_object("resp_1") == _response(1, owner=OWNER._replace(provider="q"))

    def test_old_objects_and_those_beyond_the_bound_go_in_portions(
        self, store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(record_tables, "MOST_OBJECTS", 30)
        monkeypatch.setattr(record_tables, "_PORTION", 15)
        store.save_objects(_response(number, START + number) for number in range(50))
        assert [store.prune_objects() for _ in range(3)] == [15, 5, 0]
        left = [number for number in range(50) if store.account_object(f"resp_{number}") is not None]
        assert left == list(range(20, 50))
        clock.now = START + OBJECTS_KEPT + 40
        assert [store.prune_objects() for _ in range(3)] == [15, 5, 0]
        assert store.first_object("s") == _response(40, START + 40)
