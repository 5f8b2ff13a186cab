"""The journal writer takes the journal off the request's path, and delays no request when its home is
closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast.core.changes import Change, KeySucceeded
from holdfast.engine import journal_writer
from holdfast.engine.journal_writer import JournalWriter
from holdfast.store.base import StoreAway
from holdfast.store.batch import Batch
from holdfast.store.journal_events import Event, SessionCreated
from holdfast.store.memory import MemoryStore
from holdfast.testing import FakeClock

if TYPE_CHECKING:
    import pytest


def test_closing_while_the_writer_gathers_waits_for_what_is_queued_and_no_longer() -> None:
    for pause in (0.0, 0.01, 0.03, 0.06):
        store = MemoryStore()
        journal_writer = JournalWriter(store)
        journal_writer.journal(lambda: [Event(1.0, SessionCreated(), "s1")])
        time.sleep(pause)
        began = time.monotonic()
        journal_writer.close()
        assert time.monotonic() - began < 1.0
        assert [event.session for event in store.journal(session="s1")] == ["s1"]


def test_who_keeps_the_store_small_hears_of_each_write_and_of_a_clock_that_was_set_back() -> None:
    clock, heard = FakeClock(), []
    store = MemoryStore(clock=clock)
    writer = JournalWriter(store)
    writer.wrote = heard.append
    for hours in (0.0, 23.0, -0.01, -1.0, 25.0):
        clock.advance(hours * 3600.0)
        writer.journal(lambda: [Event(clock.now, SessionCreated(), "s1")])
        writer.flush()
    writer.close()
    assert heard == [False, False, False, True, False]


def test_closing_does_not_wait_for_more_to_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_writer, "_GATHER", 10.0)
    store = MemoryStore()
    writer = JournalWriter(store)
    writer.journal(lambda: [Event(1.0, SessionCreated(), "s1")])
    time.sleep(0.02)
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 2.0
    assert len(store.journal(session="s1")) == 1


def test_a_store_that_answers_nothing_holds_up_neither_requests_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_writer, "_GATHER", 0.0)
    monkeypatch.setattr(journal_writer, "_PATIENCE", 0.05)
    go_on, begun = threading.Event(), threading.Event()

    class Stuck(MemoryStore):
        def record(self, events: Iterable[Event], batch: Batch | None = None) -> None:
            begun.set()
            go_on.wait(30)

    writer = JournalWriter(Stuck())
    writer.journal(lambda: [Event(1.0, SessionCreated(), "s1")])
    assert begun.wait(10)
    writer.journal(lambda: [Event(1.0, SessionCreated(), "s2")])
    began = time.monotonic()
    writer.close()
    assert time.monotonic() - began < 5.0
    go_on.set()


def test_a_change_of_evidence_is_written_before_the_lines_that_tell_of_it() -> None:
    written: list[object] = []

    class Noting(MemoryStore):
        def apply(self, changes: Iterable[Change], at: float) -> None:
            written.extend((*changes, at))

        def record(self, events: Iterable[Event], batch: Batch | None = None) -> None:
            written.extend(event.session for event in events)

    writer = JournalWriter(Noting())
    change = KeySucceeded("f", "https://mimo.example/v1", "m1", "", 5.0, durable=True)
    writer.journal(lambda: [Event(1.0, SessionCreated(), "s1")])
    writer.changes.add([change], 7.0)
    writer.close()
    assert written == [change, 7.0, "s1"]


def test_a_line_that_cannot_be_made_costs_its_batch_and_not_the_writer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    writer = JournalWriter(store)
    writer.journal(lambda: [Event(1.0, SessionCreated(), "s1") for _ in range(1 // 0)])
    writer.flush()
    writer.journal(lambda: [Event(1.0, SessionCreated(), "s2")])
    writer.close()
    assert [event.session for event in store.journal()] == ["s2"]
    assert "requests continue" in caplog.text


def test_lines_wait_for_a_store_that_is_away_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_writer, "_QUEUE", 3)

    class Away(MemoryStore):
        away = True

        def record(self, events: Iterable[Event], batch: Batch | None = None) -> None:
            if self.away:
                raise StoreAway("it is away")
            super().record(events, batch)

    store = Away()
    writer = JournalWriter(store)
    for number in range(3):
        writer.journal(lambda name=f"s{number}": [Event(1.0, SessionCreated(), name)])
    writer.flush()
    assert (writer.waiting, writer.lost) == (3, 0)
    writer.journal(lambda: [Event(2.0, SessionCreated(), "s3")])
    store.away = False
    writer.flush()
    assert [event.session for event in store.journal()] == ["s1", "s2", "s3"]
    assert (writer.waiting, writer.lost) == (0, 1)
    store.away = True
    writer.journal(lambda: [Event(3.0, SessionCreated(), "s4")])
    writer.close()
    assert writer.lost == 2


def test_a_line_that_was_written_although_the_call_was_cut_is_not_written_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_writer, "_AT_ONCE", 2)

    class Cut(MemoryStore):
        cut = False

        def record(self, events: Iterable[Event], batch: Batch | None = None) -> None:
            super().record(events, batch)
            if self.cut:
                raise StoreAway("it was cut; what was to be stored may be stored all the same")

    store = Cut()
    writer = JournalWriter(store)
    for number, store.cut in enumerate((True, True, False, True)):
        for name in ("a", "b", "c"):
            writer.journal(lambda name=f"{number}{name}": [Event(1.0, SessionCreated(), name)])
        writer.flush()
    store.cut = False
    writer.close()
    assert [event.session for event in store.journal()] == [f"{n}{name}" for n in range(4) for name in "abc"]
    assert writer.lost == 0
