"""For the tests of programs that use Holdfast: a provider that answers by a script, a home that uses it, a
clock that does not wait, and the tests that every store has to pass.

clock = FakeClock()
with ScriptedProvider([status(429), ok("hi")]) as provider:          # a real loopback server
    with open_home(tmp_path, provider, clock=clock) as hf:           # no file of yours, no key of yours
        session = hf.session("s", "scripted/scripted-1")
class TestMyStore(StoreContract): ...                                # needs pytest
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .fake_provider import (
    Behaviour,
    Script,
    ScriptedProvider,
    SeenRequest,
    empty,
    error_event,
    fails_for,
    obliging,
    ok,
    only_keys,
    reset,
    stall,
    status,
    truncated,
    wrong_door,
)

if TYPE_CHECKING:
    from .sdk.api import Holdfast
    from .store.contract import DurableStoreContract, ManualClock, StoreContract

__all__ = [
    "Behaviour",
    "DurableStoreContract",
    "FakeClock",
    "ManualClock",
    "Script",
    "ScriptedProvider",
    "SeenRequest",
    "StoreContract",
    "empty",
    "error_event",
    "fails_for",
    "obliging",
    "ok",
    "only_keys",
    "open_home",
    "reset",
    "stall",
    "status",
    "truncated",
    "wrong_door",
]
_START = 1_800_000_000.0
"""A time in epoch seconds, in January 2027."""


class FakeClock:
    """A clock that stands still until it is moved. `now` is its time in epoch seconds, `slept` the seconds of
    every wait of Holdfast: each moves the clock, and takes no time."""

    def __init__(self, now: float = _START) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        """Note a wait, and move the clock on instead of waiting."""
        self.slept.append(seconds)
        self.advance(seconds)


def open_home(
    directory: str | Path,
    providers: ScriptedProvider | Mapping[str, ScriptedProvider],
    *,
    keys: Sequence[str] = ("a",),
    more: str = "",
    clock: FakeClock | None = None,
) -> Holdfast:
    """Write a home into `directory` and open it. Opened again, it has the same sessions, as after a restart.

    providers  by name; a single one is called `scripted`. Each serves its `models` in all dialects
    keys       labels of the keys that every provider gets; the key `a` is sent as `sk-test-a`
    more       further tables of holdfast.toml: `[fallback]`, `[settings]`
    clock      tells the time of cooldowns and of the journal, and replaces every wait

    Raises ConfigError when the configuration is wrong.
    """
    from ._files import make_private_directory, write_private
    from .config import Home
    from .engine.opening import build_engine
    from .sdk.api import Holdfast
    from .store.sqlite import SqliteStore

    if isinstance(providers, ScriptedProvider):
        providers = {"scripted": providers}
    home = Home.at(Path(directory))
    make_private_directory(home.state)
    tables = [_table(name, provider, keys) for name, provider in providers.items()]
    write_private(home.config, "\n".join([*tables, more]))
    suppliers = {label: partial(str, f"sk-test-{label}") for label in keys}
    store = None
    if clock is not None:
        store = SqliteStore(home.state / "state.db", clock=clock)
    opened = Holdfast(build_engine(home, keys=suppliers, store=store, environ={}))
    if clock is not None:
        opened.sleep = clock.sleep
    return opened


def _table(name: str, provider: ScriptedProvider, keys: Sequence[str]) -> str:
    lines = [f"[provider.{name}]", f"keys = {json.dumps([f'call:{label}' for label in keys])}"]
    if provider.models is not None:
        lines.append(f"models = {json.dumps(provider.models)}")
    lines += [f"[provider.{name}.endpoints]", f'openai-chat = "{provider.url}"']
    lines += [f'openai-responses = "{provider.url}"', f'anthropic-messages = "{provider.root}"', ""]
    return "\n".join(lines)


def __getattr__(name: str) -> object:
    """Load the tests of stores when they are first used, since they need pytest."""
    if name in ("DurableStoreContract", "ManualClock", "StoreContract"):
        from .store import contract

        return getattr(contract, name)
    raise AttributeError(f"module 'holdfast.testing' has no attribute {name!r}")
