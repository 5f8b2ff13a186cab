"""The proxy that the environment names for a URL; none for this machine. One that cannot be read is refused
with ConfigError."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# These read the environment as httpx does, and send nothing.
from urllib.request import getproxies, proxy_bypass  # noqa: TID251

from ..core.errors import ConfigError
from ..values.addresses import is_loopback

_PROXY = re.compile(r"(\w+://)?([^/?#]*@)?([^/?#@:\[\]]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?/?")


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for `url`, None where there is none, and always
    for this machine. Raises ConfigError."""
    if is_loopback(url):
        return None
    parts = urlsplit(url)
    proxies = getproxies()
    scheme = next((scheme for scheme in (parts.scheme, "all") if proxies.get(scheme)), "")
    if not scheme or proxy_bypass(parts.netloc):
        return None
    name = f"{scheme.upper()}_PROXY"
    return check_proxy(proxies[scheme], f"the environment variable {name}", f"export {name}=http://HOST:PORT")


def check_proxy(proxy: str, source: str, next_step: str) -> str:
    """Return the URL of a proxy. Raises ConfigError for one that is no URL, by its `source`: it is not shown
    itself, since it may hold a password."""
    if not _PROXY.fullmatch(proxy):
        raise ConfigError(
            f"{source} is not the URL of a proxy: "
            "its host or port is wrong, or its password has characters that must be written as %XX",
            next_step=next_step,
        )
    if "://" not in proxy:
        return f"http://{proxy}"
    return proxy
