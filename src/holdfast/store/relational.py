"""The store over any SQL engine: its transactions, and the meaning of the number of changed rows. An engine
adds only reading, running a transaction, and its revision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from ..core.changes import Change, Cooldown, Evidence, subjects
from ..core.config import ModelFacts
from ..core.errors import NotReady, StoreError
from ..core.faults import Scope
from ..core.provisioning_state import Record
from ..core.session import Session
from . import gathered, provisions, rows, sql
from .base import (
    COOLDOWN_KEPT,
    MOST_OBJECTS,
    OBJECTS_KEPT,
    AccountObject,
    BrokenRecord,
    Lease,
    Relabel,
    StaleSession,
)
from .journal_events import Detail, Event
from .listing import BrokenSession
from .relational_upkeep import RelationalUpkeep
from .rows import Params, Row
from .token import Token
from .transaction import Transaction, journal_rows, record_in

_LONGEST_LEASE = 3600.0
"""Seconds. A lease that seems to last longer was taken before the clock was set back, and is ignored."""
_PORTION = 1000
"""Objects that are pruned at a time, so that no other writer waits long."""


class RelationalStore(RelationalUpkeep, ABC):
    """A `Store` over an engine's `_read`, `_write` and `revision`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    @abstractmethod
    def revision(self) -> int: ...

    def glance(self) -> int | None:
        """Return the revision if that waits for nobody: never by a network."""
        return None

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _read(self, text: str, params: Params) -> list[Row]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[Transaction]: ...

    def _durable(self) -> AbstractContextManager[Transaction]:
        """Return a transaction that is on the disk when it ends; an engine whose ordinary transactions are
        not overrides this."""
        return self._write()

    def _alone(self) -> AbstractContextManager[Transaction]:
        """Return a transaction for a lease; an engine where it could be behind a batch overrides this."""
        return self._write()

    def now(self) -> float:
        return self._clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _change(self, *statements: rows.Statement, events: Iterable[Event[Detail]] = ()) -> int:
        """Run statements in one transaction; if they changed anything, raise the revision and write the
        `events`. Return the number of changed rows."""
        if not statements:
            return 0
        with self._write() as transaction:
            changed = sum(transaction.execute(text, params).rowcount for text, params in statements)
            if changed:
                transaction.execute(sql.BUMP, {})
                record_in(transaction, events)
        return changed

    def session(self, session_id: str) -> Session | None:
        for row in self._read(sql.SESSION, {"id": session_id}):
            session = rows.session(row)
            if isinstance(session, BrokenSession):
                raise StoreError(
                    f"session '{session_id}' cannot be read: {session.why}",
                    next_step=f"holdfast session pin {session_id} PROVIDER/MODEL",
                )
            return session
        return None

    def sessions(self) -> list[Session]:
        stored = map(rows.session, self._read(sql.SESSIONS, {}))
        return [session for session in stored if isinstance(session, Session)]

    def save_session(
        self, session: Session, expect_version: int | None, events: Iterable[Event[Detail]] = ()
    ) -> None:
        if expect_version is not None and session.version <= expect_version:
            raise ValueError(
                f"a change of session '{session.id}' must raise its version above {expect_version}"
            )
        params = rows.session_params(session)
        if expect_version is None:
            write, what = (sql.SESSION_INSERT, params), "exists already"
        else:
            write = (sql.SESSION_UPDATE, params | {"expect": expect_version})
            what = f"is no longer in version {expect_version}: it was changed or removed meanwhile"
        if not self._change(write, events=events):
            raise StaleSession(
                f"session '{session.id}' {what}", next_step=f"holdfast session show {session.id}"
            )

    def remove_session(self, session_id: str, events: Iterable[Event[Detail]] = ()) -> bool:
        return self._change((sql.SESSION_DELETE, {"id": session_id}), events=events) > 0

    def new_name(self, provider: str) -> str | None:
        return next((str(name) for (name,) in self._read(sql.NEW_NAME, {"old": provider})), None)

    def relabel_once(self, relabel: Relabel) -> bool:
        if self._read(sql.POSITIONS_REPLACED, {}):
            return False
        with self._write() as transaction:
            if transaction.execute(sql.POSITIONS_REPLACED, {}).fetchall():
                return False
            read = map(rows.session, transaction.execute(sql.WITH_POSITIONS, {}).fetchall())
            renamed = {
                str(session_id)
                for (session_id,) in transaction.execute(sql.CHANGED_BY_RENAMING, {}).fetchall()
            }
            changed = list(relabel([row for row in read if isinstance(row, Session)], renamed))
            for session, _ in changed:
                transaction.execute(sql.RELABEL, rows.session_params(session))
            record_in(transaction, (event for _, event in changed))
            transaction.execute(sql.MARK_POSITIONS_REPLACED, {})
            transaction.execute(sql.BUMP, {})
        return True

    def evidence(self) -> list[Evidence]:
        return [rows.evidence(row) for row in self._read(sql.EVIDENCE, {})]

    def cooldowns(self) -> list[Cooldown]:
        return rows.readable(self._read(sql.COOLDOWNS, {"oldest": self.now() - COOLDOWN_KEPT}), rows.cooldown)

    def apply(self, changes: Iterable[Change], at: float) -> None:
        self._change(*(statement for change in changes for statement in rows.statements(change, at)))

    def forget(self, fingerprint: str) -> int:
        prefix = subjects(fingerprint)[Scope.KEY]
        cooldowns: Params = {"prefix": prefix, "size": len(prefix)}
        return self._change(
            (sql.FORGET_EVIDENCE, {"fingerprint": fingerprint}), (sql.FORGET_COOLDOWNS, cooldowns)
        )

    def clear(self, subject: str) -> bool:
        return self._change((sql.CLEAR, {"subject": subject})) > 0

    def record(self, events: Iterable[Event[Detail]]) -> None:
        lines = journal_rows(events)
        if lines:
            with self._write() as transaction:
                transaction.executemany(sql.RECORD, lines)

    def journal(
        self, session: str | None = None, request: str | None = None, limit: int = 200
    ) -> list[Event[Detail]]:
        query = sql.journal(by_session=session is not None, by_request=request is not None)
        params: Params = {
            "session": session,
            "request": request,
            "second": gathered.second(request or ""),
            "limit": limit,
        }
        newest_first: Sequence[Row] = self._read(query, params)
        events = [
            event
            for gathered_events in rows.readable(newest_first[::-1], gathered.events)
            for event in gathered_events
            if request in (None, event.request)
        ]
        # A row has the time of its last event, so the newest `limit` rows contain the newest `limit` events.
        return sorted(events, key=lambda event: event.at)[-limit:]

    def lease(self, name: str, owner: str, ttl: float) -> Lease | None:
        with self._alone() as transaction:
            # Read after the wait for the transaction, which must not shorten the lease.
            now = self.now()
            params = {
                "name": name,
                "owner": owner,
                "until": now + ttl,
                "now": now,
                "latest": now + _LONGEST_LEASE,
            }
            if not transaction.execute(sql.LEASE_TAKE, params).rowcount:
                return None
            return rows.lease(transaction.execute(sql.LEASE, {"name": name}).fetchall()[0])

    def renew(self, lease: Lease, ttl: float) -> bool:
        with self._alone() as transaction:
            now = self.now()
            params = {"name": lease.name, "fence": lease.fence, "until": now + ttl, "now": now}
            return transaction.execute(sql.LEASE_RENEW, params).rowcount > 0

    def release(self, lease: Lease) -> None:
        with self._alone() as transaction:
            transaction.execute(sql.LEASE_END, {"name": lease.name, "fence": lease.fence})

    def holder(self, name: str) -> Lease | None:
        now = self.now()
        for row in self._read(sql.LEASE, {"name": name}):
            lease = rows.lease(row)
            if now < lease.until <= now + _LONGEST_LEASE:
                return lease
        return None

    def add_token(self, token: Token) -> None:
        if not self._change((sql.TOKEN_ADD, rows.token_params(token))):
            raise StoreError(f"token '{token.id}' exists already", next_step="holdfast token list")

    def token(self, token_id: str) -> Token | None:
        return next(iter(rows.readable(self._read(sql.TOKEN, {"id": token_id}), rows.token)), None)

    def tokens(self) -> list[Token]:
        return rows.readable(self._read(sql.TOKENS, {}), rows.token)

    def revoke_token(self, token_id: str) -> bool:
        return self._change((sql.TOKEN_REVOKE, {"id": token_id, "now": self.now()})) > 0

    def renew_token(self, token_id: str, until: float) -> bool:
        with self._write() as transaction:
            return transaction.execute(sql.TOKEN_RENEW, {"id": token_id, "until": until}).rowcount > 0

    def save_models(self, provider: str, url: str, models: Mapping[str, ModelFacts], at: float) -> None:
        listed = {"provider": provider, "url": url, "models": rows.models_text(models), "at": at}
        with self._write() as transaction:
            transaction.execute(sql.MODELS_SAVE, listed)

    def save_objects(self, objects: Iterable[AccountObject]) -> None:
        lines = [rows.object_params(made) for made in objects]
        if lines:
            with self._write() as transaction:
                transaction.executemany(sql.OBJECT_SAVE, lines)

    def account_object(self, object_id: str) -> AccountObject | None:
        return next(map(rows.account_object, self._read(sql.OBJECT, {"id": object_id})), None)

    def first_object(self, session_id: str) -> AccountObject | None:
        return next(map(rows.account_object, self._read(sql.FIRST_OBJECT, {"session": session_id})), None)

    def prune_objects(self) -> int:
        bounds = {"oldest": self.now() - OBJECTS_KEPT, "most": MOST_OBJECTS - 1, "portion": _PORTION}
        with self._write() as transaction:
            return transaction.execute(sql.OBJECTS_PRUNE, bounds).rowcount

    def provision(self, name: str) -> Record | None:
        for row in self._read(sql.PROVISION, {"name": name}):
            record = provisions.record(row)
            if isinstance(record, Record):
                return record
            what = f"the provisioning record of '{name}' cannot be read ({record.why}); it was not changed"
            step = f"holdfast provision repair {name} --discard   (deletes the record, not the key)"
            raise NotReady(what, reason="quarantined", next_step=step)
        return None

    def provisions(self) -> list[Record]:
        stored = map(provisions.record, self._read(sql.PROVISIONS, {}))
        return [record for record in stored if isinstance(record, Record)]

    def broken_provisions(self) -> list[BrokenRecord]:
        stored = map(provisions.record, self._read(sql.PROVISIONS, {}))
        return [broken for broken in stored if isinstance(broken, BrokenRecord)]

    def save_provision(self, record: Record, expect_version: int | None) -> bool:
        text, params = sql.PROVISION_INSERT, provisions.params(record)
        if expect_version is not None:
            text, params = sql.PROVISION_UPDATE, params | {"expect": expect_version}
        with self._durable() as transaction:
            changed = transaction.execute(text, params).rowcount
            if changed:
                transaction.execute(sql.BUMP, {})
        return changed > 0

    def remove_provision(self, name: str) -> bool:
        return self._change((sql.PROVISION_DELETE, {"name": name})) > 0

    def models(self, provider: str, url: str) -> tuple[Mapping[str, ModelFacts], float] | None:
        for models, at in self._read(sql.MODELS, {"provider": provider, "url": url}):
            return rows.models(models), at
        return None
