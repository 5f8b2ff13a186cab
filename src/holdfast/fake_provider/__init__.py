"""A provider that follows a script: a real HTTP server on loopback that speaks the three dialects and fails
on demand.

For our tests, the demo, and the tests of programs that use Holdfast. It uses only the standard library and
makes no connection to other machines.

    with ScriptedProvider([status(401), ok("hello")]) as provider:
        ...     # provider.url is the endpoint, provider.requests are the requests that arrived
"""

from __future__ import annotations

from .obliging import obliging
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
    "obliging",
    "ok",
    "only_keys",
    "reset",
    "stall",
    "status",
    "truncated",
    "wrong_door",
]
