"""`holdfast serve`: prepares what can go wrong before anything runs, then serves. Needs no package of the
command line's.

Standard output gets one announcement, when requests are taken: a JSON line or a text for people. Everything
later goes to the log, on standard error."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..config import Home, load, revision
from ..core.errors import ConfigError, HoldfastError

if TYPE_CHECKING:
    from ..engine.state import Engine
    from ..store.base import Store
    from .process.worker import Options, Place

_HELP = "holdfast serve --help"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m holdfast.gateway", description="What `holdfast serve` runs."
    )
    parser.add_argument("--listen")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--public", action="store_true")
    parser.add_argument("--json", dest="as_json", action="store_true")
    parser.add_argument("--access-log", action="store_true")
    given = parser.parse_args(arguments)
    try:
        return _serve(_options(given))
    except HoldfastError as error:
        _refuse(error, as_json=given.as_json)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _options(given: argparse.Namespace) -> Options:
    from .process.worker import Options

    if given.workers < 1:
        raise ConfigError("at least one worker is needed", next_step="holdfast serve --workers 1")
    return Options(**vars(given))


def _serve(options: Options) -> int:
    from ..core.config import Listen
    from .process.listen import allow_many, bind
    from .process.worker import Place, work
    from .telemetry.shared_counters import Gauge, Shared

    home = Home.find()
    config = _Current(home)
    settings = config.value.gateway
    if options.workers > 1 and settings.store.startswith("memory:"):
        raise ConfigError(
            'several workers share what they know through the store, and "memory:" shares nothing',
            next_step="holdfast serve --workers 1",
        )
    listen = Listen.parse(options.listen or settings.listen)
    listen.check(public=options.public or settings.public)
    allow_many()
    sockets = bind(listen, options.workers)
    listen = listen._replace(port=sockets[0].getsockname()[1])
    shared = Shared(options.workers)
    if options.workers == 1:
        place = Place(listen, sockets[0], shared)
        shared.put(0, Gauge.STARTS, 1)
        return (
            130
            if work(
                home, config.value, options, place, lambda engine: _announce(options, place, engine.store)
            )
            else 0
        )
    return _supervise(
        home, config, options, [Place(listen, one, shared, number) for number, one in enumerate(sockets)]
    )


class _Current:
    """The last good configuration, for workers that are started while the file is broken. Raises ConfigError
    at first."""

    def __init__(self, home: Home) -> None:
        self._home, self._seen = home, revision(home)
        self.value = load(home)

    def look(self) -> None:
        seen = revision(self._home)
        if seen != self._seen:
            self._seen = seen
            try:
                self.value = load(self._home, in_use=True)
            except ConfigError:
                return  # the workers say so


def _supervise(home: Home, config: _Current, options: Options, places: Sequence[Place]) -> int:
    from dataclasses import replace

    from ..engine.home_store import open_store
    from .process.supervisor import Supervisor
    from .process.worker import work

    def start(number: int, told: int, life: int) -> int:
        def ready(_: Engine) -> None:
            os.write(told, bytes([number]))

        _close(
            one for one in places if one.socket is not places[number].socket
        )  # each of the others' has an owner
        return _guarded(
            lambda: work(home, config.value, options, replace(places[number], lifeline=life), ready),
            as_json=options.as_json,
        )

    def announce() -> None:
        with open_store(home, config.value) as store:
            _announce(options, places[0], store)

    return Supervisor(
        options.workers,
        places[0].shared,
        start,
        announce,
        config.look,
        lambda: _close(places),
        lambda: config.value.gateway.drain,
    ).run()


def _close(places: Iterable[Place]) -> None:
    for one in places:
        one.socket.close()


def _guarded(run: Callable[[], object], *, as_json: bool) -> int:
    """A worker's exit code; what went wrong is told on stderr."""
    try:
        run()
    except HoldfastError as error:
        _refuse(error, as_json=as_json)
        return error.exit_code
    return 0


def _announce(options: Options, place: Place, store: Store) -> None:
    """Say where it is, and for a home without a token make the first one and show it this once."""
    from .tokens import issue

    shown = issue(store, "first")[1] if not store.tokens() else None
    usable = shown is not None or any(one.revoked_at is None for one in store.tokens())
    told: dict[str, Any] = {"url": place.listen.url, "pid": os.getpid(), "workers": options.workers}
    text = (
        json.dumps(told | ({"token": shown} if shown else {}))
        if options.as_json
        else _for_people(place.listen.url, shown, usable=usable)
    )
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _for_people(url: str, shown: str | None, *, usable: bool) -> str:
    from ..providers.presets import rows

    openai, anthropic = (rows()[name]["env"][0] for name in ("openai", "anthropic"))
    if shown:
        known = f"token  {shown}   (shown this once; another: holdfast token new)"
    else:
        known = (
            "token  as before (another: holdfast token new)"
            if usable
            else "token  every one is revoked, so nobody gets in: holdfast token new"
        )
    return "\n".join(
        [
            f"holdfast serves at {url}",
            f"  {known}",
            f"  OpenAI SDKs     export OPENAI_BASE_URL={url}/v1 {openai}={shown or 'TOKEN'}",
            f"  Anthropic SDKs  export ANTHROPIC_BASE_URL={url} {anthropic}={shown or 'TOKEN'}",
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
