"""A request that the gateway answered itself, as metrics and logs read it: refusals, and everything that is
no request to a provider."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_NOTHING: Mapping[str, int] = MappingProxyType({})


class LocalResponse(NamedTuple):
    """A `plane.Done` for which nothing was begun."""

    route: str
    status: int
    code: str = ""
    session: str = ""
    seconds: float = 0.0
    size: int = 0
    chunks: int = 0
    streamed: bool = False
    usage: Mapping[str, int] = _NOTHING
    outcome: None = None
    request_id: str = ""
    left: bool = False
    first: None = None
    broken: None = None
