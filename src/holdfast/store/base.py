"""The store: what every process of one user remembers together. A small synchronous protocol; `contract.py`
is its test suite.

A store keeps the user's choices (sessions, as `str(Pin)`), what keys did (evidence and cool-downs, under
keyed fingerprints), who may act alone (leases), the journal, the gateway's tokens (hashed) and the models
that providers listed. It never holds a key, a session's URL, or anything that could be derived again from the
configuration.

Every method is safe to call from several threads and several processes, is atomic, and raises StoreError when
it could not be done; nothing was changed then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from ..core.changes import Change, Cooldown, Evidence
from ..core.errors import StoreError
from ..core.provisioning_state import Record
from ..core.session import Session
from .journal_events import Detail, Event

COOLDOWN_KEPT = 30 * 86400.0
"""For how long (seconds) an ended cool-down is remembered: its level makes the next verdict in a row a longer
one."""


class StaleSession(StoreError):
    """The session is not in the version that the caller had read; somebody else changed, created or removed
    it."""


@dataclass(frozen=True, slots=True)
class BrokenSession:
    """A session's row that cannot be read (older software, edits by hand). `raw` is the row as it stands,
    `why` what is wrong.

    It is mended by `save_session(..., expect_version=raw["version"])` or removed by `remove_session`.
    """

    id: str
    raw: Mapping[str, object]
    why: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act alone under `name` until `until` (epoch seconds of the store's clock).

    `fence` grows with every grant of that name: whoever guards the outcome refuses a lower one than it has
    seen."""

    name: str
    owner: str
    fence: int
    until: float


@dataclass(frozen=True, slots=True)
class Token:
    """A gateway token as it is kept: only its hash. `session` binds it to one session. Times are epoch
    seconds."""

    id: str
    hash: str
    label: str
    session: str | None = None
    created_at: float = 0.0
    revoked_at: float | None = None


Relabel = Callable[[Sequence[Session], Collection[str]], Iterable[tuple[Session, Event[Detail]]]]
"""From sessions, and the ids of those that were last changed with their provider's name, to those whose keys
get other labels, each with the journal line that tells it."""


class Store(Protocol):
    """The protocol. Times are epoch seconds of the store's clock, `now()`."""

    def now(self) -> float:
        """The one clock by which leases, cool-downs and the journal are dated."""
        ...

    def revision(self) -> int:
        """Another number whenever sessions, evidence, cool-downs or tokens were changed by anybody, this
        store included.

        Cheap enough to ask before every request. The journal, leases and model lists do not move it.
        """
        ...

    def session(self, session_id: str) -> Session | None:
        """The session as it was saved, or None. Raises StoreError naming the repair when its row cannot be
        read."""
        ...

    def sessions(self) -> list[Session]:
        """All sessions that can be read, the last changed first."""
        ...

    def broken_sessions(self) -> list[BrokenSession]:
        """The rows that cannot be read; never part of `sessions()`, never dropped."""
        ...

    def save_session(
        self, session: Session, expect_version: int | None, events: Iterable[Event[Detail]] = ()
    ) -> None:
        """Write the user's choice, and the journal's `events` that tell of it, in one step, if the stored
        version still is `expect_version` (None: there is no such session yet).

        Raises StaleSession otherwise, and ValueError when a change does not raise the version: the next
        writer could not see it."""
        ...

    def remove_session(self, session_id: str, events: Iterable[Event[Detail]] = ()) -> bool:
        """Forget a session, readable or not, and write the `events` that tell of it in the same step. Return
        whether there was one. Its journal stays."""
        ...

    def rename_provider(self, old: str, new: str) -> list[str]:
        """Make every pin and stand-in of provider `old` name `new`, and tell each session whose pin it was
        (`ProviderRenamed`), in one step. Return the ids of the changed sessions, sorted.

        Raises IdentityError when `new` cannot be a provider's name.
        """
        ...

    def relabel_once(self, relabel: Relabel) -> bool:
        """Replace the positions by which older software stored keys, once in the life of this store.

        `relabel` gets every session that may store one. The labels of the sessions that it returns are
        written, and nothing else of them, with their journal lines and the mark that this is done, all in one
        transaction: who comes second waits for it, and returns False."""
        ...

    def evidence(self) -> list[Evidence]:
        """What every key did, everywhere."""
        ...

    def cooldowns(self) -> list[Cooldown]:
        """All verdicts, also those that ended within the last `COOLDOWN_KEPT` seconds."""
        ...

    def apply(self, changes: Iterable[Change], at: float) -> None:
        """Take over what the core decided at the time `at`: all of `changes`, or none.

        Writers race, so time decides and not order: an older verdict never replaces a later one, a good
        answer refutes only verdicts that are not later than itself, and what happened before a session's user
        changed it does not touch it. Stand-ins and kept keys are not the user's changes: pin and version
        stay. A `Worked` that is not durable is skipped."""
        ...

    def forget(self, fingerprint: str) -> int:
        """Remove all evidence and cool-downs of a key; how many records that were."""
        ...

    def clear(self, subject: str) -> bool:
        """End one cool-down; whether there was one."""
        ...

    def record(self, events: Iterable[Event[Detail]]) -> None:
        """Append to the journal. Raises StoreError like every write; the caller decides whether to go on
        without."""
        ...

    def journal(
        self, session: str | None = None, request: str | None = None, limit: int = 200
    ) -> list[Event[Detail]]:
        """The last `limit` events, of one session or one request if given, the newest last."""
        ...

    def prune(self, keep_days: float) -> int:
        """Remove journal lines older than `keep_days` and cool-downs past `COOLDOWN_KEPT`; how many records
        that were."""
        ...

    def lease(self, name: str, owner: str, ttl: float) -> Lease | None:
        """Take the lease for `ttl` seconds, or None while anybody (the same owner too) holds it."""
        ...

    def renew(self, lease: Lease, ttl: float) -> bool:
        """Prolong a lease to `ttl` seconds from now; False when it had ended, and then nothing may be done
        under it."""
        ...

    def release(self, lease: Lease) -> None:
        """End a lease before its time. Does nothing when it ended already, whoever holds the name now."""
        ...

    def holder(self, name: str) -> Lease | None:
        """Who holds the lease now, if anybody."""
        ...

    def add_token(self, token: Token) -> None:
        """Keep a new token. Raises StoreError when its id is taken."""
        ...

    def token(self, token_id: str) -> Token | None:
        """One token, revoked or not."""
        ...

    def tokens(self) -> list[Token]:
        """All tokens, revoked ones too, the newest last."""
        ...

    def revoke_token(self, token_id: str) -> bool:
        """Mark a token as revoked now; False when there is none or it was revoked before."""
        ...

    def save_models(self, provider: str, url: str, models: Iterable[str], at: float) -> None:
        """Remember the models that `provider` listed at `url`, in its order."""
        ...

    def models(self, provider: str, url: str) -> tuple[tuple[str, ...], float] | None:
        """What was listed at this very URL and when: an edited endpoint is not served the models of the old
        one."""
        ...

    def provision(self, name: str) -> Record | None:
        """The provisioning record of a provider, or None. Raises NotReady (`quarantined`) when its row cannot
        be read."""
        ...

    def provisions(self) -> list[Record]:
        """All records that can be read, by name."""
        ...

    def broken_provisions(self) -> list[tuple[str, str]]:
        """Name, and what is wrong, of the rows that cannot be read; they stay as they are until
        `remove_provision`."""
        ...

    def save_provision(self, record: Record, expect_version: int | None) -> bool:
        """Write a record if the stored one still has `expect_version` (None: there is none yet); False
        otherwise. Unlike all else here it is on the disk when this returns: a key may be asked for on the
        strength of it."""
        ...

    def remove_provision(self, name: str) -> bool:
        """Forget a record, readable or not. Whether there was one."""
        ...

    def close(self) -> None:
        """Give back files and locks. Every other method raises StoreError afterwards; closing twice is
        fine."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
