"""The address of a provider's origin: its host and port, or a proxy as the environment names it."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..core.identity import is_loopback
from ..wire.proxies import proxy_for
from .http1.connect import UpstreamAddress

_PORTS = {True: 443, False: 80}
"""The default port by whether the scheme is https."""


def address_of(origin: str) -> UpstreamAddress:
    """Return the address of an origin (`scheme://host:port`), for this machine never with a proxy."""
    parts = urlsplit(origin)
    secure = parts.scheme == "https"
    proxy = None
    if not is_loopback(origin):
        proxy = proxy_for(origin)
    port = parts.port or _PORTS[secure]
    return UpstreamAddress(parts.hostname or "", port, secure, proxy)
