"""The address of a provider's origin: its host and port, or a proxy as the environment names it."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..core.identity import is_loopback
from ..wire.proxies import proxy_for
from .http1.connect import UpstreamAddress


def address_of(origin: str) -> UpstreamAddress:
    """Return the address of an origin (`scheme://host:port`). This machine is never asked through a proxy."""
    parts = urlsplit(origin)
    secure = parts.scheme == "https"
    proxy = None
    if not is_loopback(origin):
        proxy = proxy_for(origin)
    port = parts.port or (443 if secure else 80)
    return UpstreamAddress(parts.hostname or "", port, secure, proxy)
