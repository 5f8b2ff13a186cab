"""The gateway's tokens: random, shown once, kept as a hash, checked without a query.

A token is `hf-<id>-<256 random bits>`. It is looked up by the SHA-256 of the bytes that a client sent, so
that the time of a look-up reveals nothing about a token; with 256 random bits a slow or salted hash would add
nothing. Every process sees a revoked token within 50 ms, a new one within 2 ms. No token is ever logged or
stored.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import sha256

from ..core.errors import StoreError
from ..store.base import Store, Token

_LOOKED_AT_EVERY = 0.05
"""Seconds for which the tokens are used without looking for changes in the store."""
_MISSED_EVERY = 0.002
"""The same for an unknown token, which may be new."""
_ID_BYTES, _RANDOM_BYTES = 4, 32


class Tokens:
    """The valid tokens of a store, one object for a process.

    `tell` is called with errors of the store in `check`, which may be called from any thread. Raises
    StoreError.
    """

    def __init__(
        self,
        store: Store,
        *,
        tell: Callable[[StoreError], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._tell, self._clock = store, tell, clock
        self._seen, self._due = store.revision(), 0.0
        self._known = _valid(store)

    def check(self, value: bytes) -> Token | None:
        """Return the token that a client sent, None for anything else.

        A store that cannot be read changes nothing: no token becomes valid by it.
        """
        now = self._clock()
        if now >= self._due:
            self._look(now)
        token = self._known.get(sha256(value).digest())
        if token is None and now >= self._due - _LOOKED_AT_EVERY + _MISSED_EVERY:
            self._look(now)
            token = self._known.get(sha256(value).digest())
        return token

    def new(self, label: str, session: str | None = None) -> tuple[Token, str]:
        """Issue a token, which is valid here at once (see `issue`). Raises StoreError."""
        token, shown = issue(self._store, label, session)
        self._due = 0.0
        return token, shown

    def _look(self, now: float) -> None:
        try:
            seen = self._store.revision()
            if seen != self._seen:
                self._known = _valid(self._store)
                self._seen = seen
        except StoreError as error:
            self._tell(error)
        self._due = now + _LOOKED_AT_EVERY


def issue(store: Store, label: str, session: str | None = None) -> tuple[Token, str]:
    """Issue a token and store its hash. Return it with its text, which exists nowhere else.

    `session` binds its requests to one session. Raises StoreError.
    """
    token_id = secrets.token_hex(_ID_BYTES)
    shown = f"hf-{token_id}-{secrets.token_urlsafe(_RANDOM_BYTES)}"
    digest = sha256(shown.encode()).hexdigest()
    token = Token(token_id, digest, label, session=session, created_at=store.now())
    store.add_token(token)
    return token, shown


def _valid(store: Store) -> dict[bytes, Token]:
    """Return the tokens that are not revoked, by their hash."""
    digits = 2 * sha256().digest_size
    return {
        bytes.fromhex(token.hash): token
        for token in store.tokens()
        if token.revoked_at is None and len(token.hash) == digits
    }
