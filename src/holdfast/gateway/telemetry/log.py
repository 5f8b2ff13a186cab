"""The gateway's log: one JSON object a line on stderr, for what somebody may have to act on. Never a key,
never a prompt.

Faults, fallbacks, refusals, reloads, start and end are written always, one line for every request only where
it was asked for. A thread of its own writes: a reader of stderr that is slow costs lines (how many is told),
never a request."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.secret import Secret, redact
from ...engine.background import BackgroundWorker

if TYPE_CHECKING:
    from ..ports import FinishedRequest

_Line = tuple[float, str, str, dict[str, object]]
"""When, the event, its level and its facts."""
_QUEUE = 10_000
_PATIENCE = 2.0
_LONGEST = 2000
_REFUSALS_A_SECOND = 20
_MOST_FRAMES = 12


class Log:
    """One per process. `known` gives the secrets that must not be written, whatever shape they have. `close`
    writes what is left."""

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
            "holdfast-log", self._put_all, most=_QUEUE, failed=_nobody_reads
        )
        self._told_lost = self._refused = self._untold = 0
        self._second = 0

    def say(self, event: str, level: str = "info", /, **facts: object) -> None:
        """Write one line. Facts that are None or empty are left out."""
        self._worker.submit((time.time(), event, level, facts))

    def finished(self, done: FinishedRequest) -> None:
        """Write a line for a request that ended: if something went wrong or a fallback answered, or with
        `access`."""
        outcome = done.outcome
        if outcome is None:
            if self.access or (done.status >= 400 and self._may_tell()):
                self.say(
                    "answered" if done.status < 400 else "refused",
                    **_request(done),
                    code=getattr(done, "code", None) or None,
                )
            return
        fault = outcome.fault
        if (
            fault is None
            and done.broken is None
            and not self.access
            and not outcome.active_fallback
            and len(outcome.attempts) == 1
        ):
            return
        if fault is not None:
            event, level = "fault", "warning"
        elif outcome.active_fallback:
            event, level = "fallback", "warning"
        else:
            event, level = "answered", "info"
        failed = [one for one in outcome.attempts if one.fault is not None]
        if event == "answered" and failed:
            event = "recovered"
        if done.broken is not None:
            event, level, fault = "broken-stream", "warning", done.broken
        connection = outcome.connection
        self.say(
            event,
            level,
            **_request(done),
            pin=str(connection.pin),
            key=connection.key.label if connection.key is not None else None,
            attempts=outcome.sends,
            fault=str(fault.kind) if fault is not None else None,
            provider_status=fault.status if fault is not None else None,
            before=[
                str(one.fault.kind) for one in failed if one.fault is not None and one.fault is not fault
            ],
            from_memory=outcome.from_memory or None,
        )

    def _may_tell(self) -> bool:
        """Whether one more refusal may be told now: anybody can cause any number of them. Those left out are
        counted."""
        second = int(time.monotonic())
        if second != self._second:
            self._tell_untold()
            self._second, self._refused = second, 0
        self._refused += 1
        self._untold += self._refused > _REFUSALS_A_SECOND
        return self._refused <= _REFUSALS_A_SECOND

    def _tell_untold(self) -> None:
        if self._untold:
            self.say("refused", "warning", more=self._untold)
            self._untold = 0

    def close(self) -> None:
        """Write what is queued, for a while, and end."""
        self._tell_untold()
        self._worker.close(_PATIENCE)

    def _put_all(self, lines: Sequence[_Line]) -> None:
        for at, event, level, facts in lines:
            self._put(event, level, facts, at)
        lost = self._worker.lost
        if lost > self._told_lost:
            self._put("log-lines-lost", "warning", {"count": lost - self._told_lost}, time.time())
            self._told_lost = lost

    def _put(self, event: str, level: str, facts: Mapping[str, object], at: float) -> None:
        with suppress(OSError):  # nobody reads stderr any more: that is no reason to stop serving
            self._write(line(event, level, facts, list(self._known()), at))


def line(
    event: str, level: str, facts: Mapping[str, object], known: Collection[Secret], at: float | None = None
) -> bytes:
    """One line of the log: a JSON object without what is None or empty, and without a secret."""
    now = time.time() if at is None else at
    when = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
    told = {name: _clean(value, known) for name, value in facts.items() if value is not None and value != []}
    return (
        json.dumps(
            {"at": when, "level": level, "event": event, "pid": os.getpid(), **told},
            ensure_ascii=False,
            default=str,
        ).encode("utf-8", "replace")
        + b"\n"
    )


class Bridge(logging.Handler):
    """What the rest of the product warns of, in the same log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        # Where it was and of which kind, never what it said: that may repeat what a client sent.
        frames = [*traceback.walk_tb(error.__traceback__)][-_MOST_FRAMES:] if error is not None else []
        where = [
            f"{Path(frame.f_code.co_filename).name}:{number} {frame.f_code.co_name}"
            for frame, number in frames
        ]
        self._log.say(
            "warning",
            record.levelname.lower(),
            what=record.getMessage(),
            error=type(error).__name__ if error is not None else None,
            where=where,
        )


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
        return redact(value, known, limit=_LONGEST)
    if isinstance(value, list | tuple):
        return [_clean(one, known) for one in value]
    return value


def _nobody_reads(_: Exception) -> None:
    """Tell nobody of a line that could not be made: it would be told in this very log, which counts it as
    lost."""


def _to_stderr(line: bytes) -> None:
    """Whole lines, so that those of several workers do not mix (pipes keep up to 4 KiB together)."""
    os.write(sys.stderr.fileno(), line)
