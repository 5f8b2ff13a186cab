"""The configuration of a running process: read again when its file changes, kept when the new file is
broken."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..config import Home
from ..config import load as load_config
from ..config import revision as config_revision
from ..core.config import Config
from ..core.errors import ConfigError
from .background import BackgroundWorker, renew_after_fork

_LOOK_EVERY = 0.5
"""Seconds between two looks at the file."""
_TURN = 0.0005
"""Seconds after which a thread that reads the file lets the others go on. With Python's own 5 ms a request
waits for 60 ms, since it waits for its turn several times."""


class ConfigWatch:
    """The configuration in force. Thread-safe.

    With `serving`, a configuration to start with, a broken file does not end the process: the last good
    configuration stays in force, and `error` says what is wrong with the file. A file that changed is read on
    a thread of ours then, while requests go on with the last good one: reading a thousand providers takes a
    tenth of a second."""

    def __init__(self, home: Home, serving: Config | None = None) -> None:
        self._home = home
        self.serving = serving is not None
        self.error: ConfigError | None = None
        self.last: Config = serving or Config()
        self._due = 0.0
        """The time of the next look at the file (monotonic seconds)."""
        self._seen: object = self  # equal to no revision of a file
        self._lock = threading.RLock()
        self._reader: BackgroundWorker[None] = BackgroundWorker("holdfast-config", self._read, most=1)
        if self.serving:
            self._read()

    @property
    def is_current(self) -> bool:
        """Return whether `current` returns at once."""
        return self.serving or time.monotonic() < self._due

    def current(self) -> Config:
        """Return the configuration in force. Raises ConfigError for a broken file unless `serving`."""
        if time.monotonic() >= self._due:
            if self.serving:
                self._due = time.monotonic() + _LOOK_EVERY
                self._reader.submit(None)
            else:
                self._read()
        return self.last

    def expire(self) -> None:
        """Make what was just written count from the next `current` on. While `serving`, waits until it is
        read."""
        self._due = 0.0
        if self.serving:
            self._read()

    def close(self) -> None:
        """End the thread."""
        self._reader.close(0.0)

    def renew(self) -> None:
        """Replace the lock in a forked child: a thread of the parent may have held it."""
        self._lock = threading.RLock()

    def _read(self, _: Sequence[None] = ()) -> None:
        """Read the file if it has changed. Raises ConfigError unless `serving`."""
        with self._lock:
            if self.serving:
                with _turns.short():
                    self._read_if_changed()
            else:
                self._read_if_changed()
            self._due = time.monotonic() + _LOOK_EVERY

    def _read_if_changed(self) -> None:
        seen = config_revision(self._home)
        if seen == self._seen:
            return
        try:
            self.last = load_config(self._home, in_use=self.serving and bool(self.last.providers))
            self.error = None
        except ConfigError as error:
            if not self.serving:
                raise
            self.error = error
        self._seen = seen


class _Turns:
    """Lets the other threads of a process that is ours go on soon while some read their configuration,
    whatever these do. Python knows one time for all threads: the last reader sets the usual one again."""

    def __init__(self) -> None:
        self._lock, self._readers, self._usual = threading.Lock(), 0, 0.0
        renew_after_fork(self)

    def renew(self) -> None:
        """Forget the readers, in a forked child, which has none of them."""
        if self._readers:
            sys.setswitchinterval(self._usual)
        self._lock, self._readers = threading.Lock(), 0

    @contextmanager
    def short(self) -> Iterator[None]:
        """Keep the turns short until the end of the block."""
        with self._lock:
            if not self._readers:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(_TURN, self._usual))
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    sys.setswitchinterval(self._usual)


_turns = _Turns()
