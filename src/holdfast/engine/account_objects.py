"""Who made the objects that only one account knows. A table in the store, bounded by number and age, of which
the newest are in memory: what this process was told is known at once, and nothing waits for the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from ..core.changes import NO_KEY, Owner
from ..core.errors import StoreError
from ..core.explain import Explanation
from ..core.faults import Fault
from ..core.identity import Connection, Dialect, Key
from ..core.recovery_policy import RULES
from ..core.steps import Call
from ..store.base import AccountObject, Store
from ..wire.account_objects import references
from .journal_writer import JournalWriter

T = TypeVar("T")
_MOST = 20_000
"""Objects, and sessions, that are kept in memory."""
_ASKED = 3
"""Objects that a request refers to and that are not in memory are looked up in the store, the newest first;
at most so many."""

_WITHHELD = (
    " The request refers to what only the account of this key knows (a previous response, reasoning or a "
    "file), so no other was asked."
)


class AccountObjects:
    """The objects of accounts. Thread-safe."""

    def __init__(self, store: Store, writer: JournalWriter, fingerprint: Callable[[Key], str | None]) -> None:
        self._store, self._writer, self._fingerprint = store, writer, fingerprint
        self._owners: dict[str, Owner] = {}
        self._firsts: dict[str, Owner | None] = {}
        self._revision: int | None = None

    def made(self, session: str, connection: Connection, names: Iterable[str]) -> None:
        """Take note of objects that an answer on this connection made for a session."""
        key = connection.key
        fingerprint = NO_KEY if key is None else self._fingerprint(key) or NO_KEY
        owner = Owner(connection.provider.name, connection.label, fingerprint)
        for name in names:
            if self._owners.get(name) == owner:
                continue
            self._owners = _with(self._owners, name, owner)
            self._writer.keep(AccountObject(name, session, owner, self._store.now()))
            if self._firsts.get(session) is None:
                self._firsts = _with(self._firsts, session, owner)

    def bind(self, dialect: Dialect, body: bytes, *, to_model: bool) -> tuple[bool, Owner | None]:
        """Return whether a request refers to objects of an account, and who made them, if that is known."""
        names = references(dialect, body, to_model=to_model)
        if not names:
            return False, None
        names.reverse()
        owners = (self._owners.get(name) for name in names)
        known = next(filter(None, owners), None)
        for name in names[:_ASKED]:
            if known is None:
                known = self._stored(self._store.account_object, name)
                if known is not None:
                    self._owners = _with(self._owners, name, known)
        return True, known

    def first_owner(self, session: str) -> Owner | None:
        """Return who made the first known object of a session."""
        if session not in self._firsts:
            first = self._stored(self._store.first_object, session)
            self._firsts = _with(self._firsts, session, first)
        return self._firsts[session]

    def knows(self, session: str) -> bool:
        """Return whether `first_owner` needs no store."""
        return session in self._firsts

    def forget(self, revision: int | None) -> None:
        """Forget for which sessions no object is known, unless the store's revision is the last one's."""
        if revision == self._revision:
            return
        self._revision = revision
        self._firsts = {session: owner for session, owner in self._firsts.items() if owner is not None}

    def _stored(self, read: Callable[[str], AccountObject | None], name: str) -> Owner | None:
        try:
            made = read(name)
        except StoreError as error:
            self._writer.warn_once(error)
            return None
        return None if made is None else made.owner


def _with(known: dict[str, T], name: str, owner: T) -> dict[str, T]:
    """Return what is known with one more; the older half is dropped where it would be too much."""
    if len(known) >= _MOST:
        known = dict(list(known.items())[_MOST // 2 :])
    known[name] = owner
    return known


def speaks(call: Call, on_fallback: str | None, dialect: Dialect) -> bool:
    """Return whether the endpoint that is asked first speaks the caller's dialect: what is translated refers
    to nothing that its account would know."""
    first = call.route
    if on_fallback is not None:
        first = next((each for each in call.fallbacks if str(each.connection.pin) == on_fallback), first)
    return first.connection.dialect is dialect


def told(explanation: Explanation, fault: Fault | None) -> Explanation:
    """Return the explanation of a bound request's fault. It says that no other account was asked, where
    another would have been."""
    if fault is None or not RULES[fault.kind].fall_back:
        return explanation
    return replace(explanation, what=explanation.what + _WITHHELD)
