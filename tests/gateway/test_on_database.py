"""The gateways on one database, which `doctor` lists with their versions and clocks."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.cli.doctor_gateways import on_database
from holdfast.core.errors import StoreError
from holdfast.distribution import version
from holdfast.gateway.on_database import DatabaseGateway, Presence, facts_of, gateways_on
from holdfast.store.memory import MemoryStore
from tables import rows


class Machine:
    """The clock of the database, with which a gateway's own agrees but for `ahead` seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.store = MemoryStore(clock=lambda: self.now)

    def gateway(self, name: str, ahead: float = 0.0) -> Presence:
        facts: dict[str, Any] = facts_of(name, 4141)
        return Presence(self.store, facts, clock=lambda: self.now + ahead)

    def listed(self) -> list[tuple[str, float]]:
        return [(each.instance, each.ahead) for each in gateways_on(self.store)]


def test_a_gateway_is_listed_with_its_clock_as_long_as_it_says_so() -> None:
    machine = Machine()
    first, second = machine.gateway("a"), machine.gateway("b", ahead=75.0)
    for _ in range(5):
        first.renew()
        second.renew()
        assert machine.listed() == [("a", 0.0), ("b", 75.0)]
        machine.now += 20.0
    first.end()
    assert machine.listed() == [("b", 75.0)]
    machine.gateway("c").renew()
    assert machine.listed() == [("c", 0.0), ("b", 75.0)], "a place is used again, so that rows do not grow"
    machine.now += 60.0  # killed: nobody ends its lease
    assert machine.listed() == []


def test_more_gateways_than_places_and_a_store_that_is_away_disturb_nobody() -> None:
    machine = Machine()
    every = [machine.gateway(str(number)) for number in range(70)]
    for gateway in every:
        gateway.renew()
    assert len(machine.listed()) == 64
    machine.store.close()
    for gateway in (every[0], every[-1]):
        gateway.renew()
        gateway.end()
    with pytest.raises(StoreError):
        machine.listed()


def test_an_owner_of_another_version_that_cannot_be_read_is_left_out() -> None:
    machine = Machine()
    for number, owner in enumerate(("?", "{}", '{"now": 1, "more": 2}', "[]"), start=1):
        assert machine.store.lease(f"gateway-{number}", owner, 60.0)
    assert machine.listed() == []


@rows(
    "ahead, of, level, text",
    [
        (0.0, version(), "ok", "uses this database"),
        (-1.9, version(), "ok", "uses this database"),
        (0.0, "0.0.9", "note", "is of another version than this command"),
        (75.0, version(), "wrong", "its clock is 75 s ahead of the database's"),
        (-90.4, "0.0.9", "wrong", "its clock is 90 s behind the database's"),
    ],
)
def test_doctor_tells_another_version_and_a_clock_that_differs(
    ahead: float, of: str, level: str, text: str
) -> None:
    finding = on_database(DatabaseGateway("i", "host-7:4141", 12, of, ahead))
    assert finding.level == level
    assert text in finding.what
    assert "at host-7:4141 (process 12, version" in finding.what
    assert (not finding.run) == (level == "ok")
    assert ("host-7" in finding.run) == (level != "ok")
