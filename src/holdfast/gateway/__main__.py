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
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ..config import Home, load, revision
from ..core.errors import ConfigError, HoldfastError
from ..secrecy.core_dumps import forbid_core_dumps

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
    return Options(**vars(given))


def _serve(options: Options) -> int:
    from ..config.listen import Listen
    from .process.allocator import keep_freed_memory
    from .process.listen import allow_many, bind
    from .process.worker import WorkerResources
    from .registry import SERVE, new_instance, prepared
    from .telemetry.shared_counters import Shared

    keep_freed_memory()
    home = Home.find()
    config = _Current(home)
    settings = config.value.gateway
    if options.workers > 1 and settings.store.startswith("memory:"):
        raise ConfigError(
            'several workers share their state through the store, and "memory:" cannot be shared',
            next_step="holdfast serve --workers 1",
        )
    listen = Listen.parse(options.listen or settings.listen)
    listen.check(public=options.public or settings.public)
    allow_many()
    sockets = bind(listen, options.workers)
    listen = listen._replace(port=sockets[0].getsockname()[1])
    shared, instance = Shared(options.workers), new_instance()
    with prepared(home.state, instance, listen.url, SERVE) as publish:
        every = [
            WorkerResources(listen, sock, shared, number, instance=instance, publish=publish)
            for number, sock in enumerate(sockets)
        ]

        def announce(store: Store) -> None:
            publish()
            _announce(options, every[0], store)

        if options.workers == 1:
            return _serve_alone(home, config.value, options, every[0], announce=announce)
        return _supervise(home, config, options, every, announce=announce)


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

    def start(number: int, ready_pipe: int, lifeline: int) -> int:
        resources = replace(every[number], lifeline=lifeline)

        def ready(_: Engine) -> None:
            os.write(ready_pipe, bytes([number]))

        def serve() -> object:
            return work(home, config.value, options, resources=resources, ready=ready)

        _close(other for other in every if other.socket is not resources.socket)
        return _guarded(serve, as_json=options.as_json)

    def all_ready() -> None:
        with open_store(home, config.value) as store:
            announce(store)

    return Supervisor(
        workers=options.workers,
        shared=every[0].shared,
        start=start,
        ready=all_ready,
        look=config.look,
        end=lambda: _close(every),
        patience=lambda: config.value.gateway.drain,
    ).run()


def _close(workers: Iterable[WorkerResources]) -> None:
    """Close the listening sockets of `workers` in this process."""
    for worker in workers:
        worker.socket.close()


def _guarded(run: Callable[[], object], *, as_json: bool) -> int:
    """Run a worker and return its exit code; report an error of ours on standard error."""
    try:
        run()
    except HoldfastError as error:
        _refuse(error, as_json=as_json)
        return error.exit_code
    return 0


def _announce(options: Options, resources: WorkerResources, store: Store) -> None:
    """Print the address; for a home without a token also issue the first one and show it this once."""
    from .tokens import issue

    url, first = resources.listen.url, ""
    if not store.tokens():
        _, first = issue(store, "first")
    text = ""
    if options.as_json:
        values: dict[str, object] = {"url": url, "pid": os.getpid(), "workers": options.workers}
        if first:
            values["token"] = first
        text = json.dumps(values)
    else:
        text = _for_people(url, _token_line(store, first), first or "TOKEN")
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _token_line(store: Store, first: str) -> str:
    """Return the line about tokens; `first` is the one that was just issued, "" for none."""
    if first:
        return f"{first}   (shown this once; another: holdfast token new)"
    if any(token.revoked_at is None for token in store.tokens()):
        return "as before (another: holdfast token new)"
    return "all tokens are revoked; issue one: holdfast token new"


def _for_people(url: str, token_line: str, token: str) -> str:
    from ..providers.presets import rows

    openai, anthropic = (rows()[name]["env"][0] for name in ("openai", "anthropic"))
    return "\n".join(
        [
            f"holdfast serves at {url}",
            f"  token  {token_line}",
            f"  OpenAI SDKs     export OPENAI_BASE_URL={url}/v1 {openai}={token}",
            f"  Anthropic SDKs  export ANTHROPIC_BASE_URL={url} {anthropic}={token}",
            f"  one session     put /s/SESSION behind {url}",
        ]
    )


def _refuse(error: HoldfastError, *, as_json: bool) -> None:
    shown = f"holdfast: {error.message(_HELP)}"
    if as_json:
        shown = json.dumps({"error": error.described(_HELP)})
    sys.stderr.write(f"{shown}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main())
