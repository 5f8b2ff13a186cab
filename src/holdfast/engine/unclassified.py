"""Replies of providers that have no class yet, kept on this machine as anonymised shapes so that they can be
reported. Their number is bounded, each is kept once, and nothing is sent anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import write_private
from ..core.errors import ConfigError
from ..core.faults import Reply
from ..core.vocabulary import Profile
from ..values.plain_text import plain_json
from .anonymize import digest, shape

MOST = 100
_ID = re.compile(r"[0-9a-f]{12}")
_EVERY = 60.0
"""Seconds within which a shape is not counted again."""


@dataclass(frozen=True, slots=True)
class UnclassifiedReply:
    """A kept shape, with the profile by which it was read, its count, and its first and last time (epoch
    seconds)."""

    id: str
    profile: str
    count: int
    first_at: float
    last_at: float
    shape: dict[str, Any]

    def line(self) -> str:
        """Return a line like those of `tests/replies/replies.jsonl`, with an empty `expected_class`."""
        case = {
            "provider": self.profile,
            "case": f"unknown_{self.id}",
            **self.shape,
            "expected_class": "",
            "source": "holdfast report",
            "observed": True,
            "evidence": "shape",
            "note": "strings are reduced to known words, lengths and codes",
        }
        return plain_json(case)


class UnclassifiedReplies:
    """The directory of shapes, a private file for each."""

    def __init__(self, state: Path) -> None:
        self.directory = state / "unknown"
        self._seen: dict[str, float] = {}
        self._words: dict[str, frozenset[str]] = {}

    def keep(self, reply: Reply, profile: Profile, at: float) -> str:
        """Keep the shape of a reply received at `at` (epoch seconds). Return its id. Never raises: a full
        disk costs a report, not a request."""
        if profile.name not in self._words:
            self._words[profile.name] = vocabulary(profile)
        kept = shape(reply, self._words[profile.name])
        name = digest(kept)
        if at - self._seen.get(name, 0.0) < _EVERY:
            return name
        self._seen[name] = at
        with suppress(OSError, ConfigError):
            count, first_at = 1, at
            before = self.find(name)
            if before is not None:
                count, first_at = before.count + 1, before.first_at
            content = {
                "profile": profile.name,
                "count": count,
                "first_at": first_at,
                "last_at": at,
                "shape": kept,
            }
            write_private(self.directory / f"{name}.json", json.dumps(content))
            for path in self._files()[MOST:]:
                path.unlink()
        return name

    def all(self) -> Iterator[UnclassifiedReply]:
        """Yield the kept shapes, the last seen first."""
        for path in self._files():
            reply = self.find(path.stem)
            if reply is not None:
                yield reply

    def find(self, name: str) -> UnclassifiedReply | None:
        """Return the shape whose id begins with `name`; None if there is none, or more than one."""
        matches = [path for path in self._files() if path.stem.startswith(name)]
        if len(matches) != 1:
            return None
        path = matches[0]
        try:
            content = json.loads(path.read_text("utf-8"))
            return UnclassifiedReply(
                id=path.stem,
                profile=str(content["profile"]),
                count=int(content["count"]),
                first_at=float(content["first_at"]),
                last_at=float(content["last_at"]),
                shape=dict(content["shape"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _files(self) -> list[Path]:
        try:
            files = [path for path in self.directory.glob("*.json") if _ID.fullmatch(path.stem)]
            return sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)
        except OSError:
            return []


def vocabulary(profile: Profile) -> frozenset[str]:
    """Return every word in the rules of a profile."""
    rules = [
        *profile.phrases,
        *profile.pages,
        *profile.transport,
        *(rule for row in profile.rows.values() for rule in row),
    ]
    return frozenset(
        word
        for rule in rules
        for _, alternatives in rule.parts
        for phrase in alternatives
        for word in phrase.split()
    )
