"""The stage of the demo: a home of its own, providers on this machine's sockets, and what they saw.

Everything that is ours is the real thing (configuration file, vault, store, journal); only the providers are
played."""

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
from ..core.secret import Secret
from ..fake_provider import Behaviour, Script, ScriptedProvider, SeenRequest
from ..sdk import api
from ..sdk.api import Holdfast, Session
from ..store.journal_events import Attempted, Event, of_type
from .show import Show
from .speakers import Said, Speaker

PROBES = (0.4, 0.8, 1.2)
"""The waits before a key that worked is asked again. The default is 0.5, 1 and 2 s; a show is a little more
hurried."""
_HEAD = f"# The configuration of the demo. It is deleted at the end.\n[settings]\nprobe_delays = [{', '.join(f'{one:g}' for one in PROBES)}]\n"

Plan = Script | Sequence[Behaviour | Script] | Behaviour


class Stage:
    """The home, the providers and the program of one show. A context manager: nothing of it stays on the
    machine."""

    def __init__(self, show: Show, speaker: Speaker) -> None:
        self.show, self.speaker = show, speaker
        self.directory = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
        self.home = Home.at(self.directory)
        write_private(self.home.config, _HEAD)
        self.providers: list[ScriptedProvider] = []
        self._granted: dict[tuple[str, int], float] = {}
        self._opened: Holdfast | None = None

    # Providers
    # -----------------------------------------------------------------------------------------------------------

    def provider(self, plan: Plan, models: Sequence[str] = ()) -> ScriptedProvider:
        """Start a provider."""
        started = ScriptedProvider(plan, models=models)
        self.providers.append(started)
        return started

    def entry(
        self, name: str, at: ScriptedProvider, keys: Sequence[str], models: Sequence[str] | None = None
    ) -> None:
        """What `holdfast provider add` and `holdfast key add` do: an entry of the configuration, and its keys
        in the vault."""
        self.grant(at, keys)
        add_provider(
            self.home, name, {"url": at.url} | ({"models": list(models)} if models is not None else {})
        )
        for label in keys:
            add_key(self.home, name, {"from": f"store:{label}"}, Secret(key_of(label)))

    def grant(self, at: ScriptedProvider, labels: Iterable[str]) -> None:
        """Write down that these keys may be shown to this provider from now on."""
        for label in labels:
            self._granted.setdefault((key_of(label), at.port), time.time())

    def move(self, old: ScriptedProvider, new: ScriptedProvider, keys: Sequence[str]) -> None:
        """What a user does with an editor: the first entry at `old` is now at `new`, and so are its keys."""
        self.grant(new, keys)
        edited = self.home.config.read_text("utf-8").replace(f'"{old.url}"', f'"{new.url}"', 1)
        write_private(self.home.config, edited)

    # The program
    # ---------------------------------------------------------------------------------------------------------

    @property
    def hf(self) -> Holdfast:
        """The opened home."""
        if self._opened is None:
            self._opened = api.open(self.directory)
        return self._opened

    def restart(self) -> Holdfast:
        """What the end of a process and the start of the next one do: close everything, and open it from what
        is on disk."""
        self.speaker.close()
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        return self.hf

    def ask(self, session: Session, model: str | None = None) -> Said:
        """Let the program ask its question."""
        return self.speaker.ask(session, model)

    def close(self) -> None:
        with suppress(Exception):
            self.speaker.close()
            if self._opened is not None:
                self._opened.close()
        for one in self.providers:
            one.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What was seen
    # -------------------------------------------------------------------------------------------------------

    def requests(self) -> int:
        """How many requests all providers saw so far."""
        return sum(len(one.requests) for one in self.providers)

    def strays(self) -> list[SeenRequest]:
        """Requests whose key came to a provider that the user had not given it to at that time."""
        everything = [(seen, one.port) for one in self.providers for seen in one.requests]
        return [
            seen
            for seen, port in everything
            if seen.key and seen.at < self._granted.get((seen.key, port), inf)
        ]

    def heard(self, session: Session) -> str:
        """The provider's own words when it last refused a request of the session, from the journal."""
        for event in reversed(of_type(session.attempts(), Attempted)):
            fault = event.detail.fault
            if fault is not None:
                return f"HTTP {fault.status} to key '{event.detail.key}': “{fault.excerpt}”"
        return "refused nothing"

    def explained(self, session: Session, number: int = -1) -> Explanation:
        """The four lines about one attempt (by default the last) of the session's last request, as every face
        of Holdfast tells them."""
        events = of_type(session.attempts(), Attempted)
        last = [event for event in events if event.request == events[-1].request]
        attempts = [event.detail.attempt(self._connection(event), event.at) for event in last]
        told = attempts[number]
        return self.hf.engine.explain(told.connection, told.fault, attempts, session.id)

    def _connection(self, event: Event[Attempted]) -> Connection:
        route, _ = self.hf.engine.routes(Pin.parse(event.pin), Dialect(str(event.detail.dialect)), None)
        return next(
            one for one in route.connections if one.key is not None and one.key.label == event.detail.key
        )


def key_of(label: str) -> str:
    """The value of the demo's key of this label, recognisable by its end."""
    return f"sk-demo-0000-not-a-real-key-{label}"


def keys(requests: Iterable[SeenRequest]) -> list[str]:
    """The labels of the keys that came with these requests, each once, in order."""
    return list(dict.fromkeys((one.key or "no key").removeprefix(key_of("")) for one in requests))


def hosts(requests: Iterable[SeenRequest]) -> set[str]:
    """The hosts that these requests named."""
    return {one.headers.get("host", "") for one in requests}


def counted(requests: Sequence[SeenRequest], where: str) -> str:
    """`2 requests at mimo-plan (keys a, b)`."""
    these = f"{many(len(requests), 'request')} at {where}"
    return (
        f"{these} (key{'' if len(keys(requests)) == 1 else 's'} {', '.join(keys(requests))})"
        if requests
        else these
    )


def many(number: int, what: str) -> str:
    """`1 request`, `2 requests`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
