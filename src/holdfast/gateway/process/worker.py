"""One process that serves: it opens the home, carries requests until it is told to end, and lets running
answers end first.

The configuration is looked at beside the requests. A broken file is refused aloud and changes nothing; a good
one counts from the next request on."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...core.config import Config, Listen
from ...core.errors import ConfigError
from ...distribution import version
from ...engine.home_store import open_store
from ...engine.opening import OpenHome, build_engine
from ..admin.routes import AdminRoutes
from ..gateway import Gateway
from ..telemetry.log import Bridge, Log
from ..telemetry.metrics import Metrics
from ..telemetry.shared_counters import Gauge, Shared
from ..tokens import Tokens

if TYPE_CHECKING:
    from ...config import Home
    from ...engine.state import Engine
    from ..ports import FinishedRequest

_LOOK_EVERY = 0.4


@dataclass(frozen=True, slots=True)
class Options:
    """What `holdfast serve` was asked for; what was not given stands in the configuration."""

    listen: str | None = None
    workers: int = 1
    public: bool = False
    as_json: bool = False
    access_log: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A worker's place among the others: its socket, its slot, and a pipe that ends when its supervisor
    does."""

    listen: Listen
    socket: socket.socket
    shared: Shared
    slot: int = 0
    lifeline: int | None = None


class _Told:
    """Who is told of a finished request."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics, self._log = metrics, log

    def finished(self, done: FinishedRequest) -> None:
        self._metrics.finished(done)
        self._log.finished(done)


def work(home: Home, config: Config, options: Options, place: Place, ready: Callable[[Engine], None]) -> bool:
    """Serve until told to end; whether a terminal's interrupt said so. `config` holds until the file has been
    read again; `ready` is called once requests are taken. Raises StoreError when the store cannot be
    opened."""
    store = open_store(home, config)
    with OpenHome(build_engine(home, store=store, serving=config)) as opened:
        log = Log(opened.engine.vault.known, access=options.access_log)
        bridge = Bridge(log)
        logging.getLogger("holdfast").addHandler(bridge)
        try:
            return _runner()(_Worker(opened.engine, place, log, ready).run())
        finally:
            logging.getLogger("holdfast").removeHandler(bridge)
            log.close()


def _runner() -> Callable[[Coroutine[object, object, bool]], bool]:
    """What runs the event loop: uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


class _Worker:
    def __init__(self, engine: Engine, place: Place, log: Log, ready: Callable[[Engine], None]) -> None:
        self._engine, self._place, self._log, self._tell_ready = engine, place, log, ready
        self._metrics = Metrics(place.shared, place.slot)
        self._seen: tuple[Config, ConfigError | None] = (engine.config(), engine.config_error)
        self._was_interrupted = False

    async def run(self) -> bool:
        engine, place, slot = self._engine, self._place, self._metrics.slot
        tokens, sides = (
            Tokens(engine.store, tell=engine.journal_writer.tell),
            AdminRoutes(self._metrics, version()),
        )
        gateway = Gateway(
            engine,
            tokens,
            _Told(self._metrics, self._log),
            sides,
            hosts=[place.listen.host, *engine.config().gateway.names],
        )
        self._end, self._look = asyncio.Event(), asyncio.Event()
        self._listen_to_signals(asyncio.get_running_loop())
        await gateway.serve(sock=place.socket)
        watch = asyncio.create_task(self._watch(gateway))
        slot[Gauge.STARTED_AT], slot[Gauge.READY] = time.time(), 1
        self._log.say("started", version=version(), url=place.listen.url, worker=place.slot)
        self._tell_ready(engine)
        _spare_the_collector()
        await self._end.wait()
        slot[Gauge.READY] = 0
        self._end.clear()
        drained = asyncio.create_task(gateway.drain(engine.config().gateway.drain))
        again = asyncio.create_task(self._end.wait())
        await asyncio.wait((drained, again), return_when=asyncio.FIRST_COMPLETED)
        watch.cancel()
        again.cancel()
        cut = gateway.busy
        await gateway.close()
        drained.cancel()
        self._log.say("ended", "warning" if cut else "info", cut_off=cut or None, worker=place.slot)
        return self._was_interrupted

    def _listen_to_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self._end.set)
        loop.add_signal_handler(signal.SIGHUP, self._look.set)
        lifeline = self._place.lifeline
        if lifeline is None:
            loop.add_signal_handler(signal.SIGINT, self._interrupted)
        else:
            signal.signal(
                signal.SIGINT, signal.SIG_IGN
            )  # a terminal sends it to all; the supervisor hands it on
            loop.add_reader(lifeline, self._orphaned, loop, lifeline)

    def _interrupted(self) -> None:
        self._was_interrupted = True
        self._end.set()

    def _orphaned(self, loop: asyncio.AbstractEventLoop, lifeline: int) -> None:
        loop.remove_reader(lifeline)
        self._end.set()

    async def _watch(self, gateway: Gateway) -> None:
        """Look at the configuration, and keep the gauges true."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), _LOOK_EVERY)
            self._look.clear()
            await gateway.in_thread(self._reread)
            self._metrics.measure(gateway)
            self._compare()

    def _reread(self) -> None:
        self._engine.look_again()
        self._engine.config()

    def _compare(self) -> None:
        """Say what became of a changed file."""
        config, error = now = self._engine.config(), self._engine.config_error
        if error is not None and error is not self._seen[1]:
            self._metrics.count("reloads", "refused")
            self._log.say("reload-refused", "error", file=str(self._engine.home.config), what=str(error))
        elif error is None and (config is not self._seen[0] or self._seen[1] is not None):
            self._metrics.count("reloads", "taken")
            known = {"providers": len(config.providers), "fallbacks": len(config.fallbacks)}
            self._log.say("reloaded", file=str(self._engine.home.config), **known)
        self._metrics.slot[Gauge.CONFIG_BROKEN] = error is not None
        self._seen = now


def _spare_the_collector() -> None:
    """What is there now stays: it need not be looked through again and again. A request leaves next to
    nothing in a circle, so it is looked for rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
