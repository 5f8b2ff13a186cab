"""The gateway's tokens: random, shown once, kept as a hash, checked without a query.

A token is `hf-<id>-<256 random bits>`. What is looked up is the SHA-256 of the bytes that a client sent, so
how long a look-up takes says nothing about a token; with 256 random bits a slow or salted hash would add
nothing. Every process sees a revoked token within 50 ms, a new one within 2. No token is ever logged or
stored."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256

from ..core.errors import StoreError
from ..store.base import Store, Token

_LOOKED_AT_EVERY = 0.05
_MISSED_EVERY = 0.002
_ID_BYTES, _RANDOM_BYTES = 4, 32


class Tokens:
    """The tokens of a store that are in force. One per process; `check` is for one thread or many. Raises
    StoreError."""

    def __init__(
        self,
        store: Store,
        *,
        tell: Callable[[StoreError], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._tell, self._clock = store, tell, clock
        self._seen, self._due = store.revision(), 0.0
        self._known = _in_force(store)

    def check(self, value: bytes) -> Token | None:
        """The token that a client sent, None for anything else. A store that cannot be asked changes nothing:
        no token becomes good by it."""
        now = self._clock()
        if now >= self._due:
            self._look(now)
        found = self._known.get(sha256(value).digest())
        if found is None and now >= self._due - _LOOKED_AT_EVERY + _MISSED_EVERY:  # it may be new
            self._look(now)
            found = self._known.get(sha256(value).digest())
        return found

    def new(self, label: str, session: str | None = None) -> tuple[Token, str]:
        """A new token, and the one time that it is shown. `session` binds its requests to one session. Raises
        StoreError."""
        token, shown = issue(self._store, label, session)
        self._due = 0.0
        return token, shown

    def _look(self, now: float) -> None:
        try:
            seen = self._store.revision()
            if seen != self._seen:
                self._known = _in_force(self._store)
                self._seen = seen
        except StoreError as error:
            self._tell(error)
        self._due = now + _LOOKED_AT_EVERY


def issue(store: Store, label: str, session: str | None = None) -> tuple[Token, str]:
    """Make a token and keep its hash. The text is given back and exists nowhere else. Raises StoreError."""
    name = secrets.token_hex(_ID_BYTES)
    shown = f"hf-{name}-{secrets.token_urlsafe(_RANDOM_BYTES)}"
    token = Token(name, sha256(shown.encode()).hexdigest(), label, session, store.now())
    store.add_token(token)
    return token, shown


def _in_force(store: Store) -> dict[bytes, Token]:
    return {
        bytes.fromhex(one.hash): one
        for one in store.tokens()
        if one.revoked_at is None and len(one.hash) == 2 * sha256().digest_size
    }
