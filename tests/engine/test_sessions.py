"""A choice and its journal line: one function makes both, for every caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine import sessions
from holdfast.engine.sessions import Reason
from holdfast.store.base import StaleSession
from holdfast.store.journal_events import (
    Detail,
    Event,
    SessionCreated,
    SessionHealed,
    SessionRemoved,
    SessionSwitched,
)
from holdfast.store.listing import BrokenSession
from holdfast.store.memory import MemoryStore

NOW = 1_750_000_000.0
ROW = Session("s", Pin.parse("p/m"), created_at=NOW, changed_at=NOW)
NEXT = ROW.choose(Pin.parse("q/m"), NOW + 1, "b")
PROJECT = Reason(project="/p/.holdfast.toml")


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    with MemoryStore(clock=lambda: NOW + 2) as store:
        yield store


def broken(store: MemoryStore, version: object = 3) -> BrokenSession:
    """A session whose row cannot be read."""
    store.save_session(replace(ROW, version=3), None)
    store._writer.execute("UPDATE session SET pin = 'custom/m', version = ?", [version])
    (broken,) = store.broken_sessions()
    return broken


CREATED = Event(NOW, SessionCreated(), "s", pin="p/m")
SWITCHED = Event(NOW + 1, SessionSwitched(before="p/m", key="b"), "s", pin="q/m")


@pytest.mark.parametrize(
    ("change", "row", "events"),
    [
        (lambda store: sessions.create(store, ROW), ROW, [CREATED]),
        (
            lambda store: sessions.create(store, ROW, PROJECT),
            ROW,
            [CREATED._replace(detail=SessionCreated(project=PROJECT.project))],
        ),
        (lambda store: sessions.pin(store, None, ROW), ROW, [CREATED]),
        (
            lambda store: (sessions.create(store, ROW), sessions.switch(store, ROW, NEXT)),
            NEXT,
            [CREATED, SWITCHED],
        ),
        (
            lambda store: (
                sessions.create(store, ROW),
                sessions.pin(store, ROW, replace(NEXT, created_at=9.0)),
            ),
            NEXT,
            [CREATED, SWITCHED],
        ),
        (
            lambda store: sessions.pin(store, broken(store), ROW),
            replace(ROW, version=4),
            [Event(NOW, SessionHealed(before="custom/m"), "s", pin="p/m")],
        ),
        (
            lambda store: (sessions.create(store, ROW), sessions.remove(store, ROW)),
            None,
            [CREATED, Event(NOW + 2, SessionRemoved(), "s", pin="p/m")],
        ),
        (lambda store: sessions.remove(store, broken(store)), None, [Event(NOW + 2, SessionRemoved(), "s")]),
    ],
)
def test_every_choice_is_stored_and_journalled_in_one_step(
    store: MemoryStore,
    change: Callable[[MemoryStore], object],
    row: Session | None,
    events: list[Event[Detail]],
) -> None:
    change(store)
    assert store.session("s") == row
    assert store.journal() == events


@pytest.mark.parametrize(
    "change",
    [
        lambda store: sessions.create(store, NEXT),
        lambda store: sessions.pin(store, None, NEXT),
        lambda store: sessions.switch(store, replace(ROW, version=7), replace(NEXT, version=8)),
        lambda store: sessions.pin(store, BrokenSession("s", {"version": 7}, "why"), NEXT),
        lambda store: sessions.pin(store, BrokenSession("s", {"version": "many"}, "why"), NEXT),
    ],
)
def test_a_choice_that_another_one_overtook_is_refused_and_not_journalled(
    store: MemoryStore, change: Callable[[MemoryStore], object]
) -> None:
    sessions.create(store, ROW)
    with pytest.raises(StaleSession):
        change(store)
    assert store.session("s") == ROW
    assert store.journal() == [CREATED]


def test_a_session_that_is_gone_already_is_not_journalled_as_removed(store: MemoryStore) -> None:
    assert sessions.remove(store, ROW) is False
    assert store.journal() == []
