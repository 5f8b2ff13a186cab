"""The sizes of connection pools: the caller's, else ours."""

from __future__ import annotations

from typing import Any, Protocol

_MOST, _KEPT, _SECONDS = 1000, 20, 30.0
_KEPT_BY_HTTPCORE = 100
"""httpcore, unlike httpcore2, counts the connections in use too, and closes each that becomes idle while
there are more: with 20 a busy program would hardly keep any."""


class Limits(Protocol):
    """Sizes of a pool, None for no limit, and the seconds for which it keeps an idle connection. `Limits` of
    `httpx2` and of `httpx` are this."""

    max_connections: int | None
    max_keepalive_connections: int | None
    keepalive_expiry: float | None


def sizes(core: Any, limits: Limits | None) -> dict[str, Any]:
    """Return the sizes as arguments of a pool of the core library `core`."""
    if limits is not None:
        return {name: getattr(limits, name) for name in Limits.__annotations__}
    kept = _KEPT_BY_HTTPCORE if core.__name__ == "httpcore" else _KEPT
    return {"max_connections": _MOST, "max_keepalive_connections": kept, "keepalive_expiry": _SECONDS}
