"""The store: the state that all processes of a user share. A small synchronous protocol; `contract` is its
test suite.

A store keeps the user's choices (sessions, as `str(Pin)`), the results of keys (evidence and cooldowns, under
keyed fingerprints), leases, the journal, the gateway's tokens (hashed) and the models that providers listed.
It never holds a key, a session's URL, or anything that can be derived from the configuration.

Every method is safe to call from several threads and processes, is atomic, and raises StoreError if it
failed; then nothing was changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from ..core.changes import Change, Cooldown, Evidence, KeyKept, Owner
from ..core.config import ModelFacts
from ..core.errors import StoreError
from ..core.provisioning_state import Record
from ..core.session import Session
from .batch import Batch
from .feed import ChangeFeed
from .gathered import Similar
from .journal_events import Detail, Event
from .listing import SessionLists
from .token import Token
from .upkeep import Upkeep
from .usage import UsageSums

OBJECTS_KEPT = 30 * 86400.0
"""Seconds for which objects of accounts are kept: as long as OpenAI keeps a response."""
MOST_OBJECTS = 100_000
"""Objects of accounts that are kept; the oldest go first."""
COOLDOWN_KEPT = 30 * 86400.0
"""Seconds for which an ended cooldown is kept: its level makes the next one longer."""
EVIDENCE_KEPT = 90 * 86400.0
"""Seconds for which it is kept what a key did that is not used any more."""


class StoreAway(StoreError):
    """The store did not do it, and may do it later: it is locked, full, read-only, silent or gone."""


class StaleSession(StoreError):
    """The stored session is not the version that the caller had read: somebody else changed, created or
    removed it."""


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A provisioning record that cannot be read, `why`, and its `kind` if that can be read ("" otherwise)."""

    name: str
    why: str
    kind: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act alone under `name` until `until` (epoch seconds of the store's clock).

    `fence` grows with every grant of that name, so that a resource can refuse a lower one than it has
    seen."""

    name: str
    owner: str
    fence: int
    until: float


@dataclass(frozen=True, slots=True)
class AccountObject:
    """An object that only the account knows in which it was made: a response, a conversation, a container,
    encrypted reasoning (by its hash). `at` is in epoch seconds."""

    id: str
    session: str
    owner: Owner
    at: float


Relabel = Callable[[Sequence[Session], Collection[str]], Iterable[tuple[Session, Event[Detail]]]]
"""Takes sessions, and the ids of those whose last change was a rename of their provider. Returns the sessions
whose keys get other labels, each with the event about it."""


NewSession = tuple[Session, Iterable[Event[Detail]]]
"""A session to be created, and the events about it."""


class Store(ChangeFeed, SessionLists, Upkeep, UsageSums, Protocol):
    """The protocol. Times are epoch seconds of the store's clock, `now()`."""

    far: bool
    """Whether looking for changes waits for a network."""

    def now(self) -> float:
        """Return the time by which leases, cooldowns and the journal are dated."""
        ...

    def session(self, session_id: str) -> Session | None:
        """Return the session as it was saved, or None. Raises StoreError that names the repair if its row
        cannot be read."""
        ...

    def sessions_named(self, ids: Sequence[str]) -> list[Session]:
        """Return those of these sessions that exist and can be read."""
        ...

    def sessions(self) -> list[Session]:
        """Return all sessions that can be read, the last changed first."""
        ...

    def save_session(
        self, session: Session, expect_version: int | None, events: Iterable[Event[Detail]] = ()
    ) -> None:
        """Write the user's choice, and the `events` about it, in one transaction, if the stored version still
        is `expect_version` (None: there is no such session yet).

        Raises StaleSession otherwise, and ValueError if a change does not raise the version: the next writer
        could not see it."""
        ...

    def create_sessions(self, new: Iterable[NewSession]) -> set[str]:
        """Write those new sessions whose ids are not in use, with the events about them, in one transaction.
        Return their ids."""
        ...

    def remove_session(self, session_id: str, events: Iterable[Event[Detail]] = ()) -> bool:
        """Delete a session, readable or not, and write the `events` about it in the same transaction. Return
        False if there was none. Its journal stays."""
        ...

    def new_name(self, provider: str) -> str | None:
        """Return the present name of a provider that was called `provider`, None if none was."""
        ...

    def relabel_once(self, relabel: Relabel) -> bool:
        """Replace the positions by which older versions stored keys, once in the life of this store.

        `relabel` gets every session that may store one. Of the sessions that it returns, the labels are
        written, with their events and the mark that this is done, all in one transaction. A second caller
        waits for it and returns False."""
        ...

    def evidence(self) -> list[Evidence]:
        """Return the evidence of every key at every URL."""
        ...

    def cooldowns(self) -> list[Cooldown]:
        """Return all cooldowns, also those that ended within the last `COOLDOWN_KEPT` seconds."""
        ...

    def apply(self, changes: Iterable[Change], at: float) -> None:
        """Store what the core decided at `at` (epoch seconds): all of `changes`, or none; the first keys that
        sessions keep may be stored although the others are not.

        Writers race, so time decides and not order: an older verdict never replaces a later one, a good
        answer removes only cooldowns that are not later than itself, and a change from before the last choice
        of a session's user does not touch the session. Fallbacks and kept keys are not the user's changes:
        pin and version stay. A `KeySucceeded` that is not durable is skipped."""
        ...

    def keep_first_keys(self, kept: Iterable[tuple[KeyKept, float]]) -> Collection[str]:
        """Store the keys that sessions keep which keep none yet, each with the time at which its request
        began, all at once. Return the ids of those sessions; what is about others is left to `apply`."""
        ...

    def forget(self, fingerprint: str) -> int:
        """Delete all evidence and cooldowns of a key. Return the number of records."""
        ...

    def clear(self, subject: str) -> bool:
        """End a cooldown. Return False if there was none."""
        ...

    def record(self, events: Iterable[Event[Detail] | Similar], batch: Batch | None = None) -> None:
        """Append events to the journal, unless `batch` was done before."""
        ...

    def journal(
        self, session: str | None = None, request: str | None = None, limit: int = 200
    ) -> list[Event[Detail]]:
        """Return the last `limit` events, of a session or a request if given, the newest last."""
        ...

    def lease(self, name: str, owner: str, ttl: float) -> Lease | None:
        """Take the lease for `ttl` seconds. Return None while anybody (also the same owner) holds it."""
        ...

    def renew(self, lease: Lease, ttl: float) -> bool:
        """Extend a lease to `ttl` seconds from now. Return False if it had ended; then nothing may be done
        under it."""
        ...

    def release(self, lease: Lease) -> None:
        """End a lease before its time. Do nothing if it has ended, whoever holds the name now."""
        ...

    def holder(self, name: str) -> Lease | None:
        """Return the lease that is held under `name` now, or None."""
        ...

    def add_token(self, token: Token) -> None:
        """Store a new token. Raises StoreError if its id is taken."""
        ...

    def token(self, token_id: str) -> Token | None:
        """Return a token, revoked or not; None also where its limits cannot be read."""
        ...

    def tokens(self) -> list[Token]:
        """Return all tokens, also ones that ended, the newest last. One whose limits cannot be read is left
        out, so that it is good for nothing."""
        ...

    def renew_token(self, token_id: str, until: float) -> bool:
        """Let a token that is not revoked end at `until`. Return False if there is none."""
        ...

    def revoke_token(self, token_id: str) -> bool:
        """Mark a token as revoked now. Return False if there is none or it was revoked before."""
        ...

    def claim(self, name: str, value: str, *, replace: bool = False) -> str:
        """Store `value` under `name` if nothing is stored there yet, or it is to `replace` that. Return what
        is stored."""
        ...

    def save_models(self, provider: str, url: str, models: Mapping[str, ModelFacts], at: float) -> None:
        """Store the models that `provider` listed at `url`, in its order, with what it said of each."""
        ...

    def models(self, provider: str, url: str) -> tuple[Mapping[str, ModelFacts], float] | None:
        """Return the models listed at exactly this URL, and when (epoch seconds), so that an edited endpoint
        does not get the models of the old one."""
        ...

    def save_objects(self, objects: Iterable[AccountObject]) -> None:
        """Store objects of accounts; of two with the same id the later counts."""
        ...

    def account_object(self, object_id: str) -> AccountObject | None:
        """Return an object of an account, or None if it is not known."""
        ...

    def first_object(self, session_id: str) -> AccountObject | None:
        """Return the oldest known object of a session, or None."""
        ...

    def prune_objects(self) -> int:
        """Delete a thousand objects at most that are older than `OBJECTS_KEPT`, or more than `MOST_OBJECTS`.
        Return how many were deleted."""
        ...

    def provision(self, name: str) -> Record | None:
        """Return the provisioning record of a provider, or None. Raises NotReady (`quarantined`) if its row
        cannot be read."""
        ...

    def provisions(self) -> list[Record]:
        """Return all records that can be read, by name."""
        ...

    def broken_provisions(self) -> list[BrokenRecord]:
        """Return the rows that cannot be read; they stay as they are until `remove_provision`."""
        ...

    def save_provision(self, record: Record, expect_version: int | None) -> bool:
        """Write a record if the stored one still has `expect_version` (None: there is none yet). Return False
        otherwise. Unlike other writes it is on the disk when this returns: a key may be requested only after
        that."""
        ...

    def remove_provision(self, name: str) -> bool:
        """Delete a record, readable or not. Return False if there was none."""
        ...

    def close(self) -> None:
        """Release files and locks. Every other method raises StoreError afterwards; closing twice is
        allowed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
