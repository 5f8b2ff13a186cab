"""The proxy that the environment names for a URL. One that cannot be read is refused with ConfigError."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# These read the environment as httpx does, and send nothing.
from urllib.request import getproxies, proxy_bypass  # noqa: TID251

from ..core.errors import ConfigError

_PROXY = re.compile(r"(\w+://)?([^/?#]*@)?([^/?#@:\[\]]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?")


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for `url`, None where there is none. Raises
    ConfigError."""
    parts = urlsplit(url)
    proxies = getproxies()
    scheme = next((scheme for scheme in (parts.scheme, "all") if proxies.get(scheme)), "")
    if not scheme or proxy_bypass(parts.netloc):
        return None
    proxy = proxies[scheme]
    _check(scheme, proxy)
    if "://" not in proxy:
        return f"http://{proxy}"
    return proxy


def _check(scheme: str, proxy: str) -> None:
    """Raise ConfigError for a proxy that is no URL. It is not shown: it may hold a password."""
    if _PROXY.fullmatch(proxy):
        return
    name = f"{scheme.upper()}_PROXY"
    raise ConfigError(
        f"the environment variable {name} is not the URL of a proxy: "
        "its host or port is wrong, or its password has characters that must be written as %XX",
        next_step=f"export {name}=http://HOST:PORT",
    )
