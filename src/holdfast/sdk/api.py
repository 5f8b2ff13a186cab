"""Holdfast for programs: open a home, choose or resume a session, and give its transport to an SDK."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..calls.network import Network
from ..config import Home, project_pin
from ..core.config import Config
from ..core.errors import ConnectionLost, HoldfastError
from ..core.identity import Pin
from ..core.session import Session as Row
from ..engine import sessions
from ..engine.opening import build_engine, open_store
from ..engine.provisioning import PATIENCE, Ready
from ..engine.sessions import CHOSEN, Reason
from ..store.journal_events import SessionResumed
from .arguments import (
    check_network,
    check_parts,
    home_of,
    optional_seconds,
    optional_text,
    pin_of,
    roles_of,
    suppliers,
    text,
)
from .client_options import NOWHERE
from .connected_home import ConnectedHome
from .session import Session
from .threads import in_thread

if TYPE_CHECKING:
    import ssl

    from ..credentials import Vault
    from ..credentials.callback_source import Supplier
    from ..store.base import Store
    from .pool_limits import Limits


def open(
    home: str | Path | Home | None = None,
    *,
    keys: Mapping[str, Supplier] | None = None,
    store: Store | None = None,
    vault: Vault | None = None,
    limits: Limits | None = None,
    proxy: str | None = None,
    verify: str | Path | ssl.SSLContext | None = None,
) -> Holdfast:
    """Open a home directory (default: HOLDFAST_HOME, else the platform's directories).

    keys    your own functions, sync or async, for the keys that the configuration writes as `call:NAME`.
            Each returns a key, or a key and when it ends, and is called again after that
    store   used instead of the one that the configuration names
    vault   used instead of the one of the home
    limits  sizes of the connection pools (`httpx2.Limits`, `httpx.Limits`); default: 1,000 connections, 20
            of them kept for 30 seconds when they are idle
    proxy   the URL of the proxy for all endpoints but those on this machine, "" for none; default: those
            that the environment names
    verify  a file or directory of certificates that vouch for hosts, or an `ssl.SSLContext`; default: the
            authorities of the web

    Raises ConfigError when the configuration is broken, a `home` that is given is no directory, or `proxy` or
    `verify` cannot be used; StoreError when the store cannot be opened; TypeError for an argument of another
    type.
    """
    check_network(limits, proxy, verify)
    check_parts(store, vault)
    network = Network(proxy=proxy, verify=verify)
    keys = suppliers(keys)
    engine = build_engine(home_of(home), keys=keys, store=store, vault=vault, network=network)
    return Holdfast(engine, limits)


def aopen(
    home: str | Path | Home | None = None,
    *,
    keys: Mapping[str, Supplier] | None = None,
    store: Store | None = None,
    vault: Vault | None = None,
    limits: Limits | None = None,
    proxy: str | None = None,
    verify: str | Path | ssl.SSLContext | None = None,
) -> Opening:
    """Open a home directory as `open` does, without holding up the event loop: `await holdfast.aopen()`, or
    `async with holdfast.aopen() as hf`."""
    given = partial(open, home, keys=keys, store=store, vault=vault)
    return Opening(partial(given, limits=limits, proxy=proxy, verify=verify))


class Opening(Awaitable["Holdfast"]):
    """A home that is being opened. Await it, or use it in `async with`, which closes the home at its end."""

    def __init__(self, call: Callable[[], Holdfast]) -> None:
        self._call = call
        self._opened: Holdfast | None = None

    def __await__(self) -> Generator[Any, None, Holdfast]:
        return in_thread(self._call).__await__()

    async def __aenter__(self) -> Holdfast:
        self._opened = await self
        return self._opened

    async def __aexit__(self, *_: object) -> None:
        if self._opened is not None:
            await self._opened.aclose()


class Holdfast(ConnectedHome):
    """An opened home, and the sessions in it. Use it as a context manager, or call `close()` when done:
    either completes the journal. Open one in each process; threads and tasks share it and its connections."""

    def __repr__(self) -> str:
        return f"<holdfast.Holdfast at {self.engine.home.config}>"

    @property
    def config(self) -> Config:
        """Return the configuration in force. Raises ConfigError when the file is broken."""
        return self.engine.config()

    def session(
        self,
        session_id: str,
        pin: str | Pin | None = None,
        *,
        key: str | None = None,
        deadline: float | None = None,
    ) -> Session:
        """Resume a session exactly as its user chose it, or create it on `pin`, with the key labelled `key`
        if given. `deadline`: seconds that each call of this session may take in all, with its waits, tests
        and retries, to the last byte of its answer.

        An existing session keeps its own choice whatever `pin` says: `switch` changes it. Only while that
        choice does not resolve, the requests of what is returned go to `pin`, and nothing is stored. A new
        session without a pin takes that of the project's `.holdfast.toml` in or above the current directory.

        Raises ConnectionLost when the session's provider or key is gone and `pin` does not resolve either, or
        when there is no pin; IdentityError for a bad pin or id; ConfigError for a project file that says more
        than a pin; StoreError when the store cannot be read or written; TypeError for an argument of another
        type, ValueError for a deadline that is not above 0.
        """
        text("session_id", session_id)
        deadline = optional_seconds("deadline", deadline)
        if pin is not None:
            pin = pin_of(pin)
        key = optional_text("key", key)
        self.engine.look_again()
        row = self.engine.session(session_id)
        if row is None:
            return self._create(session_id, pin, key, deadline)
        try:
            sessions.check(self.engine, row)
        except HoldfastError:
            if pin is None or key is not None or not sessions.serves(self.config, row, pin):
                raise
            return Session(self, row.id, pin, deadline)
        self.engine.note(row, SessionResumed())
        return Session(self, row.id, deadline=deadline)

    def _create(self, session_id: str, pin: Pin | None, key: str | None, deadline: float | None) -> Session:
        reason = CHOSEN
        if pin is None:
            pin, reason = self._project_choice(session_id)
        now = self.engine.store.now()
        row = Row(session_id, pin, key, created_at=now, changed_at=now)
        sessions.check(self.engine, row)
        if not sessions.create_first(self.engine, row, reason):
            return self.session(session_id, deadline=deadline)  # another process has just created it
        return Session(self, row.id, deadline=deadline)

    def _project_choice(self, session_id: str) -> tuple[Pin, Reason]:
        """Return the pin that the project selects, and that as its reason."""
        selected = project_pin(self.config)
        if selected is None:
            raise ConnectionLost(
                f"there is no session '{session_id}'",
                next_step=f"holdfast session pin {session_id} PROVIDER/MODEL",
            )
        pin, path = selected
        return pin, Reason(project=str(path))

    async def asession(
        self, session_id: str, pin: str | Pin | None = None, *, key: str | None = None
    ) -> Session:
        """Resume or create a session as `session` does, without holding up the event loop."""
        return await in_thread(partial(self.session, session_id, pin, key=key))

    async def asessions(self) -> list[Row]:
        """Return what `sessions` returns, without holding up the event loop."""
        return await in_thread(self.sessions)

    def sessions(self) -> list[Row]:
        """Return all sessions as they are stored, the one that changed last first. Raises StoreError."""
        self.engine.check_open()
        return self.engine.store.sessions()

    def ensure_ready(
        self,
        name: str,
        roles: Mapping[str, Sequence[str]] | None = None,
        *,
        kind: str | None = None,
        settings: Mapping[str, Any] | None = None,
        consent: str | None = None,
        on_models: Callable[[Mapping[str, Pin]], None] | None = None,
        patience: float = PATIENCE,
    ) -> Ready:
        """Return the provider `name`, ready to be used, with a pin for each of `roles`. Provisioning that was
        interrupted is completed with the stored key. A provider that the user configured costs nothing.

        roles      patterns of models for each role, the preferred one first
        kind       the service that sets the provider up, where `name` is not its name
        settings   values for that service
        consent    who agreed, just now, to what the service makes and costs; no key is obtained without it
        on_models  called with the new pins whenever roles get other models, in whichever process
        patience   seconds to wait for another process that sets up the same provider

        Raises NotReady with a reason for programs, and the time when it may be tried again.
        """
        return self.provisioning.ensure_ready(
            text("name", name),
            roles_of(roles),
            kind=kind,
            settings=settings,
            consent=optional_text("consent", consent),
            on_models=on_models,
            patience=patience,
        )


__all__: Sequence[str] = ["NOWHERE", "Holdfast", "HoldfastError", "Session", "open", "open_store"]
