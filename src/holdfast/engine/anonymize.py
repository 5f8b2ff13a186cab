"""An unrecognised answer without anything that could be private: its structure, its codes, and of its
sentences the words that occur in our own vocabulary of errors. What remains says how to read the next answer
like it, and nothing about the user."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from typing import Any

from ..core.faults import Phase, Reply
from ..core.response_parser import words
from ..values.secret import redact

_MOST_KEYS, _MOST_ITEMS, _DEEPEST, _MOST_WORDS = 40, 3, 6, 60
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,39}")
# A word of a code: in a single case, or words joined with a capital each. Any other mixture is no word.
_WORD = r"(?:[a-z]{1,16}|[A-Z]{1,16}|[a-z]{0,16}[A-Z]{0,4}(?:[A-Z][a-z]{2,15}){1,5})"
_CODE = re.compile(rf"{_WORD}(?:[_.-]{_WORD}){{0,7}}|\d{{1,6}}")
_CODING = frozenset(
    """
    code type status reason error_code err_code errorcode errcode error_type status_code
    finish_reason object param
    """.split()
)
_HARMLESS_HEADERS = {"content-type": re.compile(r"[a-z]+/[a-z.+-]+"), "retry-after": re.compile(r"\d{1,6}")}
_LONGEST_CODE = 32


def shape(reply: Reply, vocabulary: Collection[str]) -> dict[str, Any]:
    """Return the shape of `reply` as JSON values: `status`, `phase`, `headers` (names, and the values of two
    that are harmless), and `body` as text that can be classified.

    Strings become `<string N>` with their length, unless they are codes; numbers become 0, unless they are
    codes."""
    headers = {name: _header(name, value) for name, value in reply.headers if _NAME.fullmatch(name)}
    body = _body(reply, vocabulary)
    return {
        "status": reply.status,
        "phase": str(reply.phase),
        "headers": dict(sorted(headers.items())[:_MOST_KEYS]),
        "body": body,
    }


def digest(of: dict[str, Any]) -> str:
    """Return the name of a shape, 12 hex digits: the same for the same shape."""
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:12]


def _header(name: str, value: str) -> str:
    harmless = _HARMLESS_HEADERS.get(name)
    if harmless is None:
        return ""
    match = harmless.match(value)
    if match is None:
        return ""
    return match.group()


def _body(reply: Reply, vocabulary: Collection[str]) -> str:
    text = reply.body.decode("utf-8", "replace").strip()
    if reply.status is None:
        return _code(text.partition(":")[0]) or "<error>"
    if reply.phase in (Phase.PRE_OUTPUT, Phase.POST_OUTPUT) or text.startswith(("data:", "event:")):
        lines = [line for line in text.splitlines() if line.startswith("data:")][: _MOST_ITEMS * 3]
        return "\n\n".join(
            "data: " + _document(line.removeprefix("data:").strip(), vocabulary) for line in lines
        )
    return _document(text, vocabulary)


def _document(text: str, vocabulary: Collection[str]) -> str:
    if text[:1] in ("{", "["):
        try:
            return json.dumps(_value(json.loads(text), "", 0, vocabulary))
        except (ValueError, RecursionError):
            return f"<broken JSON> {_sentence(text, vocabulary)}"
    return _sentence(text, vocabulary)


def _value(value: Any, name: str, depth: int, vocabulary: Collection[str]) -> Any:
    if isinstance(value, dict):
        return _members(value, depth, vocabulary)
    if isinstance(value, list):
        if depth >= _DEEPEST:
            return []
        return [_value(item, name, depth + 1, vocabulary) for item in value[:_MOST_ITEMS]]
    if value is None or isinstance(value, bool):
        return value
    coding = name.lower() in _CODING
    if isinstance(value, str):
        return (coding and _code(value)) or _sentence(value, vocabulary)
    if coding and isinstance(value, int) and abs(value) < 1_000_000:
        return value
    return 0


def _members(value: dict[str, Any], depth: int, vocabulary: Collection[str]) -> dict[str, Any]:
    """Return the shape of an object; a name that could be data becomes `<key>`."""
    shapes: dict[str, Any] = {}
    if depth >= _DEEPEST:
        return shapes
    for key, member in list(value.items())[:_MOST_KEYS]:
        shown = "<key>"
        if _NAME.fullmatch(key):
            shown = key
        shapes[shown] = _value(member, key, depth + 1, vocabulary)
    return shapes


def _code(text: str) -> str:
    """Return `text` if it is a short code as programs write them, without a digit beside a letter, and
    nothing that looks like a key; else an empty string."""
    if len(text) > _LONGEST_CODE or not _CODE.fullmatch(text) or redact(text) != text:
        return ""
    return text


def _sentence(text: str, vocabulary: Collection[str]) -> str:
    """Return the words of `text` that the vocabulary has, in order, with `…` for the others; its length
    where it has none of them."""
    kept: list[str] = []
    for word in words(text[:4_000]).split()[: _MOST_WORDS * 4]:
        if word in vocabulary and word.isalpha():
            kept.append(word)
        elif kept[-1:] != ["…"]:
            kept.append("…")
    if all(word == "…" for word in kept):
        return f"<string {len(text)}>"
    return " ".join(kept[:_MOST_WORDS])
