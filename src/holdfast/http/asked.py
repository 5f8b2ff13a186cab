"""What a request's body asks for, found without parsing it: a scan that is proven against a full parse and linear in whatever it is
given. Where the model has to be another, its bytes are replaced and every other byte stays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_KEY = b'"model"'
_BACKSLASH = 92
_VALUE = re.compile(rb'"model"\s*+:\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_STREAM_KEY = b'"stream"'
_STREAM = re.compile(rb'(?<!\\)"stream"\s*:\s*true')
# A string that never ends is one token to the end: no byte is looked at twice.
_TOKEN = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z))|[{}\[\]]', re.DOTALL)
_COLON = re.compile(rb"\s*+:\s*+")
_STEP = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}
# With this begin the letters of `model` where somebody escapes them, as no encoder does (RFC 8259 7).
_ESCAPED = b"\\u006"
_FEW = 4


class Asked(NamedTuple):
    """What a body asks for: the model it names, whether it wants a stream, and whether it names its model just once and plainly, so
    that no parser can read another out of it."""

    model: str | None = None
    streams: bool = False
    plain: bool = True


def is_plain(body: bytes) -> bool:
    """Whether a body can be looked into: a JSON object, neither packed nor in another encoding than UTF-8."""
    return body[:64].lstrip()[:1] == b"{" and body[-64:].rstrip()[-1:] == b"}"


def asked_by(body: bytes | None) -> Asked:
    """What a JSON body asks for; nothing is known of one that streams past."""
    if not body:
        return Asked()
    spans = _model_spans(body)
    model = _text(body[spans[-1][0] : spans[-1][1]]) if spans else None
    return Asked(model, wants_stream(body), len(spans) == 1 and _ESCAPED not in body)


def requested_model(body: bytes) -> str | None:
    """The model that a JSON body names at its top level, or None. Of two such keys the last counts, as parsers do it."""
    spans = _model_spans(body)
    return _text(body[spans[-1][0] : spans[-1][1]]) if spans else None


def wants_stream(body: bytes) -> bool:
    """Whether a JSON body asks for a stream. Only a hint: what came is judged by what it is."""
    at = body.rfind(_STREAM_KEY)
    while at >= 0:
        if _STREAM.match(body, at):
            return True
        at = body.rfind(_STREAM_KEY, 0, at)
    return False


def with_model(body: bytes, model: str) -> bytes:
    """`body` with its top-level model replaced where it names another; every other byte stays."""
    wanted = json.dumps(model).encode()
    for start, end in reversed(_model_spans(body)):
        if body[start:end] != wanted and _text(body[start:end]) != model:
            body = body[:start] + wanted + body[end:]
    return body


def naming(body: bytes, model: str) -> bytes:
    """A JSON object that names no model, with this one at its end: of two such keys the last counts."""
    inner = body.strip().removesuffix(b"}").rstrip()
    if not inner.startswith(b"{") or not body.rstrip().endswith(b"}"):
        return body
    return inner + (b"," if len(inner) > 1 else b"") + _KEY + b":" + json.dumps(model).encode() + b"}"


def _text(literal: bytes) -> str | None:
    """What a JSON string says; None when it is not well-formed."""
    try:
        if b"\\" not in literal:
            return literal[1:-1].decode("utf-8")
        return str(json.loads(literal))
    except ValueError:
        return None


def _model_spans(body: bytes) -> list[tuple[int, int]]:
    """Where the string values of the top-level key `model` stand. A few places are looked at from their nearer side, which the SDKs
    make a short one; many, or an escaped spelling, are found in one pass over all of it, whatever it holds."""
    found: list[tuple[int, int]] = []
    at = body.rfind(_KEY)
    for _ in range(_FEW):
        if at < 0:
            break
        value = _model_at(body, at)
        if value is not None:
            found.append(value.span(1))
        at = body.rfind(_KEY, 0, at)
    return found[::-1] if at < 0 and _ESCAPED not in body else list(_all_models(body))


def _model_at(body: bytes, at: int) -> re.Match[bytes] | None:
    """The string value of the top-level key `model`, if one stands at this place.

    In valid JSON the bytes `"model"` not preceded by a backslash are a whole string, since a quote inside a string is escaped; with
    a colon after it, it is a key. Its depth is told by the brackets on the shorter side of it, strings skipped.
    """
    value = _VALUE.match(body, at)
    return value if value is not None and body[at - 1] != _BACKSLASH and _is_top_level(body, at, value.end(1)) else None


def _is_top_level(body: bytes, start: int, end: int) -> bool:
    before = start < len(body) - end
    if before:
        opening, opener, start, end = b"{", b"[", 0, start
    else:
        opening, opener, start, end = b"}", b"]", end, len(body)
    # One bracket on a side, in a string or not, can only be the object's own.
    if body.count(opening, start, end) == 1 and body.find(opener, start, end) < 0:
        return True
    return sum(_STEP.get(token.group(), 0) for token in _TOKEN.finditer(body, start, end)) == (1 if before else -1)


def _all_models(body: bytes) -> Iterator[tuple[int, int]]:
    """The same for any number of places and any spelling, in one pass."""
    depth, key_ends = 0, -1
    for token in _TOKEN.finditer(body):
        text = token[1]
        if text is None:
            depth += _STEP[token[0]]
        elif depth == 1 and token.start() == key_ends:
            yield token.span()
        elif depth == 1 and (text == _KEY or (b"\\" in text and _text(text) == "model")):
            colon = _COLON.match(body, token.end())
            key_ends = colon.end() if colon is not None else -1
