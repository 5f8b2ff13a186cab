"""Whether a place can be reached at all from this machine: a connection is opened and closed, and nothing is
said on it."""

from __future__ import annotations

import socket
from contextlib import closing
from urllib.parse import urlsplit

from ..core.identity import Endpoint

_SECONDS = 3.0


def reachable(endpoint: Endpoint) -> bool:
    """Whether a TCP connection to the endpoint's host comes about."""
    parts = urlsplit(endpoint.origin)
    try:
        with closing(
            socket.create_connection(
                (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), _SECONDS
            )
        ):
            return True
    except OSError:
        return False
