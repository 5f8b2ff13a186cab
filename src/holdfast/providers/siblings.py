"""Where a server that speaks one dialect may speak others: paths beside the one that is known, on the same
host and port. A table of habits; whether an address really speaks is asked (`calls/siblings`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ..core.identity import Auth, Dialect, Endpoint

_VERSION = re.compile(r"/v\d+(?:beta\d*)?\Z")
_HABITS = re.compile(
    r"/(?:apps/anthropic|api/anthropic|anthropic|openai|compatible-mode|compatibility|paas|coding)\Z"
)
"""Last parts of paths that tell a dialect or a plan."""
# What stands behind the server's own path, by the dialect that is looked for; the most usual first.
_ROOTS: dict[Dialect, tuple[str, ...]] = {
    Dialect.OPENAI_CHAT: ("/v1", "", "/openai/v1", "/compatible-mode/v1"),
    Dialect.OPENAI_RESPONSES: ("/v1", "/openai/v1"),
    Dialect.ANTHROPIC_MESSAGES: ("/anthropic", "/api/anthropic", "/apps/anthropic", ""),
}
_USUAL_AUTH = {Dialect.ANTHROPIC_MESSAGES: Auth.X_API_KEY}


def siblings(known: Endpoint, wanted: Dialect) -> tuple[Endpoint, ...]:
    """Return the endpoints of another dialect that may be beside a known one, with its origin, headers and
    way to send a key; the likeliest first."""
    path = known.url.removeprefix(known.origin)
    paths = dict.fromkeys(_paths(path, known.dialect, wanted))
    return tuple(replace(known, url=known.origin + other, dialect=wanted) for other in paths)


def elsewhere(known: Endpoint) -> tuple[Endpoint, ...]:
    """Return the endpoints of the same dialect that may be meant where a known one has nothing of it; the
    likeliest first."""
    path = known.url.removeprefix(known.origin)
    bare = _VERSION.sub("", path)
    stem, version = _stem(bare), "" if known.dialect is Dialect.ANTHROPIC_MESSAGES else "/v1"
    paths = dict.fromkeys([f"{bare}{version}", *(stem + root for root in _ROOTS[known.dialect])])
    return tuple(replace(known, url=known.origin + other) for other in paths if other != path)


def usual_auth(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with the way to send a key that is usual in its dialect."""
    if endpoint.auth is Auth.NONE:
        return endpoint
    return replace(endpoint, auth=_USUAL_AUTH.get(endpoint.dialect, Auth.BEARER))


def _paths(path: str, known: Dialect, wanted: Dialect) -> Iterator[str]:
    """Give the paths to try. Messages' URL has no version; the OpenAI dialects share theirs."""
    messages = Dialect.ANTHROPIC_MESSAGES
    if messages not in (known, wanted):
        yield path
        return
    bare = _VERSION.sub("", path)
    stem = _stem(bare)
    yield bare if wanted is messages else f"{bare}/v1"
    for root in _ROOTS[wanted]:
        if not (stem.endswith("/api") and root.startswith("/api/")):
            yield stem + root


def _stem(path: str) -> str:
    """Return a path without the parts at its end that tell a dialect or a plan."""
    while (shorter := _HABITS.sub("", path)) != path:
        path = shorter
    return path
