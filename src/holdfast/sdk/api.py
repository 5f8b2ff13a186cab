"""Holdfast for programs: open a home, choose or resume a session, and hand its transport to an SDK."""

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


class ClientOptions(TypedDict):
    """What `openai.OpenAI(**…)` and its relatives take. The SDK's own retries are off: one owner retries (law
    10)."""

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
    """Open a home directory (default: HOLDFAST_HOME, else the platform's directories). With `serving`, the
    last good configuration stays in force while the file is broken, at first this one. `keys` are functions
    of your own, sync or async, for the keys that the configuration writes as `call:NAME`: each gives a key,
    or the key and when it ends, and is called again when it has.

    Raises ConfigError when its configuration is broken, StoreError when its memory cannot be opened.
    """
    place = home if isinstance(home, Home) else Home.at(Path(home)) if home is not None else Home.find()
    return Holdfast(build_engine(place, keys=keys, store=store, vault=vault, serving=serving))


class Holdfast(OpenHome):
    """One opened home. Use as a context manager, or `close()` when done; the journal is complete after
    either."""

    @property
    def config(self) -> Config:
        """The configuration in force. Raises ConfigError when the file is broken."""
        return self.engine.config()

    def session(self, session_id: str, pin: str | Pin | None = None, *, key: str | None = None) -> Session:
        """Resume a session exactly as its user chose it, or create it on `pin` (and, if given, on the key
        labelled `key`).

        An existing session keeps its own choice whatever `pin` says: `switch` changes it. A new one without a
        pin takes the one that the `.holdfast.toml` of the project selects in which this process runs. Raises
        ConnectionLost when the session's provider or key is gone, or when nobody chose a pin; IdentityError
        for a bad pin or id; ConfigError for a project file that says more."""
        self.engine.look_again()
        row = self.engine.session(session_id)
        if row is not None:
            sessions.check(self.engine, row)
            self.engine.note(row, SessionResumed())
            return Session(self, row.id)
        selected = project_pin(self.config) if pin is None else None
        pin = selected[0] if selected is not None else pin
        if pin is None:
            raise ConnectionLost(
                f"there is no session '{session_id}'",
                next_step=f"holdfast session pin {session_id} PROVIDER/MODEL",
            )
        now = self.engine.store.now()
        row = Row(
            session_id, pin if isinstance(pin, Pin) else Pin.parse(pin), key, created_at=now, changed_at=now
        )
        sessions.check(self.engine, row)
        reason = Reason(project=str(selected[1])) if selected is not None else CHOSEN
        if not sessions.create_first(self.engine, row, reason):
            return self.session(session_id)
        return Session(self, row.id)

    def sessions(self) -> list[Row]:
        """All sessions, newest change first."""
        return self.engine.store.sessions()

    def ensure_ready(self, name: str, roles: Mapping[str, Sequence[str]] | None = None, **more: Any) -> Ready:
        """The provider `name`, ready to be used, with a pin for each of `roles`; what was half done is
        completed with its stored key.

        It costs nothing of anybody's where the user wrote the provider, and obtains a key only with
        `consent=` (`Provisioning.ensure_ready` tells the rest). Raises NotReady with a reason for programs.
        """
        return self.provisioning.ensure_ready(name, roles, **more)


class Session:
    """One session, held fast: every request leaves on its pin, with a key of its provider, or on a rung that
    its user listed."""

    def __init__(self, owner: Holdfast, session_id: str) -> None:
        self._owner, self.id = owner, session_id

    @property
    def row(self) -> Row:
        """The stored choice as it stands now. Raises ConnectionLost when the session was removed."""
        self._owner.engine.catch_up()
        row = self._owner.engine.session(self.id)
        if row is None:
            raise ConnectionLost(
                f"there is no session '{self.id}' any more", next_step="holdfast session list"
            )
        return row

    @property
    def pin(self) -> Pin:
        return self.row.pin

    @property
    def model(self) -> str:
        """The model's name, as the SDK's `model=` wants it."""
        return self.pin.model

    def switch(self, pin: str | Pin, *, key: str | None = None) -> None:
        """The user's new choice. Endpoint, keys and model change together; nothing of the old provider stays
        attached."""
        engine, row = self._owner.engine, self.row
        chosen = row.choose(pin if isinstance(pin, Pin) else Pin.parse(pin), engine.store.now(), key)
        sessions.check(engine, chosen)
        sessions.switch(engine.store, row, chosen)
        engine.catch_up()

    def attempts(self, limit: int = 200) -> list[Event[Detail]]:
        """The journal of this session: attempts and changes, newest last."""
        engine = self._owner.engine
        engine.journal_writer.flush()
        return engine.store.journal(session=self.id, limit=limit)

    def why(self, limit: int = 200) -> str:
        """What happened to this session and why it is where it is, as text."""
        return "\n".join(why(self.attempts(limit), clock=local))

    def origin(self, limit: int = 200) -> Why:
        """For provider, model, endpoint, key and dialect each: what set it, where that is written and what
        changed it last; and the journal. Raises ConnectionLost when the session was removed."""
        from ..engine.provenance import Why, session_origin

        engine, row, events = self._owner.engine, self.row, self.attempts(limit)
        return Why(
            self.id, session_origin(engine.config(), row, events, engine.store.now(), local), tuple(events)
        )

    def explain(self) -> str:
        """What happened to the session's last request that failed in this process, on which connection, what
        was tried and what to do next; empty when none failed."""
        return self._owner.engine.explained.get(self.id, "")

    def transport(self, module: ModuleType | None = None) -> Any:
        """A sync transport for a client of `httpx2` (default) or `httpx`."""
        return _bound(module).SyncTransport(self._owner.engine, self.id, bounds=self._bounds())

    def async_transport(self, module: ModuleType | None = None) -> Any:
        """An async transport for a client of `httpx2` (default) or `httpx`."""
        return _bound(module).AsyncTransport(self._owner.engine, self.id, bounds=self._bounds())

    def _bounds(self) -> Any:
        from ..wire.conversation import Bounds

        return Bounds(replay=self._owner.config.settings.replay_limit)

    def for_openai(self) -> ClientOptions:
        """Keyword arguments for `openai.OpenAI`."""
        import openai

        return self._options(openai.DefaultHttpxClient, f"{NOWHERE}/v1")

    def for_openai_async(self) -> ClientOptions:
        """Keyword arguments for `openai.AsyncOpenAI`."""
        import openai

        return self._options(openai.DefaultAsyncHttpxClient, f"{NOWHERE}/v1")

    def for_anthropic(self) -> ClientOptions:
        """Keyword arguments for `anthropic.Anthropic`."""
        import anthropic

        return self._options(anthropic.DefaultHttpxClient, NOWHERE)

    def for_anthropic_async(self) -> ClientOptions:
        """Keyword arguments for `anthropic.AsyncAnthropic`."""
        import anthropic

        return self._options(anthropic.DefaultAsyncHttpxClient, NOWHERE)

    def _options(self, client: Any, base: str) -> ClientOptions:
        """The SDK's own client class with its own time-outs, over our transport; the SDK says itself which
        httpx it is built on."""
        module = next(
            sys.modules[c.__module__.partition(".")[0]]
            for c in client.__mro__
            if c.__module__.partition(".")[0] in ("httpx", "httpx2")
        )
        transport = (
            self.async_transport(module) if issubclass(client, module.AsyncClient) else self.transport(module)
        )
        return {
            "base_url": base,
            "api_key": _UNUSED_KEY,
            "http_client": client(transport=transport, follow_redirects=False),
            "max_retries": 0,
        }


def _bound(module: ModuleType | None) -> Any:
    from .transport import bind

    if module is None:
        import httpx2

        module = httpx2
    return bind(module)


__all__: Sequence[str] = ["ClientOptions", "Holdfast", "HoldfastError", "Session", "open", "open_store"]
