"""The address of a provider's origin: its host and port, or a proxy as the environment names it."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..core.errors import ConfigError
from ..core.identity import DEFAULT_PORTS
from ..wire.proxies import proxy_for
from ..wire.tunnels import tunnel_of
from .http1.connect import UpstreamAddress
from .http1.errors import ProxyError


def address_of(origin: str) -> UpstreamAddress:
    """Return the address of an origin (`scheme://host:port`), for this machine never with a proxy. Raises
    ProxyError for a proxy that cannot be read."""
    parts = urlsplit(origin)
    try:
        proxy = proxy_for(origin)
    except ConfigError as error:
        raise ProxyError(error.what) from None
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    address = UpstreamAddress(parts.hostname or "", port, parts.scheme == "https")
    tunnel = tunnel_of(proxy or "")
    if tunnel is None or tunnel.secure:  # a SOCKS proxy, or a kind that is refused when it is dialled
        return address._replace(socks=proxy or "")
    return address._replace(tunnel=tunnel)
