"""How connections to providers are opened: through which proxy, and which authorities vouch for a host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..values.addresses import is_loopback
from ..wire.proxies import check_proxy, proxy_for

if TYPE_CHECKING:
    import ssl


class Network:
    """The way to providers of one opened home.

    proxy   the URL of a proxy for all endpoints but those on this machine; "" for none; None for those that
            the environment names
    verify  TLS settings, or the file or directory with the certificates of those who vouch for hosts; None
            for the authorities of the web

    Raises ConfigError for a proxy that is no URL, and for a file of certificates that does not exist.
    """

    def __init__(
        self, *, proxy: str | None = None, verify: str | Path | ssl.SSLContext | None = None
    ) -> None:
        if proxy:
            proxy = check_proxy(proxy, "proxy=", 'holdfast.open(proxy="http://HOST:PORT")')
        self._proxy = proxy
        self._authorities: Path | None = None
        self._context: ssl.SSLContext | None = None
        if isinstance(verify, str | Path):
            self._authorities = Path(verify)
        elif isinstance(verify, bool):
            raise _unusable("takes no True or False: a key is sent only to a host that is verified")
        else:
            self._context = verify
        if self._authorities is not None and not self._authorities.exists():
            raise _unusable(f"names {self._authorities}, which does not exist")

    def proxy_for(self, url: str) -> str | None:
        """Return the URL of the proxy for `url`, None where there is none: never one for this machine. Raises
        ConfigError for a proxy of the environment that cannot be read."""
        if self._proxy is None:
            return proxy_for(url)
        if is_loopback(url):
            return None
        return self._proxy or None

    def tls(self, of_the_web: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        """Return the TLS settings, made when they are first needed, which takes 30 ms; by `of_the_web` where
        its authorities vouch."""
        if self._context is None:
            self._context = self._made(of_the_web)
        return self._context

    def _made(self, of_the_web: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        import ssl

        if self._authorities is None:
            return of_the_web()
        if self._authorities.is_dir():
            return ssl.create_default_context(capath=self._authorities)
        return ssl.create_default_context(cafile=self._authorities)


def _unusable(why: str) -> ConfigError:
    return ConfigError(f"verify= {why}", next_step='holdfast.open(verify="/path/to/authorities.pem")')
