"""The key in what a program prints: bare, or as JSON, perhaps between lines that are meant for people.

What is no key is never sent as one: programs also print errors, with an exit code of 0."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .printed_json import key_in
from .sources import Silent, Unreadable

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NOTHING = frozenset({"", "null", "none", "undefined", "nil", '""'})
"""What is printed for a value that is not there, by jq, Python, JavaScript and Go."""
_BARE = re.compile(r"(?:(?:basic|bearer|token|api-?key) +)?[^\s<>]+", re.IGNORECASE)
"""A key has no white space, but may be written behind its scheme."""
_STARTS = re.compile(r"^[ \t]*[{[]", re.MULTILINE)
_MOST = 100
"""The most lines that are tried as the beginning of JSON."""


def printed_key(printed: str, path: str, now: float) -> tuple[str, float | None]:
    """Return the key in what a program printed, and its expiry (epoch seconds; None: unknown); with a `path`,
    the one at that place in its JSON. Raises Unreadable, Silent where it printed none."""
    text = _COLOUR.sub("", printed).strip()
    if text.lower() in _NOTHING:
        raise Silent("printed nothing")
    if path or text.startswith(("{", "[")):
        return _in_json(text, path, now)
    bare = _unquoted(text)
    if _BARE.fullmatch(bare):
        return bare, None
    try:
        return _in_json(text, path, now)
    except Unreadable:
        raise Unreadable("printed a text that is no key") from None


def _in_json(text: str, path: str, now: float) -> tuple[str, float | None]:
    """Return the key in the JSON that the text is, else in the first part of it that has one."""
    refusal = Unreadable("printed something that looks like JSON and is not")
    for document in _documents(text):
        try:
            return key_in(document, path, now)
        except Unreadable as reason:
            refusal = reason
    raise refusal


def _documents(text: str) -> Iterator[Any]:
    """Yield the JSON documents in a text, each of which begins with a line."""
    end = 0
    for start in list(_STARTS.finditer(text))[:_MOST]:
        if start.start() < end:
            continue  # a line of the document before
        with suppress(ValueError, RecursionError):
            document, end = json.JSONDecoder().raw_decode(text, start.end() - 1)
            yield document


def _unquoted(text: str) -> str:
    """Return a JSON string's value, as `az … --query accessToken` prints one; other text as it is."""
    if not text.startswith('"'):
        return text
    with suppress(ValueError):
        return str(json.loads(text))
    return text
