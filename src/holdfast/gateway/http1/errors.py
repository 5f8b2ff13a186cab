"""The errors of connections to providers, named as in httpx: the core classifies them by these names."""

from __future__ import annotations


class UpstreamError(Exception):
    """The base class of the errors of connections to providers."""


class ConnectError(UpstreamError):
    """The provider could not be reached."""


class ConnectTimeout(UpstreamError):
    """The provider could not be reached in time."""


class ProxyError(UpstreamError):
    """The proxy could not be reached, or refused to connect us."""


class ReadError(UpstreamError):
    """The connection broke before the answer was complete."""


class ClosedUnheard(UpstreamError):
    """A kept connection was closed before any byte of an answer came."""


class ReadTimeout(UpstreamError):
    """The provider was silent for too long."""


class RemoteProtocolError(UpstreamError):
    """The provider did not speak HTTP, or closed the connection too early."""


class UpstreamErrors:
    """The exceptions by what they mean for a request (`wire.ports.ConnectionErrors`)."""

    def __init__(self) -> None:
        self.broken: tuple[type[Exception], ...] = (UpstreamError,)
        self.ours: tuple[type[Exception], ...] = ()
        self.cut: type[Exception] = RemoteProtocolError
        self.late: tuple[type[Exception], ...] = ()

    def closed_unheard(self, error: Exception) -> bool:
        """Return whether a kept connection was closed before any byte of an answer came."""
        return isinstance(error, ClosedUnheard)
