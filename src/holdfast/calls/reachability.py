"""Tests whether a host can be reached from this machine: opens a connection and closes it again."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import urlsplit

from ..core.identity import DEFAULT_PORTS, Endpoint
from .dialling import reach

_SECONDS = 3.0


def reachable(endpoint: Endpoint) -> bool:
    """Return whether a TCP connection to the endpoint's host can be opened."""
    parts = urlsplit(endpoint.origin)
    address = (parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])
    try:
        with closing(reach(*address, _SECONDS)):
            return True
    except OSError:
        return False
