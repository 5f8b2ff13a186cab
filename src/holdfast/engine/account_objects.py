"""Who made the objects that only one account knows. A table in the store, bounded by number and age, of which
the newest are in memory: what this process was told is known at once, and nothing waits for the store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from ..core.changes import NO_KEY, Owner
from ..core.config import Config
from ..core.errors import StoreError
from ..core.explain import Explanation
from ..core.faults import Fault
from ..core.identity import Connection, Dialect, Key
from ..core.recovery_policy import RULES
from ..core.routes import Route
from ..core.session import Session
from ..core.steps import Call
from ..store.base import AccountObject, Store
from ..wire.account_objects import references
from .journal_writer import JournalWriter
from .other_account import other_account

T = TypeVar("T")
_MOST = 20_000
"""Objects, and sessions, that are kept in memory."""
_ASKED = 3
"""Objects that a request refers to and that are not in memory are looked up in the store, the newest first;
at most so many."""

_LONGEST_READ = 1024 * 1024
"""Bytes: in a longer body that is not for a model, no reference is looked for."""

_WITHHELD = (
    " The request refers to what only the account of this key knows (a previous response, reasoning or a "
    "file), so no other was asked."
)


class Planned(Protocol):
    """A request as it was planned: for a session, by a configuration, with the routes in its call."""

    @property
    def session(self) -> Session: ...
    @property
    def config(self) -> Config: ...
    @property
    def call(self) -> Call: ...


class AccountObjects:
    """The objects of accounts. Thread-safe."""

    def __init__(self, store: Store, writer: JournalWriter, fingerprint: Callable[[Key], str | None]) -> None:
        self._store, self._writer, self._fingerprint = store, writer, fingerprint
        self._made: dict[str, AccountObject] = {}
        self._firsts: dict[str, Owner | None] = {}

    def made(self, session: str, connection: Connection, names: Iterable[str]) -> None:
        """Take note of objects that an answer on this connection made for a session."""
        key = connection.key
        fingerprint = NO_KEY if key is None else self._fingerprint(key) or NO_KEY
        owner = Owner(connection.provider.name, connection.label, fingerprint)
        for name in names:
            known = self._made.get(name)
            if known is not None and known.owner == owner:
                continue
            made = AccountObject(name, session, owner, self._store.now())
            self._made = _with(self._made, name, made)
            self._writer.keep(made)
            if self._firsts.get(session) is None:
                self._firsts = _with(self._firsts, session, owner)

    def bind(self, dialect: Dialect, body: bytes, *, to_model: bool) -> tuple[bool, Owner | None]:
        """Return whether a request refers to objects of an account, and who made them, if that is known."""
        names = references(dialect, body, to_model=to_model)
        if not names:
            return False, None
        names.reverse()
        known = next(filter(None, map(self._made.get, names)), None)
        for name in names[:_ASKED]:
            if known is None:
                known = self._look_up(name)
        return True, None if known is None else known.owner

    def maker(self, name: str) -> AccountObject | None:
        """Return the record of who made an object; None where that is not known."""
        return self._made.get(name) or self._look_up(name)

    def owner_among(self, dialect: Dialect, body: bytes | None, about: str, plan: Planned) -> Owner | None:
        """Return whose the object `about` is ("" for none), or what a request that is not for a model refers
        to, as a key of the plan's routes; None where that is not known. Raises OtherAccount where it is none
        of theirs."""
        names = [about] if about else []
        if body and len(body) <= _LONGEST_READ:
            names += reversed(references(dialect, body, to_model=False))
        routes = (plan.call.route, *plan.call.fallbacks)
        for name in names[:_ASKED]:
            made = self.maker(name)
            if made is None:
                continue
            owner = self._held(made.owner, plan.config, routes)
            if owner is None:  # its provider may have another name by now
                made = self._look_up(name) or made
                owner = self._held(made.owner, plan.config, routes)
            if owner is None:
                raise other_account(name, made.owner, plan.session, plan.config)
            return owner
        return None

    def _held(self, owner: Owner, config: Config, routes: Sequence[Route]) -> Owner | None:
        """Return an owner as a key of the routes: by its value, else by its label."""
        is_gone = owner.provider not in config.providers
        for route in routes:
            provider = route.connection.provider.name
            if provider != owner.provider and not is_gone:
                continue
            for each in route.connections:
                if each.key is not None and self._fingerprint(each.key) == owner.fingerprint:
                    return Owner(provider, each.label, owner.fingerprint)
            if not is_gone and owner.label in [each.label for each in route.connections]:
                return owner
        return None

    def first_owner(self, session: str) -> Owner | None:
        """Return who made the first object of a session, as far as it was loaded."""
        return self._firsts.get(session)

    def load(self, session: str) -> None:
        """Look up who made the first object of a session. May wait for the store."""
        if session not in self._firsts:
            first = self._stored(self._store.first_object, session)
            self._firsts = _with(self._firsts, session, None if first is None else first.owner)

    def knows(self, session: str) -> bool:
        """Return whether the first object of a session was loaded."""
        return session in self._firsts

    def none_yet(self, session: str) -> None:
        """Take note of a new session, which has no object."""
        self._firsts = _with(self._firsts, session, None)

    def forget(self, sessions: Collection[str] | None) -> None:
        """Forget that no object of these sessions is known, of any session for None."""
        names = None if sessions is None else frozenset(sessions)
        self._firsts = {
            session: owner
            for session, owner in self._firsts.copy().items()  # other threads add to it meanwhile
            if owner is not None or (names is not None and session not in names)
        }

    def _look_up(self, name: str) -> AccountObject | None:
        made = self._stored(self._store.account_object, name)
        if made is not None:
            self._made = _with(self._made, name, made)
        return made

    def _stored(self, read: Callable[[str], AccountObject | None], name: str) -> AccountObject | None:
        try:
            return read(name)
        except StoreError as error:
            self._writer.warn_once(error)
            return None


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
