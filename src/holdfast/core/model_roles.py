"""The choice of a listed model for a role (`answer`, `expand`). A role has ordered patterns; the first that
fits any model decides, and of the models that fit it the highest version is taken. A date is no version, and
there is no default model (story 3)."""

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
_CHAT_MODES = frozenset({"chat", "responses", "completion"})


@dataclass(frozen=True, slots=True)
class Role:
    """A role and the names of models that may have it, in order of preference: globs over lower-case names,
    or `pin:NAME` for exactly one. `fixed`: an operator decided it, for every application."""

    name: str
    patterns: tuple[str, ...]
    fixed: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not self.patterns or not all(self.patterns):
            raise IdentityError(
                f"'{self.name}' cannot be a role: a short name and at least one pattern",
                next_step="holdfast provision resolve --help",
            )


class Listed(StrEnum):
    """The result of asking for a list of models. `EMPTY` is an answer too (this key may use none); those
    after it are failures."""

    OK = "ok"
    EMPTY = "empty"
    FORBIDDEN = "forbidden"
    UNSUPPORTED = "unsupported"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"


class OfferedModel(NamedTuple):
    """A listed model; `mode` is its use (`chat`, `embedding`), where the list says it."""

    name: str
    mode: str = ""


class Listing(NamedTuple):
    """A list of models, or in `detail` why there is none, in words for a message."""

    kind: Listed
    offers: tuple[OfferedModel, ...] = ()
    detail: str = ""


def chats(offers: Iterable[OfferedModel]) -> tuple[str, ...]:
    """Return the names of the models that answer in words, in the order of the list."""
    return tuple(offer.name for offer in offers if _chats(offer))


def choose(role: Role, names: Collection[str]) -> str | None:
    """Return the model for `role` among `names`, or None: nothing is chosen that no pattern names. Of equal
    versions an undated name wins, then the later date, then the shorter name."""
    for pattern in role.patterns:
        fitting = sorted(name for name in names if _fits(name, pattern))
        if fitting:
            return max(fitting, key=_rank)
    return None


def bind(roles: Iterable[Role], names: Collection[str], held: Mapping[str, str]) -> dict[str, str]:
    """Return the model of each role that some model fits. One that is `held` and still listed stays: a newer
    version is no reason to change what works."""
    bound: dict[str, str] = {}
    for role in roles:
        model = held.get(role.name)
        if model not in names:
            model = choose(role, names)
        if model:
            bound[role.name] = model
    return bound


def _chats(offer: OfferedModel) -> bool:
    """Return whether a model answers in words: by its mode, else by its name."""
    if offer.mode:
        return offer.mode in _CHAT_MODES
    return not _NO_CHAT.search(offer.name.lower())


def _fits(name: str, pattern: str) -> bool:
    kind, _, only = pattern.partition(":")
    if kind == "pin":
        return name == only
    return fnmatchcase(name.lower(), pattern.lower())


def _rank(name: str) -> tuple[tuple[int, ...], bool, str, int]:
    dates = _DATE.findall(_bare(name))
    return version(name), not dates, max((date.replace("-", "") for date in dates), default=""), -len(name)


def version(name: str) -> tuple[int, ...]:
    """Return the version in a model's name, () if it has none: `claude-sonnet-4-5-20250929` is (4, 5),
    `llama-3.3-70b` is (3, 3)."""
    match = _VERSION.search(_SIZE.sub("", _DATE.sub("", _bare(name))))
    return tuple(map(int, re.split(r"[.-]", match[0]))) if match else ()


def _bare(name: str) -> str:
    """Return a name without what a vendor or a router puts around it."""
    return _REVISION.sub("", name.lower().rsplit("/", 1)[-1]).partition(":")[0]
