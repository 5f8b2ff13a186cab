"""Holdfast for programs: open a home, choose or resume a session, and give its transport to an SDK."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ..config import Home, project_pin
from ..core.config import Config
from ..core.errors import ConnectionLost, HoldfastError
from ..core.identity import Pin
from ..core.session import Session as Row
from ..engine import sessions
from ..engine.journal import local, why
from ..engine.opening import OpenHome, build_engine, open_store
from ..engine.provisioning import Ready
from ..engine.sessions import CHOSEN, Reason
from ..store.journal_events import Detail, Event, SessionResumed

if TYPE_CHECKING:
    from types import ModuleType

    from ..credentials import Vault
    from ..credentials.callback_source import Supplier
    from ..engine.provenance import Why
    from ..store.base import Store

NOWHERE = "http://holdfast.invalid"
"""The base URL that SDKs are given: a name that never resolves (RFC 6761), so that a request past our
transport has no route."""
_UNUSED_KEY = "held-by-holdfast"
_HTTPX = ("httpx", "httpx2")


class ClientOptions(TypedDict):
    """Keyword arguments for `openai.OpenAI` and the other clients. The SDK's own retries are off, since
    Holdfast retries."""

    base_url: str
    api_key: str
    http_client: Any
    max_retries: int


def open(
    home: str | Path | Home | None = None,
    *,
    keys: Mapping[str, Supplier] | None = None,
    store: Store | None = None,
    vault: Vault | None = None,
    serving: Config | None = None,
) -> Holdfast:
    """Open a home directory (default: HOLDFAST_HOME, else the platform's directories).

    keys     your own functions, sync or async, for the keys that the configuration writes as `call:NAME`.
             Each returns a key, or a key and when it ends, and is called again after that
    store    used instead of the one that the configuration names
    vault    used instead of the one of the home
    serving  the last good configuration: it stays in force while the file is broken

    Raises ConfigError when the configuration is broken, StoreError when the store cannot be opened.
    """
    return Holdfast(build_engine(_home(home), keys=keys, store=store, vault=vault, serving=serving))


def _home(home: str | Path | Home | None) -> Home:
    if home is None:
        return Home.find()
    if isinstance(home, Home):
        return home
    return Home.at(Path(home))


def _parsed(pin: str | Pin) -> Pin:
    if isinstance(pin, Pin):
        return pin
    return Pin.parse(pin)


class Holdfast(OpenHome):
    """An opened home. Use it as a context manager, or call `close()` when done: either completes the
    journal."""

    @property
    def config(self) -> Config:
        """Return the configuration in force. Raises ConfigError when the file is broken."""
        return self.engine.config()

    def session(self, session_id: str, pin: str | Pin | None = None, *, key: str | None = None) -> Session:
        """Resume a session exactly as its user chose it, or create it on `pin`, with the key labelled `key`
        if given.

        An existing session keeps its own choice whatever `pin` says: `switch` changes it. Only while that
        choice does not resolve, the requests of what is returned go to `pin`, and nothing is stored. A new
        session without a pin takes that of the project's `.holdfast.toml` in or above the current directory.

        Raises ConnectionLost when the session's provider or key is gone and `pin` does not resolve either, or
        when there is no pin; IdentityError for a bad pin or id; ConfigError for a project file that says more
        than a pin.
        """
        self.engine.look_again()
        row = self.engine.session(session_id)
        if row is None:
            return self._create(session_id, pin, key)
        try:
            sessions.check(self.engine, row)
        except HoldfastError:
            if pin is None or key is not None or not sessions.serves(self.config, row, _parsed(pin)):
                raise
            return Session(self, row.id, _parsed(pin))
        self.engine.note(row, SessionResumed())
        return Session(self, row.id)

    def _create(self, session_id: str, pin: str | Pin | None, key: str | None) -> Session:
        reason = CHOSEN
        if pin is None:
            pin, reason = self._project_choice(session_id)
        now = self.engine.store.now()
        row = Row(session_id, _parsed(pin), key, created_at=now, changed_at=now)
        sessions.check(self.engine, row)
        if not sessions.create_first(self.engine, row, reason):
            return self.session(session_id)  # another process has just created it
        return Session(self, row.id)

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

    def sessions(self) -> list[Row]:
        """Return all sessions, the one that changed last first."""
        return self.engine.store.sessions()

    def ensure_ready(self, name: str, roles: Mapping[str, Sequence[str]] | None = None, **more: Any) -> Ready:
        """Return the provider `name`, ready to be used, with a pin for each of `roles`. Provisioning that was
        interrupted is completed with the stored key.

        A provider that the user configured costs nothing. A key is obtained only with `consent=`; see
        `Provisioning.ensure_ready` for all arguments. Raises NotReady with a reason for programs.
        """
        return self.provisioning.ensure_ready(name, roles, **more)


class Session:
    """A session: every request leaves on its pin with a key of its provider, or on a fallback that its user
    listed. `asked` is the pin to which its requests go instead, since its own does not resolve."""

    def __init__(self, owner: Holdfast, session_id: str, asked: Pin | None = None) -> None:
        self._owner, self.id = owner, session_id
        self._asked = asked

    @property
    def row(self) -> Row:
        """Return the stored choice, read anew. Raises ConnectionLost when the session was removed."""
        self._owner.engine.catch_up()
        row = self._owner.engine.session(self.id)
        if row is None:
            raise ConnectionLost(
                f"there is no session '{self.id}' any more", next_step="holdfast session list"
            )
        return row

    @property
    def pin(self) -> Pin:
        """Return the pin on which requests leave: the session's choice, unless it did not resolve."""
        return self._asked or self.row.pin

    @property
    def model(self) -> str:
        """Return the model's name, as the SDK's `model=` takes it."""
        return self.pin.model

    def switch(self, pin: str | Pin, *, key: str | None = None) -> None:
        """Change the session to the user's new choice. Endpoint, keys and model change together; nothing of
        the old provider remains."""
        engine, row = self._owner.engine, self.row
        chosen = row.choose(_parsed(pin), engine.store.now(), key)
        sessions.check(engine, chosen)
        sessions.switch(engine.store, row, chosen)
        self._asked = None
        engine.catch_up()

    def attempts(self, limit: int = 200) -> list[Event[Detail]]:
        """Return the journal of this session: attempts and changes, newest last."""
        engine = self._owner.engine
        engine.journal_writer.flush()
        return engine.store.journal(session=self.id, limit=limit)

    def why(self, limit: int = 200) -> str:
        """Return the history of this session as text, with the reason for its present connection."""
        return "\n".join(why(self.attempts(limit), clock=local))

    def origin(self, limit: int = 200) -> Why:
        """Return where the session's provider, model, endpoint, key and dialect come from: what set each,
        where that is written and what changed it last; and the journal.

        Raises ConnectionLost when the session was removed.
        """
        from ..engine.origins import session_origin
        from ..engine.provenance import Why

        engine, row, events = self._owner.engine, self.row, self.attempts(limit)
        fields = session_origin(engine.config(), row, events, now=engine.store.now(), clock=local)
        return Why(self.id, fields, tuple(events))

    def explain(self) -> str:
        """Return an explanation of the session's last request that failed in this process: what happened, on
        which connection, what was tried and what to do next. "" when none failed."""
        return self._owner.engine.explained.get(self.id, "")

    def transport(self, module: ModuleType | None = None) -> Any:
        """Return a sync transport for a client of `httpx2` (default) or `httpx`."""
        return _transports(module).SyncTransport(
            self._owner.engine, self.id, bounds=self._bounds(), named=self._named
        )

    def async_transport(self, module: ModuleType | None = None) -> Any:
        """Return an async transport for a client of `httpx2` (default) or `httpx`."""
        return _transports(module).AsyncTransport(
            self._owner.engine, self.id, bounds=self._bounds(), named=self._named
        )

    def _named(self, model: str | None) -> str | None:
        """Return the model for which a request asks, given the name in its body."""
        asked = self._asked
        if asked is not None and model in (None, "", asked.model):
            return str(asked)
        return model

    def _bounds(self) -> Any:
        from ..wire.exchange import Bounds
        from ..wire.time_limits import time_limits

        settings = self._owner.config.settings
        return Bounds(
            replay=settings.replay_limit,
            time_limits=time_limits(settings),
            mask_answers=settings.mask_answers,
        )

    def for_openai(self) -> ClientOptions:
        """Return keyword arguments for `openai.OpenAI`."""
        import openai

        return self._options(openai.DefaultHttpxClient, f"{NOWHERE}/v1")

    def for_openai_async(self) -> ClientOptions:
        """Return keyword arguments for `openai.AsyncOpenAI`."""
        import openai

        return self._options(openai.DefaultAsyncHttpxClient, f"{NOWHERE}/v1")

    def for_anthropic(self) -> ClientOptions:
        """Return keyword arguments for `anthropic.Anthropic`."""
        import anthropic

        return self._options(anthropic.DefaultHttpxClient, NOWHERE)

    def for_anthropic_async(self) -> ClientOptions:
        """Return keyword arguments for `anthropic.AsyncAnthropic`."""
        import anthropic

        return self._options(anthropic.DefaultAsyncHttpxClient, NOWHERE)

    def _options(self, client: Any, base: str) -> ClientOptions:
        """Return arguments with the SDK's own client class, which has its own time-outs, over our transport.

        The class shows which httpx the SDK is built on.
        """
        modules = [base.__module__.partition(".")[0] for base in client.__mro__]
        module = next(sys.modules[name] for name in modules if name in _HTTPX)
        make = self.async_transport if issubclass(client, module.AsyncClient) else self.transport
        return {
            "base_url": base,
            "api_key": _UNUSED_KEY,
            "http_client": client(transport=make(module), follow_redirects=False),
            "max_retries": 0,
        }


def _transports(module: ModuleType | None) -> Any:
    from .transport import bind

    if module is None:
        import httpx2

        module = httpx2
    return bind(module)


__all__: Sequence[str] = ["ClientOptions", "Holdfast", "HoldfastError", "Session", "open", "open_store"]
