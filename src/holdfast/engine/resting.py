"""Cooldowns by what they are about, so that each key and each endpoint finds its own without a look at those
of all the others."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from ..core.changes import Cooldown

_OF_ENDPOINTS = ("endpoint", "model")


class Resting:
    """Some cooldowns, by the beginnings of their subjects and by URL."""

    def __init__(self, cooldowns: Iterable[Cooldown]) -> None:
        self._sorted = sorted(cooldowns, key=lambda cooldown: cooldown.subject)
        self._subjects = [cooldown.subject for cooldown in self._sorted]
        self._by_url: dict[str, list[Cooldown]] = defaultdict(list)
        for cooldown in self._sorted:
            about, _, rest = cooldown.subject.partition(":")
            if about in _OF_ENDPOINTS:
                url = rest if about == "endpoint" else rest.rpartition("@")[2]
                self._by_url[url].append(cooldown)

    def __bool__(self) -> bool:
        return bool(self._sorted)

    def beginning(self, prefixes: Iterable[str]) -> list[Cooldown]:
        """Return the cooldowns whose subjects begin with one of these."""
        matches: dict[str, Cooldown] = {}
        for prefix in prefixes:
            at = bisect_left(self._subjects, prefix)
            while at < len(self._subjects) and self._subjects[at].startswith(prefix):
                matches[self._subjects[at]] = self._sorted[at]
                at += 1
        return list(matches.values())

    def at_endpoint(self, url: str) -> Sequence[Cooldown]:
        """Return the cooldowns of an endpoint, and of models at it."""
        return self._by_url.get(url, ())
