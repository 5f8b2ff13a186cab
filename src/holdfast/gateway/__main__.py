"""`holdfast serve`: checks settings and binds sockets first, then serves. Needs no package of the command
line.

Standard output gets one announcement, once requests are accepted: a JSON line or a text for people.
Everything later goes to the log, on standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Home, load, revision
from ..core.errors import ConfigError, HoldfastError, StoreError
from ..secrecy.core_dumps import forbid_core_dumps
from ..values.times import duration

if TYPE_CHECKING:
    from ..core.config import Config
    from ..engine.state import Engine
    from ..store.base import Store
    from .process.worker import Options, WorkerResources

_HELP = "holdfast serve --help"
_INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells give it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal ends it. Return the exit code."""
    forbid_core_dumps()
    parser = argparse.ArgumentParser(
        prog="python -m holdfast.gateway", description="What `holdfast serve` runs."
    )
    parser.add_argument("--listen")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--public", action="store_true")
    parser.add_argument("--json", dest="as_json", action="store_true")
    parser.add_argument("--access-log", action="store_true")
    parser.add_argument("--fast-path", choices=["on", "off"], default="on")
    parser.add_argument("--replace", action="store_true")
    parser.add_argument("--wait-for-store", default="0")
    parser.add_argument("--log-file", default="")
    parser.add_argument("--background", action="store_true")
    given = parser.parse_args(arguments)
    try:
        return _serve(_options(given))
    except HoldfastError as error:
        _refuse(error, as_json=given.as_json)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED


def _options(given: argparse.Namespace) -> Options:
    from .process.worker import Options

    if given.workers < 1:
        raise ConfigError("at least one worker is needed", next_step="holdfast serve --workers 1")
    seconds = duration(given.wait_for_store)
    if seconds is None or seconds < 0:
        raise ConfigError(
            f"'{given.wait_for_store}' is no time to wait", next_step="holdfast serve --wait-for-store 60s"
        )
    return Options(**vars(given) | {"wait_for_store": seconds})


def _serve(options: Options) -> int:
    from .process.allocator import keep_freed_memory
    from .process.announcement import announce_start
    from .process.handover import offered
    from .process.sockets import listening_sockets
    from .process.worker import WorkerResources
    from .registry import SERVE, new_instance, prepared
    from .telemetry.shared_counters import Shared

    keep_freed_memory()
    home, look_at_log = Home.find(), _log_to(options.log_file)
    config = _Current(home)
    settings = config.value.gateway
    if options.workers > 1 and settings.store.startswith("memory:"):
        raise ConfigError(
            'several workers share their state through the store, and "memory:" cannot be shared',
            next_step="holdfast serve --workers 1",
        )
    # No address is taken meanwhile: whoever connects is refused, or answered by the gateway that is replaced.
    _wait_for_store(home, config.value, options.wait_for_store)
    listening = listening_sockets(options, settings, home.state)
    listen, predecessor = listening.listen, listening.predecessor
    shared, instance = Shared(options.workers), new_instance()
    with (
        prepared(home.state, instance, listen.url, SERVE, workers=options.workers) as publish,
        offered(home.state, instance, listen.host, listening.sockets) as offer,
    ):
        every = [
            WorkerResources(
                listen=listen,
                sockets=listening.for_worker(number, options.workers),
                shared=shared,
                publish=publish,
                offer=offer,
                slot=number,
                instance=instance,
                look_at_log=look_at_log,
            )
            for number in range(options.workers)
        ]

        def announce(store: Store) -> None:
            publish()
            if predecessor is not None:
                predecessor.end()
            announce_start(options, listening, config.value, store)

        if options.workers == 1:
            return _serve_alone(home, config.value, options, every[0], announce=announce)
        return _supervise(home, config, options, every, announce=announce)


def _log_to(path: str) -> Callable[[], None]:
    """Write the log to a file from now on. Return what keeps it small."""
    from .process.log_file import LogFile

    if not path:
        return lambda: None
    return LogFile(Path(path).absolute()).look


def _wait_for_store(home: Home, config: Config, seconds: float) -> None:
    """Wait until the home's store can be opened, at most `seconds`. Raises StoreError."""
    from ..engine.home_store import open_store
    from .process.store_wait import wait_for_store
    from .process.supervisor import say

    def tell(error: StoreError, left: float) -> None:
        say("store-awaited", "warning", what=error.what, seconds=round(left, 1))

    if seconds > 0:
        # The first process of a container ignores a signal that it does not handle.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        wait_for_store(lambda: open_store(home, config), seconds, tell=tell)
        signal.signal(signal.SIGTERM, before)


def _serve_alone(
    home: Home,
    config: Config,
    options: Options,
    resources: WorkerResources,
    announce: Callable[[Store], None],
) -> int:
    """Serve in this process. Return the exit code."""
    from .process.worker import work
    from .telemetry.shared_counters import Gauge

    def ready(engine: Engine) -> None:
        announce(engine.store)

    resources.shared.put(0, Gauge.STARTS, 1)
    if work(home, config, options, resources=resources, ready=ready):
        return _INTERRUPTED
    return 0


class _Current:
    """The last good configuration, for workers that are started while the file is broken.

    Raises ConfigError where the file is broken at the start.
    """

    def __init__(self, home: Home) -> None:
        self._home, self._seen = home, revision(home)
        self.value = load(home)

    def look(self) -> None:
        """Read the file again if it has changed."""
        seen = revision(self._home)
        if seen != self._seen:
            self._seen = seen
            try:
                self.value = load(self._home, in_use=True)
            except ConfigError:
                return  # the workers log it


def _supervise(
    home: Home,
    config: _Current,
    options: Options,
    every: Sequence[WorkerResources],
    announce: Callable[[Store], None],
) -> int:
    """Serve in several processes; `every` holds the resources of each. Return the exit code."""
    from dataclasses import replace

    from ..engine.home_store import open_store
    from .process.supervisor import Supervisor
    from .process.worker import work

    offer, publish = every[0].offer, every[0].publish
    listening = {sock for resources in every for sock in resources.sockets}

    def start(number: int, ready_pipe: int, lifeline: int) -> int:
        resources = replace(every[number], lifeline=lifeline)

        def ready(_: Engine) -> None:
            os.write(ready_pipe, bytes([number]))

        def serve() -> object:
            return work(home, config.value, options, resources=resources, ready=ready)

        offer.close()
        _close(set(listening) - set(resources.sockets))
        return _guarded(serve, as_json=options.as_json)

    def all_ready() -> None:
        with open_store(home, config.value) as store:
            announce(store)

    def look() -> None:
        config.look()
        every[0].look_at_log()

    def end() -> None:
        publish(draining=True)
        offer.close()
        _close(listening)

    return Supervisor(
        workers=options.workers,
        shared=every[0].shared,
        start=start,
        ready=all_ready,
        look=look,
        end=end,
        patience=lambda: config.value.gateway.drain,
        offer=offer,
    ).run()


def _close(sockets: Iterable[socket.socket]) -> None:
    """Close listening sockets in this process; others keep them open."""
    for sock in sockets:
        sock.close()


def _guarded(run: Callable[[], object], *, as_json: bool) -> int:
    """Run a worker and return its exit code; report an error of ours on standard error."""
    try:
        run()
    except HoldfastError as error:
        _refuse(error, as_json=as_json)
        return error.exit_code
    return 0


def _refuse(error: HoldfastError, *, as_json: bool) -> None:
    shown = f"holdfast: {error.message(_HELP)}"
    if as_json:
        shown = json.dumps({"error": error.described(_HELP)})
    sys.stderr.write(f"{shown}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main())
