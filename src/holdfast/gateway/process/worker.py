"""One process that serves: it opens the home, carries requests until a signal ends it, and lets running
answers complete first.

The configuration is checked for changes beside the requests. A broken file is logged and changes nothing; a
good one applies from the next request on.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...config.listen import Listen
from ...core.config import Config
from ...core.errors import ConfigError
from ...distribution import version
from ...engine.home_store import open_store
from ...engine.opening import OpenHome, build_engine
from ..admin.routes import AdminRoutes
from ..gateway import Gateway
from ..limits import Bounds
from ..listener import proof_key
from ..on_database import Presence, facts_of, stay_listed
from ..registry import Publish
from ..telemetry.log import Bridge, Log
from ..telemetry.metrics import Metrics
from ..telemetry.shared_counters import Gauge, Shared
from ..tokens import Tokens, noting_in
from .handover import REPLACED, SocketOffer
from .listen import open_files

if TYPE_CHECKING:
    from ...config import Home
    from ...engine.state import Engine
    from ..ports import FinishedRequest

_LOOK_EVERY = 0.4
"""Seconds between two checks of the configuration."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `holdfast serve`; for those not given the configuration decides. `wait_for_store`: the
    seconds in which the store may become ready. `log_file` is in place of standard error, if it is not empty.
    In the `background` an empty line ends the announcement, for the command that waits for it."""

    listen: str | None = None
    workers: int = 1
    public: bool = False
    as_json: bool = False
    access_log: bool = False
    fast_path: str = "on"
    replace: bool = False
    wait_for_store: float = 0.0
    log_file: str = ""
    background: bool = False


@dataclass(frozen=True, slots=True)
class WorkerResources:
    """The resources of one worker, opened before it starts.

    `listen` is the address of `sockets`, `slot` the worker's part of the `shared` counters. `lifeline` is a
    pipe that closes when the supervisor ends; None without a supervisor. `instance` is the gateway's id;
    `publish` lists it as the gateway of this process; `offer` has its sockets for its replacement;
    `look_at_log` keeps the log's file small.
    """

    listen: Listen
    sockets: Sequence[socket.socket]
    shared: Shared
    publish: Publish
    offer: SocketOffer
    slot: int = 0
    lifeline: int | None = None
    instance: str = ""
    look_at_log: Callable[[], None] = lambda: None


class _Observers:
    """Reports each finished request to the metrics and to the log (`ports.Metrics`)."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics, self._log = metrics, log

    def finished(self, done: FinishedRequest) -> None:
        self._metrics.finished(done)
        self._log.finished(done)


def work(
    home: Home,
    config: Config,
    options: Options,
    *,
    resources: WorkerResources,
    ready: Callable[[Engine], None],
) -> bool:
    """Serve until a signal ends it. Return True where that was a terminal's interrupt.

    `config` applies until the file has been read again; `ready` is called once requests are accepted. Raises
    StoreError when the store cannot be opened.
    """
    store = open_store(home, config)
    # No program changes the variables of a gateway, and a dictionary is read faster.
    engine = build_engine(home, store=store, serving=config, environ=dict(os.environ))
    engine.fast_path.on = options.fast_path == "on"
    with OpenHome(engine) as opened:
        log = Log(opened.engine.vault.known, access=options.access_log)
        bridge = Bridge(log)
        logging.getLogger("holdfast").addHandler(bridge)
        try:
            return _runner()(_Worker(opened.engine, resources, log, ready).run())
        finally:
            logging.getLogger("holdfast").removeHandler(bridge)
            log.close()


def _runner() -> Callable[[Coroutine[object, object, bool]], bool]:
    """Return the function that runs the event loop: uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


class _Worker:
    """The gateway of one process with its log and metrics, from its start to its end."""

    def __init__(
        self, engine: Engine, resources: WorkerResources, log: Log, ready: Callable[[Engine], None]
    ) -> None:
        self._engine, self._resources, self._log, self._report_ready = engine, resources, log, ready
        self._metrics = Metrics(resources.shared, resources.slot)
        self._seen: tuple[Config, ConfigError | None] = (engine.config(), engine.config_error)
        self._was_interrupted = self._replaced = False
        self._tokens = Tokens(
            engine.store,
            engine.following,
            instance=resources.instance,
            tell=engine.journal_writer.warn_once,
            foreign=noting_in(engine.journal, engine.store),
            soon=engine.soon,
        )

    async def run(self) -> bool:
        """Serve until a signal comes, then drain. Return True where it was a terminal's interrupt."""
        engine, resources, slot = self._engine, self._resources, self._metrics.slot
        gateway = self._gateway()
        self._end, self._look = asyncio.Event(), asyncio.Event()
        self._handle_signals(asyncio.get_running_loop())
        for sock in resources.sockets:
            await gateway.serve(sock=sock)
        watch = asyncio.create_task(self._watch(gateway))
        slot[Gauge.STARTED_AT], slot[Gauge.READY] = time.time(), 1
        self._log.say("started", version=version(), url=resources.listen.url, worker=resources.slot)
        await asyncio.to_thread(self._report_ready, engine)  # it waits for the store, and for who reads it
        _freeze_garbage_collection()
        self._watch_offer()
        listed = self._listed_in_database(gateway)
        await self._end.wait()
        slot[Gauge.READY] = 0
        if resources.lifeline is None:
            resources.publish(draining=True)
        self._ignore_offer().close()
        if listed is not None:
            listed.cancel()
        await self._drain(gateway)
        watch.cancel()
        cut = gateway.busy
        await gateway.close()
        # While the loop still takes the signals: a further one ends no renewal.
        await asyncio.to_thread(engine.vault.settle)
        if cut:
            self._log.say("ended", "warning", cut_off=cut, worker=resources.slot)
        else:
            self._log.say("ended", worker=resources.slot)
        return self._was_interrupted

    def _listed_in_database(self, gateway: Gateway) -> asyncio.Task[None] | None:
        """List the gateway in its database, where other machines may use that, until the task is
        cancelled."""
        engine, resources = self._engine, self._resources
        if resources.slot or not engine.config().gateway.store.startswith("postgresql:"):
            return None
        presence = Presence(engine.store, facts_of(resources.instance, resources.listen.port))
        return asyncio.create_task(stay_listed(presence, gateway.in_thread))

    def _gateway(self) -> Gateway:
        engine = self._engine
        return Gateway(
            engine,
            tokens=self._tokens,
            metrics=_Observers(self._metrics, self._log),
            admin=AdminRoutes(self._metrics, version()),
            bounds=Bounds().for_files(open_files()),
            hosts=[self._resources.listen.host, *engine.config().gateway.names],
            proof_key=proof_key(engine.vault.pepper()),
        )

    async def _drain(self, gateway: Gateway) -> None:
        """Let running answers complete, until the configured time is over or a second signal comes."""
        self._end.clear()
        seconds = self._engine.config().gateway.drain
        ending = gateway.drain(seconds, replaced=self._replaced, at_once=self._was_interrupted)
        drained = asyncio.create_task(ending)
        again = asyncio.create_task(self._end.wait())
        await asyncio.wait((drained, again), return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        drained.cancel()

    def _handle_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_signal_handler(signal.SIGTERM, self._end.set)
        loop.add_signal_handler(signal.SIGHUP, self._look.set)
        lifeline = self._resources.lifeline
        if lifeline is None:
            loop.add_signal_handler(signal.SIGINT, self._interrupted)
            return
        # A terminal sends an interrupt to all processes; the supervisor passes its own on.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop.add_signal_handler(REPLACED, self._was_replaced)
        loop.add_reader(lifeline, self._orphaned, loop, lifeline)

    def _interrupted(self) -> None:
        self._was_interrupted = True
        self._end.set()

    def _watch_offer(self) -> None:
        """Wait for a gateway that replaces this one; with several workers the supervisor does."""
        for sock in self._resources.offer.watched:
            asyncio.get_running_loop().add_reader(sock, self._step_of_offer)

    def _ignore_offer(self) -> SocketOffer:
        for sock in self._resources.offer.watched:
            asyncio.get_running_loop().remove_reader(sock)
        return self._resources.offer

    def _step_of_offer(self) -> None:
        if self._ignore_offer().step():
            self._was_replaced()
        else:
            self._watch_offer()

    def _was_replaced(self) -> None:
        self._replaced = True
        self._log.say("replaced", url=self._resources.listen.url, worker=self._resources.slot)
        self._end.set()

    def _orphaned(self, loop: asyncio.AbstractEventLoop, lifeline: int) -> None:
        loop.remove_reader(lifeline)
        self._resources.publish()  # it has the store open until its answers end
        self._end.set()

    async def _watch(self, gateway: Gateway) -> None:
        """Check the configuration for changes and update the gauges, every `_LOOK_EVERY` seconds."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), _LOOK_EVERY)
            self._look.clear()
            await gateway.in_thread(self._reread)
            self._resources.look_at_log()
            self._metrics.measure(gateway)
            self._report_reload()

    def _reread(self) -> None:
        self._engine.look_again()
        self._engine.config()

    def _report_reload(self) -> None:
        """Log and count the result of reading a changed file."""
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


def _freeze_garbage_collection() -> None:
    """Exempt all present objects from garbage collection, and collect rarely.

    They live as long as the process, and a request leaves next to no reference cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
