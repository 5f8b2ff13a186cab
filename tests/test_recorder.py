"""The recorder takes the journal off the request's path, and holds nobody up when its home is closed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from holdfast.engine import journal_writer
from holdfast.engine.journal_writer import JournalWriter
from holdfast.store.journal_events import Event, SessionCreated
from holdfast.store.memory import MemoryStore

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
    assert "requests go on" in caplog.text
