"""The answers of our table of presets about a host: which preset is there, and in which dialects.

`providers/presets` reads the table; these are its answers as values, with the sentences that say them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from .identity import Dialect, Endpoint, Provider


@dataclass(frozen=True, slots=True)
class KnownHost:
    """A preset, and its endpoints: one for each dialect that it speaks."""

    preset: str
    endpoints: tuple[Endpoint, ...]


KnownAt = Callable[[str], KnownHost | None]
"""From a URL to the preset that has its address or, as the only one, its host."""


def knows_none(_: str) -> KnownHost | None:
    """Return what a table without presets knows of a URL: nothing."""
    return None


@dataclass(frozen=True, slots=True)
class MoreDialects:
    """Dialects that a provider's entry lacks although a preset has them at the same host: `endpoints` could
    be added."""

    provider: str
    host: str
    preset: str
    endpoints: tuple[Endpoint, ...]

    @property
    def what(self) -> str:
        """Return the sentence that says so."""
        more = " and ".join(f"{endpoint.dialect} at {endpoint.url}" for endpoint in self.endpoints)
        return f"{self.host} is the host of preset '{self.preset}', which also speaks {more}"

    @property
    def command(self) -> str:
        """Return the command that adds the endpoints to the provider."""
        more = " ".join(f"{endpoint.dialect}={endpoint.url}" for endpoint in self.endpoints)
        return f"holdfast provider endpoint {self.provider} {more}"


def more_dialects(
    known_at: KnownAt, provider: Provider, wanted: Collection[Dialect] = tuple(Dialect)
) -> MoreDialects | None:
    """Return those of the `wanted` dialects that the provider lacks and a preset has at one of its hosts;
    None where there are none."""
    missing = [dialect for dialect in wanted if dialect not in provider.dialects]
    for here in provider.endpoints:
        known = known_at(here.url)
        if known is None:
            continue
        more = tuple(endpoint for endpoint in known.endpoints if endpoint.dialect in missing)
        if more:
            return MoreDialects(provider.name, here.host, known.preset, more)
    return None
