"""Clients for our own calls. They dial as the library does: what is permitted, through a proxy's tunnel."""

from __future__ import annotations

import ssl
from typing import Any

import httpcore2
import httpx2

from ..wire.tunnels import tunnel_of
from .dialling import Dialler
from .network import Network
from .tunnelling import TunnelDialler


class _Transport(httpx2.HTTPTransport):
    """The module's transport, with a pool whose connections a dialler of ours opens."""

    def __init__(self, dialler: Any, context: ssl.SSLContext) -> None:
        super().__init__(verify=context)
        self._pool = httpcore2.ConnectionPool(ssl_context=context, network_backend=dialler)


def client_for(url: str, network: Network | None = None, **options: Any) -> httpx2.Client:
    """Return a client for one URL, on this machine never through a proxy. It follows no redirect and takes
    nothing else from the environment. Raises ConfigError for a proxy that cannot be read."""
    return httpx2.Client(
        transport=_transport(url, network or Network()), follow_redirects=False, trust_env=False, **options
    )


def _transport(url: str, network: Network) -> httpx2.HTTPTransport:
    proxy = network.proxy_for(url)
    if proxy is None:
        return _Transport(Dialler(httpcore2), _context(url, network))
    tunnel = tunnel_of(proxy)
    if tunnel is None:  # SOCKS, which carries bytes and reads none
        return httpx2.HTTPTransport(proxy=proxy, verify=_context(url, network))
    dialler = TunnelDialler(httpcore2, tunnel, _context(proxy, network))
    return _Transport(dialler, _context(url, network))


def _context(url: str, network: Network) -> ssl.SSLContext:
    """Return the TLS settings for a URL: with the trust store where they are used. Reading it takes longer
    than the call."""
    if url.startswith("https://"):
        return network.tls(httpx2.create_ssl_context)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
