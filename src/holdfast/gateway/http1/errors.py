"""What can go wrong between us and a provider, named as httpx names it: the core reads these names."""

from __future__ import annotations


class UpstreamError(Exception):
    """The base of them."""


class ConnectError(UpstreamError):
    """The provider could not be reached."""


class ConnectTimeout(UpstreamError):
    """The provider could not be reached in time."""


class ProxyError(UpstreamError):
    """The proxy did not let us through."""


class ReadError(UpstreamError):
    """The connection broke before the answer was complete."""


class ReadTimeout(UpstreamError):
    """The provider kept silent for too long."""


class RemoteProtocolError(UpstreamError):
    """The provider did not speak HTTP, or closed the connection too early."""
