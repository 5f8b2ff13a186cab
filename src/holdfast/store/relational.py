"""The store over any SQL engine: its transactions, and the meaning of the number of changed rows. An engine
adds only reading, running a transaction, and its revision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from ..core.errors import StoreError
from ..core.session import Session
from . import gathered, rows, sql
from .base import Lease, NewSession, Relabel, StaleSession
from .batch import Batch
from .journal_events import Detail, Event
from .listing import BrokenSession
from .record_tables import RecordTables
from .relational_usage import RelationalUsage
from .rows import Params, Row
from .token import Token
from .transaction import is_new, journal_rows, record_in
from .verdict_tables import VerdictTables

LONGEST_LEASE = 3600.0
"""Seconds. A lease that seems to last longer was taken before the clock was set back, and is ignored."""


class RelationalStore(RelationalUsage, VerdictTables, RecordTables):
    """A `Store` over an engine's `_read`, `_write` and `revision`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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

    def sessions_named(self, ids: Sequence[str]) -> list[Session]:
        named = sorted(set(ids))
        matches: list[Row] = []
        for first in range(0, len(named), sql.NAMED_AT_ONCE):
            params = rows.session_names(named[first : first + sql.NAMED_AT_ONCE])
            matches += self._read(sql.SESSIONS_NAMED, params)
        return [session for session in map(rows.session, matches) if isinstance(session, Session)]

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
        if expect_version is None:
            done, what = len(self.create_sessions([(session, events)])), "exists already"
        else:
            params = rows.session_params(session) | {"expect": expect_version}
            done = self._change((sql.SESSION_UPDATE, params), events=events)
            what = f"is no longer in version {expect_version}: it was changed or removed meanwhile"
        if not done:
            raise StaleSession(
                f"session '{session.id}' {what}", next_step=f"holdfast session show {session.id}"
            )

    def create_sessions(self, new: Iterable[NewSession]) -> set[str]:
        """Return the ids of those that were created; an engine that can do it in one statement overrides
        this."""
        created = set()
        with self._write() as transaction:
            for session, events in new:
                if transaction.execute(sql.SESSION_INSERT, rows.session_params(session)).rowcount:
                    created.add(session.id)
                    record_in(transaction, events)
        return created

    def remove_session(self, session_id: str, events: Iterable[Event[Detail]] = ()) -> bool:
        leaves = {"id": session_id, "now": self.now()}
        return self._change((sql.SESSION_LEAVES, leaves), (sql.SESSION_DELETE, leaves), events=events) > 0

    def new_name(self, provider: str) -> str | None:
        return next((str(name) for (name,) in self._read(sql.NEW_NAME, {"old": provider})), None)

    def relabel_once(self, relabel: Relabel) -> bool:
        if self._read(sql.POSITIONS_REPLACED, {}):
            return False
        with self._numbered() as transaction:
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
            transaction.execute(sql.TAKE_NUMBER, {})
        return True

    def record(self, events: Iterable[Event[Detail] | gathered.Similar], batch: Batch | None = None) -> None:
        lines = journal_rows(events)
        if lines:
            with self._write() as transaction:
                if is_new(transaction, batch, self.now()):
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
        taken = self._timed(sql.LEASE_TAKE, {"name": name, "owner": owner, "ttl": ttl})
        return next(map(rows.lease, taken), None)

    def renew(self, lease: Lease, ttl: float) -> bool:
        return bool(self._timed(sql.LEASE_RENEW, {"name": lease.name, "fence": lease.fence, "ttl": ttl}))

    def release(self, lease: Lease) -> None:
        self._timed(sql.LEASE_END, {"name": lease.name, "fence": lease.fence})

    def holder(self, name: str) -> Lease | None:
        return next(map(rows.lease, self._read(*self._by_clock(sql.LEASE, {"name": name}))), None)

    def _timed(self, text: str, params: Params) -> list[Row]:
        """Run a statement about a lease, in a transaction of its own. Return its rows."""
        with self._alone() as transaction:
            # Dated after the wait for the transaction, which must not shorten the lease.
            return transaction.execute(*self._by_clock(text, params)).fetchall()

    def _by_clock(self, text: str, params: Params) -> rows.Statement:
        """Return a statement about a lease, dated now."""
        return text, {**params, "now": self.now(), "longest": LONGEST_LEASE}

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
        return self._change((sql.TOKEN_RENEW, {"id": token_id, "until": until})) > 0

    def claim(self, name: str, value: str, *, replace: bool = False) -> str:
        known = self._read(sql.META, {"name": name})
        if replace:
            known = self._once(sql.META_SET, {"name": name, "value": value})
        elif not known:
            self._once(sql.META_CLAIM, {"name": name, "value": value})
            known = self._read(sql.META, {"name": name})
        return str(known[0][0])
