"""Answers of providers that have no class yet, kept on this machine as shapes, so that they can be reported
and learnt: at most so many, each once, and nothing of them leaves by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import write_private
from ..core.anonymize import digest, shape
from ..core.errors import ConfigError
from ..core.faults import Reply
from ..core.vocabulary import Profile

MOST = 100
_ID = re.compile(r"[0-9a-f]{12}")
_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class UnclassifiedReply:
    """One kept shape: the error vocabulary by which it was read, how often and when (epoch seconds) it
    came."""

    id: str
    profile: str
    count: int
    first_at: float
    last_at: float
    shape: dict[str, Any]

    def line(self) -> str:
        """A line as those of `tests/replies/replies.jsonl`; `expected_class` is for whoever knows what it
        means."""
        told = {
            "provider": self.profile,
            "case": f"unknown_{self.id}",
            **self.shape,
            "expected_class": "",
            "source": "holdfast report",
            "observed": True,
        }
        return json.dumps(
            told | {"evidence": "shape", "note": "strings are reduced to known words, lengths and codes"},
            ensure_ascii=False,
        )


class UnclassifiedReplies:
    """The directory of shapes, one private file each."""

    def __init__(self, state: Path) -> None:
        self.directory = state / "unknown"
        self._seen: dict[str, float] = {}
        self._words: dict[str, frozenset[str]] = {}

    def keep(self, reply: Reply, profile: Profile, at: float) -> str:
        """Keep the shape of an answer; its id. Never raises: a full disk costs a report, not a request."""
        if profile.name not in self._words:
            self._words[profile.name] = vocabulary(profile)
        found = shape(reply, self._words[profile.name])
        name = digest(found)
        if at - self._seen.get(name, 0.0) < _EVERY:
            return name
        self._seen[name] = at
        with suppress(OSError, ConfigError):
            before = self.find(name)
            told = {
                "profile": profile.name,
                "count": before.count + 1 if before else 1,
                "first_at": before.first_at if before else at,
                "last_at": at,
            }
            write_private(self.directory / f"{name}.json", json.dumps(told | {"shape": found}))
            for path in self._files()[MOST:]:
                path.unlink()
        return name

    def all(self) -> Iterator[UnclassifiedReply]:
        """What is kept, the last seen first."""
        for path in self._files():
            one = self.find(path.stem)
            if one is not None:
                yield one

    def find(self, name: str) -> UnclassifiedReply | None:
        """The shape of that id, or of the one id that begins like this; None when there is none or
        several."""
        found = [path for path in self._files() if path.stem.startswith(name)]
        if len(found) != 1:
            return None
        try:
            told = json.loads(found[0].read_text("utf-8"))
            return UnclassifiedReply(
                found[0].stem,
                str(told["profile"]),
                int(told["count"]),
                float(told["first_at"]),
                float(told["last_at"]),
                dict(told["shape"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _files(self) -> list[Path]:
        try:
            files = [
                path
                for path in self.directory.iterdir()
                if path.suffix == ".json" and _ID.fullmatch(path.stem)
            ]
            return sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)
        except OSError:
            return []


def vocabulary(profile: Profile) -> frozenset[str]:
    """Every word that stands in the rules of a profile."""
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
