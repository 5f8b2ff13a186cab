"""The gateway's log on standard error: one JSON object a line for events that an operator may have to act on.

It never holds a key or a prompt. Faults, fallbacks, refusals, reloads, start and end are always logged, a
line for every request only on demand. A thread of its own writes: while standard error is read too slowly,
lines are dropped (their number is logged), and no request waits.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ...core.steps import Outcome
from ...engine.background import BackgroundWorker
from ...secrecy.masking import redacted
from ...values.plain_text import plain_json
from ...values.secret import Secret

if TYPE_CHECKING:
    from ..ports import FinishedRequest

_Line = tuple[float, str, str, dict[str, object]]
"""Time in epoch seconds, event, level and facts."""
_QUEUE = 10_000
"""Lines that wait at most."""
_PATIENCE = 2.0
"""Seconds in which `close` writes what is queued."""
_LONGEST = 2000
"""Characters of one value."""
_REFUSALS_A_SECOND = 20
_MOST_FRAMES = 12


class Log:
    """The log of one process.

    `known` returns the secrets that must not be written, whatever shape they have. `access` asks for a line
    for every request.
    """

    def __init__(
        self,
        known: Callable[[], Iterable[Secret]] = tuple,
        *,
        access: bool = False,
        write: Callable[[bytes], object] | None = None,
    ) -> None:
        self._known, self.access = known, access
        self._write = write or _to_stderr
        self._worker: BackgroundWorker[_Line] = BackgroundWorker(
            "holdfast-log", self._put_all, most=_QUEUE, failed=_ignore
        )
        self._reported_lost = self._refused = self._unreported = 0
        self._second = 0

    def say(self, event: str, level: str = "info", /, **facts: object) -> None:
        """Write one line. Facts that are None or empty are left out."""
        self._worker.submit((time.time(), event, level, facts))

    def finished(self, done: FinishedRequest) -> None:
        """Write a line for a request that ended: if something went wrong or a fallback answered, or with
        `access`."""
        outcome = done.outcome
        if outcome is None:
            self._answered_here(done)
            return
        fault = done.broken or outcome.fault
        smooth = fault is None and not outcome.active_fallback and len(outcome.attempts) == 1
        if smooth and not self.access:
            return
        event, level = _event_of(done, outcome)
        connection = outcome.connection
        facts: dict[str, object] = {"pin": str(connection.pin)}
        if connection.key is not None:
            facts["key"] = connection.key.label
        facts["attempts"] = outcome.sends
        if fault is not None:
            facts["fault"], facts["provider_status"] = str(fault.kind), fault.status
        before = [attempt.fault for attempt in outcome.attempts if attempt.fault is not None]
        facts["before"] = [str(earlier.kind) for earlier in before if earlier is not fault]
        facts["from_memory"] = outcome.from_memory or None
        self.say(event, level, **_request(done), **facts)

    def _answered_here(self, done: FinishedRequest) -> None:
        """Write a line for a request that the gateway answered itself."""
        refused = done.status >= 400
        if not self.access and not (refused and self._may_report()):
            return
        event = "answered"
        if refused:
            event = "refused"
        self.say(event, **_request(done), code=done.code or None)

    def _may_report(self) -> bool:
        """Return whether one more refusal may be logged now, and count those that may not.

        Any client can cause any number of them.
        """
        second = int(time.monotonic())
        if second != self._second:
            self._report_rest()
            self._second, self._refused = second, 0
        self._refused += 1
        self._unreported += self._refused > _REFUSALS_A_SECOND
        return self._refused <= _REFUSALS_A_SECOND

    def _report_rest(self) -> None:
        if self._unreported:
            self.say("refused", "warning", more=self._unreported)
            self._unreported = 0

    def close(self) -> None:
        """Write what is queued, for a while, and end."""
        self._report_rest()
        self._worker.close(_PATIENCE)

    def _put_all(self, lines: Sequence[_Line]) -> None:
        for at, event, level, facts in lines:
            self._put(event, level, facts, at)
        lost = self._worker.lost
        if lost > self._reported_lost:
            self._put("log-lines-lost", "warning", {"count": lost - self._reported_lost}, time.time())
            self._reported_lost = lost

    def _put(self, event: str, level: str, facts: Mapping[str, object], at: float) -> None:
        with suppress(OSError):  # a closed stderr is no reason to stop serving
            self._write(line(event, level, facts, known=list(self._known()), at=at))


def line(
    event: str,
    level: str,
    facts: Mapping[str, object],
    *,
    known: Collection[Secret] = (),
    at: float | None = None,
) -> bytes:
    """Return one line of the log: a JSON object without values that are None or empty lists.

    The secrets in `known` are replaced. `at` is in epoch seconds, by default now.
    """
    if at is None:
        at = time.time()
    when = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at * 1000) % 1000:03d}Z"
    values: dict[str, object] = {"at": when, "level": level, "event": event, "pid": os.getpid()}
    for name, value in facts.items():
        if value is not None and value != []:
            values[name] = _clean(value, known)
    return plain_json(values).encode("utf-8", "replace") + b"\n"


class Bridge(logging.Handler):
    """Writes the warnings of the rest of the product, which uses `logging`, into the same log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level, what = record.levelname.lower(), record.getMessage()
        error = None
        if record.exc_info:
            error = record.exc_info[1]
        if error is None:
            self._log.say("warning", level, what=what)
            return
        # The error's class and stack, never its message: that may repeat what a client sent.
        frames = [*traceback.walk_tb(error.__traceback__)][-_MOST_FRAMES:]
        where = [_location(frame, number) for frame, number in frames]
        self._log.say("warning", level, what=what, error=type(error).__name__, where=where)


def _location(frame: FrameType, number: int) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{number} {frame.f_code.co_name}"


def _event_of(done: FinishedRequest, outcome: Outcome) -> tuple[str, str]:
    """Return the event and the level of a request that went to a provider."""
    if done.broken is not None:
        return "broken-stream", "warning"
    if outcome.fault is not None:
        return "fault", "warning"
    if outcome.active_fallback:
        return "fallback", "warning"
    if any(attempt.fault is not None for attempt in outcome.attempts):
        return "recovered", "info"
    return "answered", "info"


def _request(done: FinishedRequest) -> dict[str, object]:
    return {
        "request": done.request_id or None,
        "session": done.session or None,
        "route": done.route or None,
        "status": done.status,
        "seconds": round(done.seconds, 4),
        "streamed": done.streamed or None,
        "bytes": done.size,
        "client_closed": done.client_left or None,
    }


def _clean(value: object, known: Collection[Secret]) -> object:
    if isinstance(value, str):
        return redacted(value, known, limit=_LONGEST)
    if isinstance(value, list | tuple):
        return [_clean(item, known) for item in value]
    return value


def _ignore(_: Exception) -> None:
    """Ignore a failure to write: the log itself counts the line as lost."""


def _to_stderr(line: bytes) -> None:
    """Write a whole line at once, so that those of several workers do not mix (a pipe keeps 4 KiB
    together)."""
    os.write(sys.stderr.fileno(), line)
