"""A gateway for one program's life, in this process: strict on one pin, behind a token that nothing else
takes, gone with the program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import HoldfastError
from ..core.identity import Auth, Dialect, Endpoint, Pin
from ..core.secret import Secret
from ..distribution import version

if TYPE_CHECKING:
    from ..engine.state import Engine
    from .ports import FinishedRequest

_CONFLICT = 409
_PATIENCE = 10.0


@dataclass(slots=True)
class Gate:
    """A gateway that serves: where, by which token, and how many requests for another model it turned
    away."""

    root: str
    token: Secret
    refused: int = 0

    def finished(self, done: FinishedRequest) -> None:
        """Told by the gateway of every request."""
        self.refused += done.status == _CONFLICT and done.outcome is None

    def endpoint(self, dialect: Dialect) -> Endpoint:
        """Where a client of this dialect is pointed to."""
        return Endpoint(
            self.root if dialect is Dialect.ANTHROPIC_MESSAGES else f"{self.root}/v1", dialect, Auth.BEARER
        )


@contextmanager
def serving(engine: Engine, session: str, pin: Pin) -> Iterator[Gate]:
    """A gateway on a port of its own, for requests of this session on this pin. Its token ends with it; those
    that killed runs of the session left are ended first. Raises HoldfastError when it cannot listen."""
    from .tokens import issue

    store, label = engine.store, f"run {session}"
    for left in store.tokens():
        if left.label == label and left.revoked_at is None:
            store.revoke_token(left.id)
    token, shown = issue(store, label, session)
    gate = Gate("", Secret(shown))
    try:
        with _thread(engine, gate, pin):
            yield gate
    finally:
        store.revoke_token(token.id)


@contextmanager
def _thread(engine: Engine, gate: Gate, pin: Pin) -> Iterator[None]:
    """The gateway's event loop in a thread: signals and the terminal stay with the main one."""
    begun: list[BaseException | None] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        from .admin.routes import AdminRoutes
        from .gateway import Gateway
        from .telemetry.metrics import Metrics
        from .tokens import Tokens

        gateway = Gateway(engine, Tokens(engine.store), gate, AdminRoutes(Metrics(), version()), strict=pin)
        try:
            await gateway.serve("127.0.0.1", 0)
            host, port = gateway.addresses[0]
            gate.root = f"http://{host}:{port}"
            begun.append(None)
            ready.set()
            await stop.wait()
        finally:
            await gateway.close()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        except Exception as error:
            begun.append(error)
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work, name="holdfast-gateway", daemon=True)
    thread.start()
    ready.wait(_PATIENCE)
    if not begun or begun[0] is not None:
        why = begun[0] if begun else "it did not come up"
        raise HoldfastError(f"the gateway of this run cannot serve: {why}", next_step="holdfast doctor")
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_PATIENCE)
