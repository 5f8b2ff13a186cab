"""Addresses at which a program asks several models, for programs whose files name address and key in each
model."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from .addresses import Where
from .base import ResultBuilder
from .headers import carried, key_text
from .keys import FoundKey, NoKey
from .rows import ReadKey, with_header_key


@dataclass(slots=True)
class Spot:
    """Models that are asked at one address with one key; `at` is where the first of them is written, and
    `kind` the program's name of the provider."""

    kind: str
    called: str
    where: Where
    key: FoundKey | NoKey
    at: str
    models: list[object] = field(default_factory=list)
    headers: dict[str, object] = field(default_factory=dict)

    def add_to(self, builder: ResultBuilder, read: ReadKey) -> str | None:
        """Add the entry; return the name that it gets, None when it is left out. `read` reads a header."""
        where, keys = with_header_key(builder, self.headers, read, given=(self.where, [self.key]), at=self.at)
        headers = carried(builder, self.headers, at=self.at)
        return builder.add(
            self.called, where, keys, location=self.at, models=self.models or None, headers=headers
        )

    def agrees_with(self, other: Spot) -> bool:
        """Return whether the headers of both can be those of one entry."""
        if key_text(self.headers) != key_text(other.headers):
            return False
        return all(self.headers[name] == other.headers[name] for name in self.headers.keys() & other.headers)


class Spots:
    """Collects models, and joins those that are asked in one way."""

    def __init__(self) -> None:
        self._all: list[tuple[Hashable, Spot]] = []

    def __iter__(self) -> Iterator[Spot]:
        return iter([spot for _, spot in self._all])

    def add(self, identity: Hashable, spot: Spot) -> Spot:
        """Add models; return the spot that has them. `identity` is equal for those at one address with one
        key, unless a header says otherwise."""
        for other, known in self._all:
            if other == identity and known.agrees_with(spot):
                known.models += [model for model in spot.models if model not in known.models]
                known.headers |= spot.headers
                return known
        self._all.append((identity, spot))
        return spot
