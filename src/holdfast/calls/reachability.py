"""Tests whether a host can be reached from this machine: opens a connection and closes it again."""

from __future__ import annotations

import socket
from contextlib import closing
from urllib.parse import urlsplit

from ..core.identity import Endpoint

_SECONDS = 3.0
_DEFAULT_PORTS = {"http": 80, "https": 443}


def reachable(endpoint: Endpoint) -> bool:
    """Return whether a TCP connection to the endpoint's host can be opened."""
    parts = urlsplit(endpoint.origin)
    address = (parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme])
    try:
        with closing(socket.create_connection(address, _SECONDS)):
            return True
    except OSError:
        return False
