"""The gateway's tokens: random, shown once, kept as a hash, checked without a query.

A token is `hf-<id>-<256 random bits>`. It is looked up by the SHA-256 of the bytes that a client sent, so
that the time of a look-up reveals nothing about a token; with 256 random bits a slow or salted hash would add
nothing. Every process sees a revoked token within 50 ms, and looks for a new one before it refuses one that
it does not know. No token is ever logged or stored.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from ..core.errors import StoreError
from ..core.identity import Pin
from ..store.base import Store
from ..store.feed import Changes, Follower
from ..store.journal_events import Detail, Event, RefusedElsewhere
from ..store.token import Token
from .permissions import is_good

if TYPE_CHECKING:
    from ..engine.following import Following

_LOOKED_AT_EVERY = 0.05
"""Seconds for which the tokens are used without looking for changes in the store."""
_ID_BYTES, _RANDOM_BYTES = 4, 32
_OF_PROGRAMS, _OF_PROGRAMS_BEFORE = "connect-", "connect "
"""How the labels of connected programs' tokens begin, also of those that older versions issued."""
_PREFIX = b"hf-"
_HASH_DIGITS = 2 * sha256().digest_size


class Tokens:
    """The tokens that are good at one gateway, one object for a process.

    What changes is learnt from `following`, the engine's, if it is given. `instance` is the id of the
    gateway. `kept` is the id of a token that lives as long as this process, so that it does not end here when
    nobody could renew it. `tell` is called with errors of the store, and `foreign` once with each token that
    was presented here and is good at another gateway only. `soon` calls what waits for the store on another
    thread; then nothing but `look` waits for it. Raises StoreError.
    """

    def __init__(
        self,
        store: Store,
        following: Following | None = None,
        *,
        instance: str = "",
        kept: str = "",
        tell: Callable[[StoreError], None] = lambda _: None,
        foreign: Callable[[Token], None] = lambda _: None,
        soon: Callable[[Callable[[], object]], object] = lambda call: call(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._tell, self._clock, self._soon = store, tell, clock, soon
        self._report_foreign = foreign
        self._reported: set[str] = set()
        self._instance, self._kept = instance, kept
        self._known: dict[bytes, Token] = {}
        self._by_id: dict[str, Token] = {}
        self._ids: frozenset[str] = frozenset()
        self._ends = math.inf
        self._due = 0.0
        self._looks = False
        self._rows: dict[str, Token] = {}
        self._lock = threading.Lock()  # never held while the store is asked
        self._following = following
        self._follower = following.follower if following else Follower(store)
        self._follower.take.append(self._take)
        self._take(None)

    def check(self, value: bytes) -> Token | None:
        """Return the token that a client sent, None for anything else.

        A store that cannot be read changes nothing: no token becomes valid by it.
        """
        if self._clock() >= self._due:
            self._glance()
        token = self._known.get(sha256(value).digest())
        if token is None:
            self._notice(value)
        return token

    @property
    def may_have_changed(self) -> bool:
        """Return whether the store may know of other tokens: then `look` tells about one that is unknown."""
        try:
            seen = self._store.glance()
        except StoreError:  # `look` tells of it
            return True
        return seen is None or seen != self._follower.revision

    def is_unchanged(self, token: Token) -> bool:
        """Return whether a token that was good is good now, with the same limits."""
        if self._clock() >= self._due:
            self._glance()
        present = self._by_id.get(token.id)
        return present is token or present == token

    def ids(self) -> frozenset[str]:
        """Return the ids of the tokens that are good now: the same object while nothing has changed."""
        if self._clock() >= self._due:
            self._glance()
        return self._ids

    def new(self, label: str, session: str | None = None) -> tuple[Token, str]:
        """Issue a token, which is valid here at once (see `issue`). Raises StoreError."""
        token, shown = issue(self._store, label, session)
        self._put({token.id: token})
        return token, shown

    def _notice(self, value: bytes) -> None:
        """Report a token that is good at another gateway only, once."""
        if not value.startswith(_PREFIX):
            return
        token = self._foreign.get(sha256(value).hexdigest())
        if token is None or token.id in self._reported:
            return
        if is_good(token, now=self._store.now(), instance=token.instance or ""):
            self._reported.add(token.id)
            self._report_foreign(token)

    def look(self) -> None:
        """Take over what changed in the store. Waits for it."""
        try:
            if self._following is None:
                self._follower.look()
            else:
                self._following.look()
        except StoreError as error:
            self._tell(error)
        self._due = self._clock() + _LOOKED_AT_EVERY

    def _look_once(self) -> None:
        try:
            self.look()
        finally:
            self._looks = False

    def _glance(self) -> None:
        """See, without waiting, whether anything changed; if so, have it taken over. End the tokens whose
        time is over."""
        self._due = self._clock() + _LOOKED_AT_EVERY
        polled = self._following is not None and self._following.polls
        if not (polled or self._looks) and self.may_have_changed:
            self._looks = True  # one that waits is enough, however long the store takes
            self._soon(self._look_once)
        if self._store.now() >= self._ends:
            with self._lock:
                self._choose()

    def _take(self, changes: Changes | None) -> None:
        """Take over the tokens that changed, all for None."""
        if changes is None:
            self._put({token.id: token for token in self._store.tokens()}, whole=True)
        elif changes.tokens:
            self._put({token_id: self._store.token(token_id) for token_id in changes.tokens})

    def _put(self, rows: Mapping[str, Token | None], *, whole: bool = False) -> None:
        """Take over rows, None for one that is gone; they are all that there are if they are the `whole`."""
        with self._lock:
            known = rows if whole else {**self._rows, **rows}
            self._rows = {token_id: token for token_id, token in known.items() if token is not None}
            self._choose()

    def _choose(self) -> None:
        """Choose the tokens that are good now among those that were read last. The lock is held."""
        now, rows = self._store.now(), list(self._rows.values())
        self._foreign = {token.hash: token for token in rows if token.instance not in (None, self._instance)}
        good = [
            token
            for token in rows
            if is_good(self._lasting(token), now=now, instance=self._instance)
            and len(token.hash) == _HASH_DIGITS
        ]
        ends = [token.expires_at for token in good if token.expires_at is not None]
        self._ends = min((end for end in ends if end > now), default=math.inf)
        self._known = {bytes.fromhex(token.hash): token for token in good}
        self._by_id = {token.id: token for token in good}
        ids = frozenset(self._by_id)
        if ids != self._ids:
            self._ids = ids

    def _lasting(self, token: Token) -> Token:
        """Return a token as it counts here: the one that lives as long as this process does not expire."""
        if token.id != self._kept:
            return token
        return replace(token, expires_at=None)


def noting_in(journal: Callable[[Event[Detail]], None], store: Store) -> Callable[[Token], None]:
    """Return a function that notes in the journal that a token of another gateway was refused."""

    def note(token: Token) -> None:
        pin = "".join(map(str, token.pins[:1]))
        journal(Event(store.now(), RefusedElsewhere(), session=token.session or "", pin=pin))

    return note


def label_of_program(name: str) -> str:
    """Return the label of the token of a connected program. Its session is called after it."""
    return f"{_OF_PROGRAMS}{name}"


def is_a_persons(token: Token) -> bool:
    """Return whether a person has seen a token: it is not a connected program's, nor that of a run."""
    return token.instance is None and not token.label.startswith((_OF_PROGRAMS, _OF_PROGRAMS_BEFORE))


def issue(
    store: Store,
    label: str,
    session: str | None = None,
    *,
    pins: Sequence[Pin] = (),
    strict: bool = False,
    lasts: float | None = None,
    instance: str | None = None,
    new_sessions: int | None = None,
) -> tuple[Token, str]:
    """Issue a token and store its hash. Return it with its text, which exists nowhere else.

    `session`, `pins`, `strict`, `instance` and `new_sessions` are its limits (`store.token.Token`); it ends
    after `lasts` seconds, if that is given. Raises StoreError.
    """
    token_id = secrets.token_hex(_ID_BYTES)
    shown = f"hf-{token_id}-{secrets.token_urlsafe(_RANDOM_BYTES)}"
    now = store.now()
    token = Token(
        id=token_id,
        hash=sha256(shown.encode()).hexdigest(),
        label=label,
        session=session,
        created_at=now,
        pins=tuple(pins),
        strict=strict,
        expires_at=None if lasts is None else now + lasts,
        instance=instance,
        new_sessions=new_sessions,
    )
    store.add_token(token)
    return token, shown
