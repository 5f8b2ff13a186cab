"""A provider that does what its script says: a real HTTP server on loopback that speaks the three dialects
and misbehaves on demand.

For our tests, the demo, and the tests of programs that use Holdfast. Standard library only; it never leaves
this machine.

    with ScriptedProvider([status(401), ok("hello")]) as provider:
        ...                                     # provider.url is the endpoint; provider.requests is what
                                                arrived
"""

from __future__ import annotations

from .script import (
    Behaviour,
    Script,
    SeenRequest,
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
from .server import ScriptedProvider

__all__ = [
    "Behaviour",
    "Script",
    "ScriptedProvider",
    "SeenRequest",
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
