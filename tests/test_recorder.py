"""The recorder takes the journal off the request's path, and holds nobody up when its home is closed."""

from __future__ import annotations

import time

from holdfast.core.events import Event, EventKind
from holdfast.recorder import Recorder
from holdfast.store.memory import MemoryStore


def test_closing_while_the_writer_gathers_waits_for_what_is_queued_and_no_longer() -> None:
    for pause in (0.0, 0.01, 0.03, 0.06):
        store = MemoryStore()
        recorder = Recorder(store)
        recorder.journal(lambda: [Event(1.0, EventKind.CREATED, "s1")])
        time.sleep(pause)
        began = time.monotonic()
        recorder.close()
        assert time.monotonic() - began < 1.0
        assert [event.session for event in store.journal(session="s1")] == ["s1"]
