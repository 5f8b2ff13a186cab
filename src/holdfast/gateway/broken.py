"""What can go wrong between us and a provider, named as httpx names it: the core reads these names."""

from __future__ import annotations


class Broken(Exception):
    """The base of them."""


class ConnectError(Broken):
    """The provider could not be reached."""


class ConnectTimeout(Broken):
    """The provider could not be reached in time."""


class ProxyError(Broken):
    """The proxy did not let us through."""


class WriteError(Broken):
    """The connection broke before the request had left."""


class ReadError(Broken):
    """The connection broke before the answer was complete."""


class ReadTimeout(Broken):
    """The provider kept silent for too long."""


class RemoteProtocolError(Broken):
    """The provider did not speak HTTP, or closed the connection too early."""


class GatewayFaults:
    """What the conversation needs to know of them."""

    def __init__(self) -> None:
        self.broken: tuple[type[Exception], ...] = (Broken,)
        self.not_theirs: tuple[type[Exception], ...] = ()
        self.cut: type[Exception] = RemoteProtocolError
