"""The store without a file: the SQLite store on `:memory:`, so that there is one implementation.

For tests, and for users of the library who want nothing on disk. The threads of one process share it; it ends
with the process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from . import sql
from .feed import Revision
from .sqlite import SqliteStore, connect, migrate


class MemoryStore(SqliteStore):
    """A `Store` that is lost when it is closed. A forked child continues with a copy of its own."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(Path(":memory:"), clock=clock)

    def _open(self) -> None:
        self._patience = {}
        self._writer = self._reader = connect(":memory:")
        migrate(self._writer, self.path)
        self._share()

    def _share(self) -> None:
        self._pid = os.getpid()
        self._writing = self._reading = threading.Lock()

    def _here(self) -> None:
        if self._pid != os.getpid():
            self._share()

    def glance(self) -> Revision | None:
        return self.revision()

    def revision(self) -> Revision:
        """Read each time: a connection does not see its own commits in `data_version`."""
        return Revision(*self._read(sql.revision(), {})[0])
