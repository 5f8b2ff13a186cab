"""Work beside the requests: each name once, in order, and none lost when it is asked for while we close."""

from __future__ import annotations

import threading

from holdfast.engine.background import BackgroundWorker


def test_what_is_asked_for_while_we_close_is_done_and_may_be_asked_for_again() -> None:
    failed: list[Exception] = []
    later = BackgroundWorker(failed.append)
    begun, go_on, done = threading.Event(), threading.Event(), threading.Semaphore(0)

    def long() -> None:
        begun.set()
        go_on.wait(5)

    later.do("long", long)
    assert begun.wait(5)
    later.do("before", done.release)
    later.close(patience=0)
    later.do("after", done.release)
    go_on.set()
    assert all(done.acquire(timeout=5) for _ in range(2))
    later.do("after", done.release)
    assert done.acquire(timeout=5)
    assert later.settle()
    later.close()
    assert failed == []


def test_closing_twice_and_before_anything_was_asked_for_is_nothing() -> None:
    failed: list[Exception] = []
    later = BackgroundWorker(failed.append)
    later.close()
    assert later.settle()
    later.close()
    later.close()
    assert failed == []
