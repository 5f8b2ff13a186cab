"""Work beside the requests: in order, bounded, never waited for, and none lost when it is asked for while
we close."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import pytest

from holdfast.engine.background import BackgroundWorker, NamedJobs


class Desk:
    """Work that can be held up; what was done, in the portions in which it came."""

    def __init__(self) -> None:
        self.portions: list[list[object]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def work(self, entries: Sequence[object]) -> None:
        self.begun.set()
        assert self.go_on.wait(10)
        self.portions.append([*entries])
        for entry in entries:
            if isinstance(entry, Exception):
                raise entry

    @property
    def done(self) -> list[object]:
        return [entry for portion in self.portions for entry in portion]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_entries_are_worked_on_in_order_and_together(desk: Desk) -> None:
    worker = BackgroundWorker("test", desk.work, most=10, gather=10.0)
    for number in range(5):
        worker.submit(number)
    assert worker.waiting == 5
    assert worker.close(10)
    assert desk.portions == [[0, 1, 2, 3, 4]]
    assert (worker.waiting, worker.lost, worker.failures) == (0, 0, 0)


def test_a_full_queue_costs_the_oldest_and_counts_it(desk: Desk) -> None:
    worker = BackgroundWorker("test", desk.work, most=3, gather=10.0)
    for number in range(5):
        worker.submit(number)
    worker.flush()
    assert (desk.done, worker.lost) == ([2, 3, 4], 2)
    worker.close(10)


def test_submitting_never_waits_and_closing_waits_no_longer_than_it_may(desk: Desk) -> None:
    desk.go_on.clear()
    worker = BackgroundWorker("test", desk.work, most=None)
    worker.submit(1)
    assert desk.begun.wait(10)
    worker.submit(2)
    assert not worker.flush(0.0), "another thread is at it"
    assert not worker.close(0.01)
    desk.go_on.set()
    assert worker.close(10)
    assert desk.done == [1, 2]


def test_an_error_is_counted_and_reported_once_and_ends_nothing(desk: Desk) -> None:
    errors: list[Exception] = []
    worker = BackgroundWorker("test", desk.work, most=10, failed=errors.append)
    for number in range(3):
        worker.submit(ValueError(str(number)))
        worker.flush()
    worker.submit("good")
    assert worker.close(10)
    assert (desk.done[-1], worker.failures, worker.lost) == ("good", 3, 3)
    assert [str(error) for error in errors] == ["0"]


def test_an_error_without_a_handler_is_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    worker = BackgroundWorker("holdfast-test", desk.work, most=10)
    worker.submit(ValueError("a full disk"))
    worker.close(10)
    assert "holdfast-test: error in background work, continuing: a full disk" in caplog.text


@pytest.mark.parametrize("rounds", [1, 20])
def test_what_is_submitted_after_closing_is_worked_on_too(desk: Desk, rounds: int) -> None:
    worker = BackgroundWorker("test", desk.work, most=None)
    for number in range(rounds):
        worker.submit(number)
        assert worker.close(10)
    assert desk.done == [*range(rounds)]


def test_closing_waits_for_a_thread_that_is_just_about_to_start(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = BackgroundWorker("test", desk.work, most=10)
    about_to, go_on = threading.Event(), threading.Event()
    closed: list[bool] = []
    submitting = threading.Thread(target=worker.submit, args=(1,))
    closing = threading.Thread(target=lambda: closed.append(worker.close(10)))
    start = threading.Thread.start

    class Slow(threading.Thread):
        def start(self) -> None:
            about_to.set()
            assert go_on.wait(10)
            start(self)

    monkeypatch.setattr(threading, "Thread", Slow)
    start(submitting)
    assert about_to.wait(10)
    start(closing)
    closing.join(0.05)
    go_on.set()
    closing.join(10)
    submitting.join(10)
    assert (closed, desk.done) == ([True], [1])


def test_closing_from_within_the_work_is_no_deadlock() -> None:
    closed: list[bool] = []
    worker: BackgroundWorker[int] = BackgroundWorker(
        "test", lambda _: closed.append(worker.close(10)), most=None
    )
    worker.submit(1)
    assert worker.close(10)
    assert closed == [True]


def test_the_thread_of_a_worker_without_users_ends(desk: Desk) -> None:
    worker = BackgroundWorker("to be forgotten", desk.work, most=None)
    worker.submit(1)
    worker.flush()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "to be forgotten"]
    del worker
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="nobody forks here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_begins_anew_and_leaves_its_parent_what_is_its_own(desk: Desk) -> None:
    worker = BackgroundWorker("test", desk.work, most=None, gather=10.0)
    jobs = NamedJobs("jobs", lambda error: None)
    begun, go_on = threading.Event(), threading.Event()
    jobs.submit("busy", lambda: (begun.set(), go_on.wait(10)))
    assert begun.wait(10)
    jobs.submit("same", lambda: None)
    worker.submit("the parent's")
    child = os.fork()
    if child == 0:
        done = threading.Event()
        jobs.submit("same", done.set)
        worker.submit("the child's")
        fine = done.wait(10) and worker.close(10) and desk.done == ["the child's"]
        os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    jobs.close(10)
    assert worker.close(10)
    assert desk.done == ["the parent's"]


def test_what_is_queued_at_the_end_of_the_process_is_worked_on_where_that_was_asked_for() -> None:
    code = (
        "from holdfast.engine.background import BackgroundWorker\n"
        "kept = BackgroundWorker('a', lambda entries: print(*entries, flush=True), most=9, gather=60.0, "
        "at_exit=True)\n"
        "left = BackgroundWorker('b', lambda entries: print('never', flush=True), most=9, gather=60.0)\n"
        "kept.submit('worked on'); left.submit(1)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert (ended.stdout, ended.stderr) == ("worked on\n", "")


# -- jobs by name


@pytest.fixture
def jobs() -> tuple[NamedJobs, list[Exception]]:
    failed: list[Exception] = []
    return NamedJobs("test", failed.append), failed


def test_what_is_asked_for_while_we_close_is_done_and_may_be_asked_for_again(
    jobs: tuple[NamedJobs, list[Exception]],
) -> None:
    later, failed = jobs
    begun, go_on, done = threading.Event(), threading.Event(), threading.Semaphore(0)

    def long() -> None:
        begun.set()
        go_on.wait(5)

    later.submit("long", long)
    assert begun.wait(5)
    later.submit("before", done.release)
    later.close(patience=0)
    later.submit("after", done.release)
    go_on.set()
    assert all(done.acquire(timeout=5) for _ in range(2))
    later.submit("after", done.release)
    assert done.acquire(timeout=5)
    assert later.settle()
    later.close()
    assert failed == []


def test_closing_twice_and_before_anything_was_asked_for_is_nothing(
    jobs: tuple[NamedJobs, list[Exception]],
) -> None:
    later, failed = jobs
    later.close()
    assert later.settle()
    later.close()
    later.close()
    assert failed == []


def test_a_name_waits_once_and_a_job_that_fails_holds_up_no_other(
    jobs: tuple[NamedJobs, list[Exception]],
) -> None:
    later, failed = jobs
    begun, go_on, done = threading.Event(), threading.Event(), []

    def job(name: str) -> Callable[[], object]:
        return lambda: done.append(name)

    later.submit("long", lambda: (begun.set(), go_on.wait(5)))
    assert begun.wait(5)
    later.submit("bad", lambda: 1 // 0)
    for _ in range(3):
        later.submit("a", job("a"))
        later.submit("b", job("b"))
    go_on.set()
    assert later.settle()
    assert (done, [type(error) for error in failed]) == (["a", "b"], [ZeroDivisionError])
    later.submit("a", job("a"))
    assert later.settle()
    assert done == ["a", "b", "a"]
