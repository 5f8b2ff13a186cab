"""A gateway in this process that lives as long as one program. Its token is good for one session and one pin,
at this gateway only, and ends with it: at once, or after a kill within `_LIFE` seconds."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import HoldfastError, StoreError
from ..core.identity import Auth, Dialect, Endpoint, Pin
from ..distribution import version
from ..values.secret import Secret

if TYPE_CHECKING:
    from ..engine.state import Engine
    from ..store.token import Token
    from .gateway import Gateway
    from .ports import FinishedRequest

_OTHER_MODEL = frozenset({"pin_mismatch", "model_not_found"})
"""The errors for a request that asks for another model than the pin's."""
_PATIENCE = 10.0
"""Seconds in which it must start, and end."""
_LIFE, _RENEWED_EVERY = 60.0, 20.0
"""Seconds after which the token ends unless it is renewed, and between two renewals."""


@dataclass(slots=True)
class Gate:
    """A gateway that serves: its URL, its token, and the number of requests for another model that it refused
    (`ports.Metrics`)."""

    root: str
    token: Secret
    refused: int = 0

    def finished(self, done: FinishedRequest) -> None:
        """Count a request that was refused for its model."""
        self.refused += done.outcome is None and done.code in _OTHER_MODEL

    def endpoint(self, dialect: Dialect) -> Endpoint:
        """Return the endpoint for a client of this dialect."""
        url = f"{self.root}/v1"
        if dialect is Dialect.ANTHROPIC_MESSAGES:
            url = self.root
        return Endpoint(url, dialect, Auth.BEARER)


@contextmanager
def serving(engine: Engine, session: str, pin: Pin) -> Iterator[Gate]:
    """Serve requests of this session on this pin, on a port of its own.

    Its token is revoked at the end, and tokens that killed runs of the session left behind at the start.
    Raises HoldfastError when the gateway cannot listen.
    """
    from .registry import new_instance
    from .tokens import issue

    store, label = engine.store, f"run {session}"
    for left in store.tokens():
        if left.label == label and left.revoked_at is None:
            store.revoke_token(left.id)
    token, shown = issue(
        store,
        label,
        session,
        pins=(pin,),
        strict=True,
        lasts=_LIFE,
        instance=new_instance(),
    )
    gate = Gate("", Secret(shown))
    try:
        with _thread(engine, gate, token):
            yield gate
    finally:
        store.revoke_token(token.id)


async def _renew(gateway: Gateway, token: Token) -> None:
    """Renew the token again and again. Where the store cannot be written, it ends for others only."""
    store = gateway.engine.store
    while True:
        await asyncio.sleep(_RENEWED_EVERY)
        with suppress(StoreError):
            await gateway.in_thread(lambda: store.renew_token(token.id, store.now() + _LIFE))


@contextmanager
def _thread(engine: Engine, gate: Gate, token: Token) -> Iterator[None]:
    """Run the gateway's event loop in a thread: the main thread keeps the signals and the terminal."""
    from .tokens import Tokens, noting_in

    note = noting_in(engine.journal, engine.store)
    instance, following = token.instance or "", engine.following
    tokens = Tokens(engine.store, following, instance=instance, kept=token.id, foreign=note, soon=engine.soon)
    failures: list[Exception] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        from .admin.routes import AdminRoutes
        from .gateway import Gateway
        from .limits import Bounds
        from .listener import proof_key
        from .process.listen import open_files
        from .registry import RUN, registered
        from .telemetry.metrics import Metrics

        admin = AdminRoutes(Metrics(), version())
        gateway = Gateway(
            engine,
            tokens,
            gate,
            admin,
            bounds=Bounds().for_files(open_files()),
            proof_key=proof_key(engine.vault.pepper()),
        )
        try:
            await gateway.serve("127.0.0.1", 0)
            gateway.spawn(_renew(gateway, token))
            host, port = gateway.addresses[0]
            gate.root = f"http://{host}:{port}"
            with registered(engine.home.state, str(token.instance), gate.root, RUN):
                ready.set()
                await stop.wait()
        finally:
            await gateway.close()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        except Exception as error:
            failures.append(error)
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work, name="holdfast-gateway", daemon=True)
    thread.start()
    ready.wait(_PATIENCE)
    if not gate.root:
        why = "".join(map(str, failures)) or "it did not start in time"
        raise HoldfastError(f"the gateway of this run cannot serve: {why}", next_step="holdfast doctor")
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_PATIENCE)
