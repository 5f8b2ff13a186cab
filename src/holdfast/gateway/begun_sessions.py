"""The bound on the sessions that requests with one token begin in a day: a client that makes up an id for
every request would fill the store.

All gateways of a store count together: each adds its own count every few seconds, so that the bound may be
exceeded by what they begin in these."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from ..engine.state import Engine
from ..store.token import Token
from ..store.usage import day_of

MOST_A_DAY = 100_000
"""Sessions a day (UTC) for a token that has no number of its own."""
_LOOKED_EVERY = 5.0
"""Seconds after which the count of all gateways is read again ..."""
_AHEAD = 100
"""... and sessions that this process begins before that."""
_MOST_TOKENS = 1_000
"""Tokens whose counts are in memory."""


@dataclass(slots=True)
class _Count:
    """The sessions of one token on a day: those of all gateways when they were read at `at` (epoch seconds),
    and those that this process began since."""

    day: str
    at: float
    of_all: int
    own: int = 0


class BegunSessions:
    """The counts of one process. Thread-safe; may block on the store."""

    def __init__(self, engine: Engine) -> None:
        self._store = engine.store
        self._counts: dict[str, _Count] = {}
        self._lock = threading.Lock()

    def may_begin(self, token: Token) -> bool:
        """Return whether a request with this token may begin a session. Raises StoreError."""
        most = MOST_A_DAY if token.new_sessions is None else token.new_sessions
        now = self._store.now()
        with self._lock:
            count = self._count(token.id, now)
            return count.of_all + count.own < most

    def begun(self, token: Token) -> None:
        """Take note that a request with this token has begun a session. Raises StoreError."""
        now = self._store.now()
        with self._lock:
            self._count(token.id, now).own += 1

    def _count(self, token_id: str, now: float) -> _Count:
        count, day = self._counts.get(token_id), day_of(now)
        own = 0
        if count is not None and count.day == day:
            if now < count.at + _LOOKED_EVERY and count.own < _AHEAD:
                return count
            own = count.own
        if len(self._counts) >= _MOST_TOKENS:
            self._counts.clear()
        count = self._counts[token_id] = _Count(day, now, self._store.add_begun(day, token_id, own))
        return count


_of: WeakKeyDictionary[Engine, BegunSessions] = WeakKeyDictionary()


def begun_sessions(engine: Engine) -> BegunSessions:
    """Return the counts of an engine's process."""
    return _of.setdefault(engine, BegunSessions(engine))
