"""The proxy that the environment names for a URL."""

from __future__ import annotations

from urllib.parse import urlsplit

# These read the environment as httpx does, and send nothing.
from urllib.request import getproxies, proxy_bypass  # noqa: TID251


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
