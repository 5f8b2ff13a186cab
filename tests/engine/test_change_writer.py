"""What requests learnt is stored behind them: gathered, by subject, and again until the store takes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from holdfast.core.changes import (
    Change,
    Cooldown,
    CooldownStarted,
    FallbackEnded,
    FallbackStarted,
    KeyFailed,
    KeyKept,
    KeySucceeded,
)
from holdfast.core.faults import Fault, FaultClass
from holdfast.core.health import HealthRegistry
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine import change_writer
from holdfast.engine.change_writer import ChangeWriter, take_again
from holdfast.store.base import StoreAway
from holdfast.store.memory import MemoryStore

if TYPE_CHECKING:
    import pytest

URL = "https://p.example/v1"
FAULT = Fault(FaultClass.RATE_LIMITED)


class Noting(MemoryStore):
    """A store that notes what it is told, unless it is away."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[float, list[Change]]] = []
        self.away = False

    def apply(self, changes: Iterable[Change], at: float) -> None:
        if self.away:
            raise StoreAway("it is away")
        self.told.append((at, [*changes]))


def cooled(subject: str, since: float) -> CooldownStarted:
    return CooldownStarted(Cooldown(subject, since + 60, since, 1, FAULT))


def is_soon(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not true() and time.monotonic() < until:
        time.sleep(0.002)
    return true()


def test_changes_gather_and_of_two_about_one_subject_the_later_is_stored() -> None:
    with Noting() as store:
        writer = ChangeWriter(store, print)
        writer.add([cooled("a", 1.0), KeyKept("s", "k1")], 1.0)
        writer.add([cooled("a", 2.0), cooled("b", 2.0), KeyKept("s", "k2")], 2.0)
        writer.add([KeyFailed("f", URL, FaultClass.AUTH_REJECTED, 3.0), FallbackEnded("s")], 3.0)
        assert is_soon(lambda: not writer.waiting)
        assert [change for _, changes in store.told for change in changes] == [
            cooled("a", 2.0),
            cooled("b", 2.0),
            KeyFailed("f", URL, FaultClass.AUTH_REJECTED, 3.0),
            KeyKept("s", "k2"),
            FallbackEnded("s"),
        ]
        assert [at for at, _ in store.told][1:] == [2.0, 3.0], (
            "what is about a session has its request's time"
        )
        writer.close()


def test_the_first_keys_of_many_sessions_are_stored_at_once_each_by_its_own_requests_time() -> None:
    pin = Pin.parse("p/m")
    with Noting() as store:
        store.create_sessions(
            (Session(name, pin, kept_key=kept, changed_at=chosen), ())
            for name, kept, chosen in (
                ("a", None, 1.0),
                ("b", None, 1.0),
                ("late", None, 9.0),
                ("has", "k0", 1.0),
            )
        )
        writer = ChangeWriter(store, print)
        for number, name in enumerate(("a", "b", "late", "has", "gone")):
            writer.add([KeyKept(name, "k1"), FallbackEnded(name)], 2.0 + number)
        writer.flush()
        writer.close()
        kept = {session.id: session.kept_key for session in store.sessions()}
        assert kept == {"a": "k1", "b": "k1", "late": None, "has": "k0"}
        left = [
            change.session for _, all_of in store.told for change in all_of if isinstance(change, KeyKept)
        ]
        assert left == ["late", "has", "gone"], "the usual way decides about these"
        assert sum(isinstance(change, FallbackEnded) for _, all_of in store.told for change in all_of) == 5


def test_what_the_store_did_not_take_is_stored_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_writer, "_LATER", 0.001)
    errors: list[Any] = []
    with Noting() as store:
        store.away = True
        writer = ChangeWriter(store, errors.append)
        writer.add([FallbackStarted("s", "q/m", "why", 60.0)], 1.0)
        assert is_soon(lambda: len(errors) > 2)
        assert [each.change.session for each in writer.of("s")] == ["s"]  # type: ignore[union-attr]
        store.away = False
        assert is_soon(lambda: not writer.waiting)
        assert store.told == [(1.0, [FallbackStarted("s", "q/m", "why", 60.0)])]
        writer.close()
        assert writer.lost == 0


def test_what_waits_is_bounded_and_what_is_lost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_writer, "_MOST", 3)
    monkeypatch.setattr(change_writer, "_AT_LAST", 0.5)
    with Noting() as store:
        store.away = True
        writer = ChangeWriter(store, lambda _: None)
        writer.add([KeyKept(f"s{number}", "k") for number in range(5)], 1.0)
        assert [getattr(change, "session", "") for change in writer.waiting] == ["s2", "s3", "s4"]
        writer.close()
        assert writer.lost == 5


def test_what_is_not_stored_yet_counts_after_everything_was_read_again() -> None:
    health = HealthRegistry(
        [], [Cooldown("later", 99.0, 9.0, 1, FAULT), Cooldown("earlier", 99.0, 1.0, 1, FAULT)]
    )
    good = KeySucceeded("f", URL, "m", "", at=2.0, durable=True)
    take_again(health, [cooled("later", 5.0), cooled("earlier", 5.0), good])
    since = {name: verdict.since for name in ("later", "earlier") if (verdict := health.cooled(name))}
    assert since == {"later": 9.0, "earlier": 5.0}
