"""The only type that holds a key's value. It shows a mask everywhere; the value comes out only where
`.reveal()` is written."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, NoReturn

from .plain_text import plain

_MASK = "****"
_TAIL = 4
_SHORTEST_WITH_TAIL = 12
_KEY_PREFIXES = "sk|tp|pk|rk|gsk|xai|nvapi|hf|ghp|gho|ghu|ghs|glpat|AKIA|ASIA|AIza|key"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(\w+://)(?![\w.-]+[/?#])[^\s\"<>]{1,512}@"), r"\1" + _MASK + "@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 " + _MASK),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?"), _MASK),
    (re.compile(rf"\b(?:{_KEY_PREFIXES})[-_]?[A-Za-z0-9][A-Za-z0-9_*.-]{{10,}}"), _MASK),
    (re.compile(r"\b[0-9a-fA-F]{32,}\b"), _MASK),
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), "…@…"),
    (re.compile(r"\b(org|proj|acct|user)[-_][A-Za-z0-9]{8,}"), r"\1-" + _MASK),
    (re.compile(r"(https?://[^\s?#\"'<>]+)(?:[?#][^\s\"'<>]*)?"), r"\1"),
)
"""Shapes of what must not be shown, and what is shown in their place. User and password of a URL end at its
last `@`: a password that is not encoded may hold any character, also `/`."""
_USER = re.compile(r"\A(\w+://)?+(?![\w.-]+[/?#]).*@", re.DOTALL)


class Secret:
    """An opaque credential value.

    repr, str, format and tracebacks show a mask; pickling, JSON and copying by state are refused. Raises
    ValueError for an empty value or one that cannot be sent in a header (a line break, a character outside
    latin-1). There is no placeholder for a missing key: `auth = "none"` says that no key is needed."""

    __slots__ = ("__value", "__weakref__", "spellings")

    def __init__(self, value: str) -> None:
        value = value.strip()
        if not value:
            raise ValueError("a secret cannot be empty")
        if any(ch < " " or ch == "\x7f" or ch > "\xff" for ch in value):
            raise ValueError("a secret cannot hold control characters or letters outside latin-1")
        self.__value = value
        self.spellings: object = None  # as `secrecy` keeps them

    def reveal(self) -> str:
        """Return the plain value. Allowed only where it is sent, stored, given to a child, or looked for."""
        return self.__value

    @property
    def tail(self) -> str:
        """Return the last four characters for messages; nothing of keys so short that four would reveal too
        much."""
        if len(self.__value) < _SHORTEST_WITH_TAIL:
            return ""
        return self.__value[-_TAIL:]

    def starts_with(self, prefix: str) -> bool:
        """Return whether the value begins with a prefix that a provider gives to a kind of its keys."""
        return self.__value.startswith(prefix)

    def fingerprint(self, pepper: bytes) -> str:
        """Return a keyed HMAC-SHA256 (16 hex digits), by which this key is recognised without being
        stored."""
        return fingerprint(self.__value, pepper)

    def __str__(self) -> str:
        return f"…{self.tail}" if self.tail else _MASK

    def __repr__(self) -> str:
        return f"Secret({self!s})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self.__value))

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied into another form")


def fingerprint(value: str, pepper: bytes) -> str:
    """Return a keyed HMAC-SHA256 of `value`, 16 hex digits. The pepper is kept in the home directory and
    never leaves it."""
    return hmac.new(pepper, value.encode(), hashlib.sha256).hexdigest()[:16]


def without_user(url: str) -> str:
    """Return a URL, also one that is not written correctly, without user and password."""
    return _USER.sub(r"\1", url.strip())


def redact(text: str, *, limit: int = 500) -> str:
    """Return `text` as it may be logged, stored and shown: key shapes, e-mail addresses, organisation ids and
    the query parts of URLs are masked, what is not plain text is replaced, and at most `limit` characters
    stay. `secrecy.masking` masks the keys that are known before that."""
    for shape, mask in _SHAPES:
        text = shape.sub(mask, text)
    text = plain(text)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text
