"""The stage of the demo: its own home, providers on this machine's sockets, and the requests they received.

Configuration file, vault, store and journal are real; only the providers are simulated."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Self

from .._files import write_private
from ..config import Home, add_key, add_provider
from ..core.explain import Explanation
from ..core.identity import Connection, Dialect, Pin
from ..fake_provider import Behaviour, Script, ScriptedProvider, SeenRequest
from ..sdk import api
from ..sdk.api import Holdfast, Session
from ..store.journal_events import Attempted, Event, of_type
from ..values.secret import Secret
from .show import Show
from .speakers import Reply, Speaker

PROBES = (0.4, 0.8, 1.2)
"""Seconds before each new test of a key that worked; shorter than the default of 0.5, 1 and 2 s."""
_HEAD = f"""\
# The configuration of the demo. It is deleted at the end.
[settings]
probe_delays = [{", ".join(f"{seconds:g}" for seconds in PROBES)}]
"""

Plan = Script | Sequence[Behaviour | Script] | Behaviour


class Stage:
    """The home, the providers and the program of one show. A context manager that deletes its files at the
    end."""

    def __init__(self, show: Show, speaker: Speaker) -> None:
        self.show, self.speaker = show, speaker
        self.directory = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
        self.home = Home.at(self.directory)
        write_private(self.home.config, _HEAD)
        self.providers: list[ScriptedProvider] = []
        self._granted: dict[tuple[str, int], float] = {}
        self._opened: Holdfast | None = None

    # --- providers ---

    def provider(self, plan: Plan, models: Sequence[str] = ()) -> ScriptedProvider:
        """Start a provider."""
        started = ScriptedProvider(plan, models=models)
        self.providers.append(started)
        return started

    def entry(
        self, name: str, at: ScriptedProvider, keys: Sequence[str], models: Sequence[str] | None = None
    ) -> None:
        """Add an entry to the configuration, and its keys to the vault, as `holdfast provider add` and
        `holdfast key add` do."""
        self.grant(at, keys)
        fields: dict[str, object] = {"url": at.url}
        if models is not None:
            fields["models"] = list(models)
        add_provider(self.home, name, fields)
        for label in keys:
            add_key(self.home, name, {"from": f"store:{label}"}, Secret(key_of(label)))

    def grant(self, at: ScriptedProvider, labels: Iterable[str]) -> None:
        """Note that these keys may be sent to this provider from now on."""
        for label in labels:
            self._granted.setdefault((key_of(label), at.port), time.time())

    def move(self, old: ScriptedProvider, new: ScriptedProvider, keys: Sequence[str]) -> None:
        """Edit the file as a user does: the first entry at `old` is now at `new`, and so are its keys."""
        self.grant(new, keys)
        edited = self.home.config.read_text("utf-8").replace(f'"{old.url}"', f'"{new.url}"', 1)
        write_private(self.home.config, edited)

    # --- the program ---

    @property
    def hf(self) -> Holdfast:
        """Return the opened home."""
        if self._opened is None:
            self._opened = api.open(self.directory)
        return self._opened

    def restart(self) -> Holdfast:
        """Close everything and open it from disk, as the end of a process and the start of the next one
        do."""
        self.speaker.close()
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        return self.hf

    def ask(self, session: Session, model: str | None = None) -> Reply:
        """Let the program ask its question."""
        return self.speaker.ask(session, model)

    def close(self) -> None:
        with suppress(Exception):
            self.speaker.close()
            if self._opened is not None:
                self._opened.close()
        for provider in self.providers:
            provider.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the requests ---

    def requests(self) -> int:
        """Return the number of requests that all providers saw so far."""
        return sum(len(provider.requests) for provider in self.providers)

    def strays(self) -> list[SeenRequest]:
        """Return the requests whose key came to a provider that the user had not given it to at that time."""
        everything = [(seen, provider.port) for provider in self.providers for seen in provider.requests]
        return [
            seen
            for seen, port in everything
            if seen.key and seen.at < self._granted.get((seen.key, port), inf)
        ]

    def last_refusal(self, session: Session) -> str:
        """Return the provider's text when it last refused a request of the session, from the journal."""
        for event in reversed(of_type(session.attempts(), Attempted)):
            fault = event.detail.fault
            if fault is not None:
                return f"HTTP {fault.status} to key '{event.detail.key}': “{fault.excerpt}”"
        return "refused nothing"

    def explained(self, session: Session, number: int = -1) -> Explanation:
        """Return the four lines about one attempt (by default the last) of the session's last request."""
        events = of_type(session.attempts(), Attempted)
        last = [event for event in events if event.request == events[-1].request]
        attempts = [event.detail.attempt(self._connection(event), event.at) for event in last]
        attempt = attempts[number]
        return self.hf.engine.explain(attempt.connection, attempt.fault, attempts, session.id)

    def _connection(self, event: Event[Attempted]) -> Connection:
        route, _ = self.hf.engine.routes(Pin.parse(event.pin), Dialect(str(event.detail.dialect)), None)
        label = event.detail.key
        return next(
            connection
            for connection in route.connections
            if connection.key is not None and connection.key.label == label
        )


def key_of(label: str) -> str:
    """Return the value of the demo's key of this label, recognisable by its end."""
    return f"sk-demo-0000-not-a-real-key-{label}"


def keys(requests: Iterable[SeenRequest]) -> list[str]:
    """Return the labels of the keys that came with these requests, each once, in order."""
    return list(dict.fromkeys((request.key or "no key").removeprefix(key_of("")) for request in requests))


def hosts(requests: Iterable[SeenRequest]) -> set[str]:
    """Return the hosts that these requests named."""
    return {request.headers.get("host", "") for request in requests}


def counted(requests: Sequence[SeenRequest], where: str) -> str:
    """Return requests in words: `2 requests at mimo-plan (keys a, b)`."""
    text = f"{many(len(requests), 'request')} at {where}"
    labels = keys(requests)
    if not labels:
        return text
    word = "key" if len(labels) == 1 else "keys"
    return f"{text} ({word} {', '.join(labels)})"


def many(number: int, what: str) -> str:
    """Return a number with its word: `1 request`, `2 requests`."""
    if number == 1:
        return f"1 {what}"
    return f"{number} {what}s"
