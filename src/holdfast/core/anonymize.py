"""An answer that nobody knows, without anything that could be private: its structure, its codes, and of its
sentences the words that stand in our own vocabulary of errors. What remains tells how to read the next one
like it, and nothing about whoever asked."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from typing import Any

from .faults import Phase, Reply
from .response_parser import words
from .secret import redact

_MOST_KEYS, _MOST_ITEMS, _DEEPEST, _MOST_WORDS = 40, 3, 6, 60
_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,39}")
# A word of a code in one case, or words grown together with a capital each; in any other mixture it is no
# word.
_WORD = r"(?:[a-z]{1,16}|[A-Z]{1,16}|[a-z]{0,16}[A-Z]{0,4}(?:[A-Z][a-z]{2,15}){1,5})"
_CODE = re.compile(rf"{_WORD}(?:[_.-]{_WORD}){{0,7}}|\d{{1,6}}")
_CODING = frozenset(
    "code type status reason error_code err_code errorcode errcode error_type status_code finish_reason object param".split()
)
_SPOKEN_HEADERS = {"content-type": re.compile(r"[a-z]+/[a-z.+-]+"), "retry-after": re.compile(r"\d{1,6}")}
_LONGEST_CODE = 32


def shape(reply: Reply, vocabulary: Collection[str]) -> dict[str, Any]:
    """The shape of `reply` as JSON values: `status`, `phase`, `headers` (names; two values that are
    harmless), `body` as text that can be classified. Strings stand as `<string N>` with their length, unless
    they are codes; numbers as 0, unless they are."""
    headers = {name: _header(name, value) for name, value in reply.headers if _NAME.fullmatch(name)}
    body = _body(reply, vocabulary)
    return {
        "status": reply.status,
        "phase": str(reply.phase),
        "headers": dict(sorted(headers.items())[:_MOST_KEYS]),
        "body": body,
    }


def digest(of: dict[str, Any]) -> str:
    """By what a shape is named: the same shape, the same 12 hex digits."""
    return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:12]


def _header(name: str, value: str) -> str:
    harmless = _SPOKEN_HEADERS.get(name)
    found = harmless.match(value) if harmless is not None else None
    return found.group() if found else ""


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
        inner = value.items() if depth < _DEEPEST else ()
        return {
            key if _NAME.fullmatch(key) else "<key>": _value(one, key, depth + 1, vocabulary)
            for key, one in list(inner)[:_MOST_KEYS]
        }
    if isinstance(value, list):
        return (
            [_value(one, name, depth + 1, vocabulary) for one in value[:_MOST_ITEMS]]
            if depth < _DEEPEST
            else []
        )
    if value is None or isinstance(value, bool):
        return value
    coding = name.lower() in _CODING
    if isinstance(value, str):
        return (_code(value) if coding else "") or _sentence(value, vocabulary)
    return value if coding and isinstance(value, int) and abs(value) < 1_000_000 else 0


def _code(text: str) -> str:
    """`text` if it is a short code as programs write them, without a digit beside a letter, and nothing that
    looks like a key."""
    return text if len(text) <= _LONGEST_CODE and _CODE.fullmatch(text) and redact(text) == text else ""


def _sentence(text: str, vocabulary: Collection[str]) -> str:
    """The words of `text` that stand in the vocabulary, in order, `…` for the others; how long it is where
    none does."""
    told: list[str] = []
    for word in words(text[:4_000]).split()[: _MOST_WORDS * 4]:
        kept = word if word in vocabulary and word.isalpha() else "…"
        if kept != "…" or told[-1:] != ["…"]:
            told.append(kept)
    return " ".join(told[:_MOST_WORDS]) if any(word != "…" for word in told) else f"<string {len(text)}>"
