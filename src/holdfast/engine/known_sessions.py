"""The sessions that a process has in memory: those that were used last. A row is replaced when it changes,
never dropped first, so that a session goes on while the store is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..core.changes import Change, FallbackEnded, FallbackStarted, KeyKept, KeySucceeded
from ..core.identity import Pin
from ..core.session import ActiveFallback, Session
from ..store.base import Store
from ..store.rows import is_choice_at
from .change_writer import ChangeWriter

_MOST = 20_000
"""Sessions in memory. Those that were used are kept when room is made."""
_TRIES = 5
"""Readings of sessions while others change, after which who needs one reads it."""
_ABSENT_FOR = 0.005
"""Seconds for which it is believed that there is no such session: who looked without holding up an event loop
goes on with what was found."""


class KnownSessions:
    """The sessions of one process, by id: as they are stored, with the `changes` that are not stored yet.
    Thread-safe; who reads one holds up nobody who needs another."""

    def __init__(self, store: Store, changes: ChangeWriter) -> None:
        self._store, self._changes = store, changes
        self.turn = 0
        """The number of times that rows were read again."""
        self._recent: dict[str, Session] = {}
        self._older: dict[str, Session] = {}
        self._absent: dict[str, float] = {}
        self.renew()

    def get(self, session_id: str) -> Session | None:
        """Return a session, from memory if it is known; None if there is none. Raises StoreError."""
        return self.peek(session_id) or self._find(session_id)

    def peek(self, session_id: str) -> Session | None:
        """Return a session if it is in memory."""
        session = self._recent.get(session_id)
        if session is None and session_id in self._older:
            with self._lock:  # another thread may have replaced or removed it meanwhile
                session = self._recent.get(session_id) or self._older.get(session_id)
                if session is not None:
                    self._put(session)
        return session

    def knows(self, session_id: str) -> bool:
        """Return whether `get` needs no store."""
        return session_id in self._recent or session_id in self._older or self._is_absent(session_id)

    def has_any(self) -> bool:
        """Return whether any session is in memory."""
        return bool(self._recent or self._older)

    def add(self, session: Session, turn: int) -> bool:
        """Take over a session that this process has created since `turn`. Return False if another process may
        have changed it since: then it is looked for."""
        with self._lock:
            self._absent.pop(session.id, None)
            if turn != self.turn:
                return False
            self._put(session)
            return True

    def look_for(self, session_id: str) -> None:
        """Forget that there was no such session."""
        self._absent.pop(session_id, None)

    def load(self, ids: Collection[str]) -> None:
        """Take those of these sessions into memory that are stored. Raises StoreError."""
        names = [name for name in ids if self.peek(name) is None]
        for _ in range(_TRIES if names else 0):
            turn, stored = self.turn, self._store.sessions_named(names)
            with self._lock:
                if turn != self.turn:  # one may have changed since it was read
                    continue
                for session in stored:
                    self._put(self._as_changed(session))
            return

    def read_again(self, ids: Iterable[str] | None) -> None:
        """Replace the known ones of these sessions, of all for None, by what is stored. Raises StoreError."""
        with self._lock:
            self.turn += 1
            known = self._older | self._recent
        names = [name for name in (known if ids is None else ids) if name in known]
        if not names:
            return
        stored = {session.id: session for session in self._store.sessions_named(names)}
        with self._lock:
            self.turn += 1
            for name in names:
                if name not in stored:
                    self._older.pop(name, None)
                    self._recent.pop(name, None)
                    continue
                session = self._as_changed(stored[name])
                if session != known[name]:
                    self._put(session)

    def change(self, changes: Sequence[Change], at: float) -> None:
        """Take over what requests begun at `at` (epoch seconds) changed. It counts at once, and is stored a
        moment later, but for a success that the store knows."""
        changes = [change for change in changes if not isinstance(change, KeySucceeded) or change.durable]
        if not changes:
            return
        with self._lock:
            self._changes.add(changes, at)
            for change in changes:
                name = getattr(change, "session", "")
                session = self._recent.get(name) or self._older.get(name)
                if session is not None:
                    self._put(_changed(session, change, at))

    def renew(self) -> None:
        """Replace the lock, in a forked child."""
        self._lock = threading.RLock()

    def _find(self, session_id: str) -> Session | None:
        while not self._is_absent(session_id):
            turn, session = self.turn, self._store.session(session_id)
            with self._lock:
                if turn != self.turn:  # it may have changed since it was read
                    continue
                if session is not None:
                    session = self._as_changed(session)
                    self._put(session)
                    return session
                if len(self._absent) >= _MOST:
                    self._absent.clear()
                self._absent[session_id] = time.monotonic() + _ABSENT_FOR
                return None
        return None

    def _as_changed(self, session: Session) -> Session:
        """Return a row with the changes that are not stored yet."""
        for change, at in self._changes.of(session.id):
            session = _changed(session, change, at)
        return session

    def _put(self, session: Session) -> None:
        if len(self._recent) >= _MOST // 2 and session.id not in self._recent:
            self._older, self._recent = self._recent, {}
        self._recent[session.id] = session

    def _is_absent(self, session_id: str) -> bool:
        return time.monotonic() < self._absent.get(session_id, 0.0)


def _changed(session: Session, change: Change, at: float) -> Session:
    """Return a session after a change by a request begun at `at`, as the store will have it."""
    if not is_choice_at(session, at):
        return session
    match change:
        case KeyKept(_, label):
            return session if session.kept_key == label else replace(session, kept_key=label)
        case FallbackStarted(_, fallback, reason, until):
            return replace(session, active_fallback=ActiveFallback(Pin.parse(fallback), reason, until))
        case FallbackEnded():
            return replace(session, active_fallback=None)
        case _:
            return session
