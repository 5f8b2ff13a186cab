"""For the tests of programs that use Holdfast: a provider that answers by a script, and the tests that every
store has to pass.

with ScriptedProvider([status(429), ok("hi")]) as provider: ...        # a real loopback server
class TestMyStore(StoreContract): ...                                # needs pytest
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .fake_provider import (
    Behaviour,
    ScriptedProvider,
    empty,
    error_event,
    fails_for,
    ok,
    only_keys,
    reset,
    stall,
    status,
    truncated,
    wrong_door,
)

if TYPE_CHECKING:
    from .store.contract import DurableStoreContract, ManualClock, StoreContract

__all__ = [
    "Behaviour",
    "DurableStoreContract",
    "ManualClock",
    "ScriptedProvider",
    "StoreContract",
    "empty",
    "error_event",
    "fails_for",
    "ok",
    "only_keys",
    "reset",
    "stall",
    "status",
    "truncated",
    "wrong_door",
]


def __getattr__(name: str) -> object:
    """Load the tests of stores when they are first used, since they need pytest."""
    if name in ("DurableStoreContract", "ManualClock", "StoreContract"):
        from .store import contract

        return getattr(contract, name)
    raise AttributeError(f"module 'holdfast.testing' has no attribute {name!r}")
