"""The address on which the gateway listens, as `[gateway] listen` or `--listen` writes it."""

from __future__ import annotations

from typing import NamedTuple

from ..core.errors import ConfigError
from ..values.addresses import is_loopback

_LAST_PORT = 65_535
# Nothing is bound here: an address that means "everywhere" is replaced by one to which a client can connect.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class Listen(NamedTuple):
    """host:port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Return the address that `text` writes. Raises ConfigError."""
        host, _, port = text.rpartition(":")
        if not host.strip() or not port.isascii() or not port.isdigit() or int(port) > _LAST_PORT:
            step = "holdfast serve --listen 127.0.0.1:4141"
            raise ConfigError(f"'{text}' is no address to listen on", next_step=step)
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def url(self) -> str:
        """Return where a client on this machine finds it: an address to listen on may be none to connect
        to."""
        return f"http://{_bracketed(_EVERYWHERE.get(self.host, self.host))}:{self.port}"

    def check(self, *, public: bool) -> None:
        """Raise ConfigError for an address that other machines can reach, unless it may be `public`."""
        if public or is_loopback(_bracketed(self.host)):
            return
        what = f"{self.host} can be reached from other machines"
        step = "holdfast serve --listen 127.0.0.1:4141"
        step += "   (or, if that is meant and TLS ends in front of it: add --public)"
        raise ConfigError(f"{what}, and whoever has a token could use your keys from there", next_step=step)


def _bracketed(host: str) -> str:
    if ":" not in host:
        return host
    return f"[{host}]"
