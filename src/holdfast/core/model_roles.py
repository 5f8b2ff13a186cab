"""Which of the listed models does a job: a role (`answer`, `expand`) has ordered patterns, the first that
fits anything decides, and among those that fit the highest version does. A date is no version, an unknown
name is no model, and no default exists (story 3)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from .errors import IdentityError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_DATE = re.compile(r"(?<![\d.])(?:20\d{2}-\d{2}-\d{2}|20\d{6}|\d{6}|\d{4})(?![\d.]|[a-z])")
_REVISION = re.compile(r"-v\d+:\d+$")  # Bedrock's: `anthropic.claude-sonnet-4-5-20250929-v1:0`
_SIZE = re.compile(r"(?<![a-z\d])\d+(?:[.x]\d+)*[bkm](?![a-z])")
_VERSION = re.compile(r"(?<![\d.])\d{1,3}(?:[.-]\d{1,2}(?!\d))*(?!\d)")
_NO_CHAT = re.compile(r"embed|rerank|moderat|whisper|transcri|tts|speech|audio|image|dall-e|ocr|guard")
_CHAT_MODES = frozenset({"", "chat", "responses", "completion"})


@dataclass(frozen=True, slots=True)
class Role:
    """A job and the names that may do it, in order of preference: globs over lower-case names, or `pin:NAME`
    for exactly one."""

    name: str
    patterns: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not self.patterns or not all(self.patterns):
            raise IdentityError(
                f"'{self.name}' cannot be a role: a short name and at least one pattern",
                next_step="holdfast provision resolve --help",
            )


class Listed(StrEnum):
    """What asking for a list came to: `EMPTY` is an answer (this key may use none), the rest after it are
    none."""

    OK = "ok"
    EMPTY = "empty"
    FORBIDDEN = "forbidden"
    UNSUPPORTED = "unsupported"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"


class OfferedModel(NamedTuple):
    """A listed model; `mode` is what the list says it does (`chat`, `embedding`), where it says so."""

    name: str
    mode: str = ""


class Listing(NamedTuple):
    """What a source said: models, or why it said none, in words fit for a message."""

    kind: Listed
    offers: tuple[OfferedModel, ...] = ()
    told: str = ""


def chats(offers: Iterable[OfferedModel]) -> tuple[str, ...]:
    """The names of those that answer in words, in the order of the list."""
    return tuple(
        offer.name
        for offer in offers
        if offer.mode in _CHAT_MODES and (offer.mode or not _NO_CHAT.search(offer.name.lower()))
    )


def choose(role: Role, names: Collection[str]) -> str | None:
    """The model for `role` among `names`, or None: nothing is ever chosen that no pattern names. Of equal
    versions an undated name wins, then the later date, then the shorter name."""
    for pattern in role.patterns:
        kind, _, only = pattern.partition(":")
        fits = sorted(
            name
            for name in names
            if (name == only if kind == "pin" else fnmatchcase(name.lower(), pattern.lower()))
        )
        if fits:
            return max(fits, key=_rank)
    return None


def bind(roles: Iterable[Role], names: Collection[str], held: Mapping[str, str]) -> dict[str, str]:
    """role -> model. What is `held` and still listed stays: a newer version is no reason to change what
    works."""
    found = (
        (role.name, held[role.name] if held.get(role.name) in names else choose(role, names))
        for role in roles
    )
    return {role: model for role, model in found if model}


def _rank(name: str) -> tuple[tuple[int, ...], bool, str, int]:
    dates = _DATE.findall(_bare(name))
    return version(name), not dates, max((date.replace("-", "") for date in dates), default=""), -len(name)


def version(name: str) -> tuple[int, ...]:
    """The version in a model's name, () if it has none: `claude-sonnet-4-5-20250929` is (4, 5),
    `llama-3.3-70b` is (3, 3)."""
    found = _VERSION.search(_SIZE.sub("", _DATE.sub("", _bare(name))))
    return tuple(map(int, re.split(r"[.-]", found[0]))) if found else ()


def _bare(name: str) -> str:
    """A name without what a vendor or a router puts around it."""
    return _REVISION.sub("", name.lower().rsplit("/", 1)[-1]).partition(":")[0]
