"""Addresses of presets: how two spellings of one are compared, and endpoints that speak another dialect than
their address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ..core.identity import Dialect, Endpoint
from ..core.known_hosts import KnownAt

_LAST_DOT = re.compile(r"\.(?=:|\Z)")
_REMEMBERED = 1_024
"""Addresses whose parts are remembered: the table has some hundred, and each is compared with all."""
_DEFAULT_PORT = re.compile(r":(?:80|443)\Z")


@lru_cache(_REMEMBERED)
def address_of(url: str) -> tuple[str, str]:
    """Return host[:port] and path of a URL, which are equal for all spellings of an address: with http or
    https, a default port, a dot after the host, a slash at the end. Raises IdentityError."""
    host, _, path = Endpoint(url).url.partition("://")[2].partition("/")
    return _DEFAULT_PORT.sub("", _LAST_DOT.sub("", host)), path


@dataclass(frozen=True, slots=True)
class OtherDialect:
    """An endpoint at an address that a preset has, but in another dialect only."""

    endpoint: Endpoint
    preset: str
    dialect: Dialect

    @property
    def what(self) -> str:
        """Return the sentence that says so."""
        return (
            f"{self.endpoint.url} is the {self.dialect} address of preset '{self.preset}', "
            f"so nothing speaks {self.endpoint.dialect} there"
        )


def other_dialect(known_at: KnownAt, endpoint: Endpoint) -> OtherDialect | None:
    """Return the dialect in which a preset has the very address of an endpoint, if it is one other dialect
    only."""
    known = known_at(endpoint.url)
    if known is None:
        return None
    address = address_of(endpoint.url)
    spoken = [other.dialect for other in known.endpoints if address_of(other.url) == address]
    if len(spoken) != 1 or endpoint.dialect in spoken:
        return None
    return OtherDialect(endpoint, known.preset, spoken[0])
