"""A session as a program holds it: its choice, its history, and what gives its connection to an SDK."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast, overload

from ..core.errors import ConnectionLost
from ..core.identity import Pin
from ..core.session import Session as Row
from ..engine import sessions
from ..engine.journal import local, why
from ..store.journal_events import Detail, Event
from .arguments import number, optional_text, pin_of
from .client_options import (
    AnthropicOptions,
    AsyncAnthropicOptions,
    AsyncOpenAIOptions,
    OpenAIOptions,
    options_for,
)
from .client_paths import Family
from .connected_home import ConnectedHome
from .threads import in_thread

if TYPE_CHECKING:
    import httpx2

    from ..engine.provenance import Why


class Session:
    """A session: every request leaves on its pin with a key of its provider, or on a fallback that its user
    listed. `asked` is the pin to which its requests go instead, since its own does not resolve. Each of its
    calls may take `deadline` seconds."""

    def __init__(
        self,
        owner: ConnectedHome,
        session_id: str,
        asked: Pin | None = None,
        deadline: float | None = None,
    ) -> None:
        self._owner, self.id = owner, session_id
        self._asked, self._deadline = asked, deadline

    def __repr__(self) -> str:
        return f"<holdfast.Session '{self.id}' of {self._owner.engine.home.config}>"

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
        """Return the pin on which requests leave: the session's choice, unless it did not resolve. Raises
        ConnectionLost when the session was removed."""
        return self._asked or self.row.pin

    @property
    def model(self) -> str:
        """Return the model's name, as the SDK's `model=` takes it. Raises ConnectionLost when the session was
        removed."""
        return self.pin.model

    def switch(self, pin: str | Pin, *, key: str | None = None) -> None:
        """Change the session to the user's new choice. Endpoint, keys and model change together; nothing of
        the old provider remains.

        Raises ConnectionLost when the new choice does not resolve or the session was removed, IdentityError
        for a bad pin, StaleSession when another program changed the session at the same moment.
        """
        pin, key = pin_of(pin), optional_text("key", key)
        engine, row = self._owner.engine, self.row
        chosen = row.choose(pin, engine.store.now(), key)
        sessions.check(engine, chosen)
        sessions.switch(engine.store, row, chosen)
        self._asked = None
        engine.catch_up()

    def attempts(self, limit: int = 200) -> list[Event[Detail]]:
        """Return the journal of this session: the last `limit` attempts and changes, newest last. Raises
        StoreError."""
        number("limit", limit)
        engine = self._owner.engine
        engine.check_open()
        engine.journal_writer.flush()
        return engine.store.journal(session=self.id, limit=limit)

    def why(self, limit: int = 200) -> str:
        """Return the last `limit` events of this session as text, with the reason for its present connection.
        Times are local. Raises StoreError."""
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

    async def arow(self) -> Row:
        """Return `row` without holding up the event loop."""
        return await in_thread(lambda: self.row)

    async def aswitch(self, pin: str | Pin, *, key: str | None = None) -> None:
        """Change the session as `switch` does, without holding up the event loop."""
        await in_thread(partial(self.switch, pin, key=key))

    async def aattempts(self, limit: int = 200) -> list[Event[Detail]]:
        """Return what `attempts` returns, without holding up the event loop."""
        return await in_thread(partial(self.attempts, limit))

    async def awhy(self, limit: int = 200) -> str:
        """Return what `why` returns, without holding up the event loop."""
        return await in_thread(partial(self.why, limit))

    async def aorigin(self, limit: int = 200) -> Why:
        """Return what `origin` returns, without holding up the event loop."""
        return await in_thread(partial(self.origin, limit))

    def explain(self) -> str:
        """Return an explanation of the session's last request that failed in this process: what happened, on
        which connection, what was tried and what to do next. "" when none failed."""
        return self._owner.engine.explained.get(self.id, "")

    @overload
    def transport(self) -> httpx2.BaseTransport: ...
    @overload
    def transport(self, module: ModuleType) -> Any: ...
    def transport(self, module: ModuleType | None = None) -> Any:
        """Return a sync transport for a client of `httpx2` (default) or of `httpx`, which is given as the
        module itself. Only the path of the client's URLs counts."""
        return self._transport(_httpx(module))

    @overload
    def async_transport(self) -> httpx2.AsyncBaseTransport: ...
    @overload
    def async_transport(self, module: ModuleType) -> Any: ...
    def async_transport(self, module: ModuleType | None = None) -> Any:
        """Return an async transport for a client of `httpx2` (default) or of `httpx`, which is given as the
        module itself. Only the path of the client's URLs counts."""
        return self._transport(_httpx(module), asynchronous=True)

    def _transport(
        self, module: ModuleType, made_for: Family | None = None, asynchronous: bool = False
    ) -> Any:
        from .transport import bind

        transports = bind(module)
        kind = transports.AsyncTransport if asynchronous else transports.SyncTransport
        return kind(
            self._owner.engine,
            self.id,
            bounds=self._bounds(),
            named=self._named,
            made_for=made_for,
            sleep=self._owner.sleep,
            pools=self._owner.pools,
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

        settings = self._owner.engine.config().settings
        return Bounds(
            replay=settings.replay_limit,
            time_limits=time_limits(settings),
            deadline=self._deadline,
            mask_answers=settings.mask_answers,
        )

    def for_openai(self) -> OpenAIOptions:
        """Return keyword arguments for `openai.OpenAI`."""
        import openai

        return cast("OpenAIOptions", self._options(openai.DefaultHttpxClient, Family.OPENAI))

    def for_openai_async(self) -> AsyncOpenAIOptions:
        """Return keyword arguments for `openai.AsyncOpenAI`."""
        import openai

        return cast("AsyncOpenAIOptions", self._options(openai.DefaultAsyncHttpxClient, Family.OPENAI))

    def for_anthropic(self) -> AnthropicOptions:
        """Return keyword arguments for `anthropic.Anthropic`."""
        import anthropic

        return cast("AnthropicOptions", self._options(anthropic.DefaultHttpxClient, Family.ANTHROPIC))

    def for_anthropic_async(self) -> AsyncAnthropicOptions:
        """Return keyword arguments for `anthropic.AsyncAnthropic`."""
        import anthropic

        return cast(
            "AsyncAnthropicOptions", self._options(anthropic.DefaultAsyncHttpxClient, Family.ANTHROPIC)
        )

    def _options(self, client: Any, family: Family) -> Any:
        return options_for(client, family, self._transport)


def _httpx(module: ModuleType | None) -> ModuleType:
    if module is None:
        import httpx2

        return httpx2
    if not hasattr(module, "BaseTransport"):
        raise TypeError(f"module must be httpx2 or httpx, as a module, not {module!r:.80}")
    return module
