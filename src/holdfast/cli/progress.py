"""What a command waits for, told on a terminal from the second second on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from ..values.plain_text import plain

_EVERY = 1.0
"""Seconds between two lines; before the first, nothing is told."""
_CLEAR = "\r\x1b[K"


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Tell on standard error what is waited for and for how long, in one line that is removed at the end. A
    file, and a terminal that cannot remove a line, get nothing."""
    if not _is_shown():
        yield
        return
    ended = Event()
    teller = Thread(target=_tell, args=(plain(what), ended), daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _is_shown() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _tell(what: str, ended: Event) -> None:
    seconds = 0
    while not ended.wait(_EVERY):
        seconds += 1
        sys.stderr.write(f"{_CLEAR}{what} ({seconds} s)")
        sys.stderr.flush()
    if seconds:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()
