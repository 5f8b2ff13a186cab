"""The proxy that the environment names for a URL."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# These read the environment as httpx does, and send nothing.
from urllib.request import getproxies, proxy_bypass  # noqa: TID251

from ..core.errors import ConfigError

_PROXY = re.compile(r"(\w+://)?([^/?#]*@)?([^/?#@:\[\]]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?")


def check_proxies() -> None:
    """Raise ConfigError for a proxy in the environment whose URL cannot be read. It is not shown: it may hold
    a password."""
    for scheme, proxy in getproxies().items():
        if scheme in ("http", "https", "all") and not _PROXY.fullmatch(proxy):
            name = f"{scheme.upper()}_PROXY"
            raise ConfigError(
                f"the environment variable {name} is not the URL of a proxy: "
                "its host or port is wrong, or its password has characters that must be written as %XX",
                next_step=f"export {name}=http://HOST:PORT",
            )


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for `url`, None where there is none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc):
        return None
    if "://" not in proxy:
        return f"http://{proxy}"
    return proxy
