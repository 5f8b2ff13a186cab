"""What a request's body asks for, found without parsing it: a scan that is proven against a full parse and
linear in whatever it is given. Where the model has to be another, its bytes are replaced and every other byte
stays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_KEY = b'"model"'
_THE_COLON, _QUOTE, _BACKSLASH = 58, 34, 92
_VALUE = re.compile(rb'"model"\s*+:\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_STREAM_KEY = b'"stream"'
_STREAM = re.compile(rb'(?<!\\)"stream"\s*:\s*true')
# A string that never ends is one token to the end: no byte is looked at twice.
_TOKEN = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z))|[{}\[\]]', re.DOTALL)
_SPACES = b" \t\r\n\v\f"
_COLON = re.compile(rb"\s*+:\s*+")
_STEP = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}
# With this begin the letters of `model` where somebody escapes them, as no encoder does (RFC 8259 7).
_ESCAPED = b"\\u006"
_LONGEST_KEY = len("model") * len("\\u0000") + 2
_FEW = 4
# A single byte is found forty times as fast as a word, and every key has its colon: a long prompt with few of
# them is crossed from colon to colon, as long as there is at most one in so many bytes.
_LONG, _FIRST_COLONS, _BYTES_A_COLON = 16 * 1024, 64, 256


class RequestInfo(NamedTuple):
    """What a body asks for: the model it names, whether it wants a stream, and whether it names its model
    just once and plainly, so that no parser can read another out of it. Then `span` is where its literal
    stands."""

    model: str | None = None
    streams: bool = False
    plain: bool = True
    span: tuple[int, int] | None = None


class _Places(NamedTuple):
    """Where the bytes of the two keys stand, whatever they are there, and whether an escaped spelling of a
    key may be among the rest."""

    models: list[int]
    streams: list[int]
    escaped: bool


def is_plain(body: bytes) -> bool:
    """Whether a body can be looked into: a JSON object, neither packed nor in another encoding than UTF-8."""
    return body[:64].lstrip()[:1] == b"{" and body[-64:].rstrip()[-1:] == b"}"


def inspect_body(body: bytes | None) -> RequestInfo:
    """What a JSON body asks for; nothing is known of one that streams past."""
    if not body:
        return RequestInfo()
    places = _places(body)
    spans = _model_spans(body, places)
    streams = bool(places.streams) and _wants_stream(body, places.streams)
    if not spans:
        return RequestInfo(None, streams, False)
    start, end = spans[-1]
    plain = len(spans) == 1 and not places.escaped
    return RequestInfo(_text(body[start:end]), streams, plain, spans[0] if plain else None)


def requested_model(body: bytes) -> str | None:
    """The model that a JSON body names at its top level, or None. Of two such keys the last counts, as
    parsers do it."""
    at = body.find(_KEY)
    if at >= 0 and body.find(_KEY, at + 1) < 0 and _ESCAPED not in body:  # as nearly all of them
        value = _model_at(body, at)
        return _text(value[1]) if value is not None else None
    spans = _model_spans(body, _places(body))
    return _text(body[spans[-1][0] : spans[-1][1]]) if spans else None


def replace_model(body: bytes, model: str) -> bytes:
    """`body` with its top-level model replaced where it names another; every other byte stays."""
    wanted = literal(model)
    for start, end in reversed(_model_spans(body, _places(body))):
        if body[start:end] != wanted and _text(body[start:end]) != model:
            body = body[:start] + wanted + body[end:]
    return body


def append_model(body: bytes, model: str) -> bytes:
    """A JSON object that names no model, with this one at its end: of two such keys the last counts."""
    inner = body.strip().removesuffix(b"}").rstrip()
    if not inner.startswith(b"{") or not body.rstrip().endswith(b"}"):
        return body
    return inner + (b"," if len(inner) > 1 else b"") + _KEY + b":" + literal(model) + b"}"


@lru_cache(maxsize=1024)
def literal(model: str) -> bytes:
    """A model's name as JSON writes it."""
    return json.dumps(model).encode()


def _text(literal: bytes) -> str | None:
    """What a JSON string says; None when it is not well-formed."""
    try:
        if b"\\" not in literal:
            return literal[1:-1].decode("utf-8")
        return str(json.loads(literal))
    except ValueError:
        return None


def _places(body: bytes) -> _Places:
    """Where the keys may be, in the order of the body. Tested: both ways of looking lead to the same
    answers."""
    return (_from_colon_to_colon(body) if len(body) >= _LONG else None) or _word_for_word(body)


def _word_for_word(body: bytes) -> _Places:
    return _Places(_all_of(_KEY, body), _all_of(_STREAM_KEY, body), _ESCAPED in body)


def _all_of(word: bytes, body: bytes) -> list[int]:
    at = body.find(word)
    if at < 0:
        return []
    found = [at]
    while (at := body.find(word, at + 1)) >= 0:
        found.append(at)
    return found


def _from_colon_to_colon(body: bytes) -> _Places | None:
    """The same for a body with few colons; None as soon as it shows too many, or one that stands too far from
    what is before it."""
    models, streams, escaped, seen = [], [], False, 0
    colon = body.find(_THE_COLON)
    while colon >= 0:
        seen += 1
        if seen > _FIRST_COLONS + colon // _BYTES_A_COLON:
            return None
        end = colon
        if body[end - 1] in _SPACES:
            start = max(0, colon - _LONGEST_KEY)
            end = start + len(body[start:colon].rstrip(_SPACES))
            if end == start:
                return None
        if body[end - 1] == _QUOTE:
            if body.startswith(_KEY, end - len(_KEY)):
                models.append(end - len(_KEY))
            elif body.startswith(_STREAM_KEY, end - len(_STREAM_KEY)):
                streams.append(end - len(_STREAM_KEY))
            escaped = escaped or _ESCAPED in body[max(0, end - _LONGEST_KEY) : end]
        colon = body.find(_THE_COLON, colon + 1)
    return _Places(models, streams, escaped)


def _model_spans(body: bytes, places: _Places) -> list[tuple[int, int]]:
    """Where the string values of the top-level key `model` stand. A few places are looked at from their
    nearer side, which the SDKs make a short one; many, or an escaped spelling, are found in one pass over all
    of it, whatever it holds."""
    if places.escaped or len(places.models) > _FEW:
        return list(_all_models(body))
    found = []
    for at in places.models:
        value = _model_at(body, at)
        if value is not None:
            found.append(value.span(1))
    return found


def _wants_stream(body: bytes, places: list[int]) -> bool:
    """Whether the body itself says so at one of these places, not what a tool was called with: that is no
    string in Anthropic's dialect."""
    spans = [value.span() for at in places if (value := _STREAM.match(body, at)) is not None]
    if len(spans) <= _FEW:
        return any(_is_top_level(body, start, end) for start, end in spans)
    depth, starts = 0, {start for start, _ in spans}
    for token in _TOKEN.finditer(body):
        if token[1] is None:
            depth += _STEP[token[0]]
        elif depth == 1 and token.start() in starts:
            return True
    return False


def _model_at(body: bytes, at: int) -> re.Match[bytes] | None:
    """The string value of the top-level key `model`, if one stands at this place.

    In valid JSON the bytes `"model"` not preceded by a backslash are a whole string, since a quote inside a
    string is escaped; with a colon after it, it is a key. Its depth is told by the brackets on the shorter
    side of it, strings skipped."""
    value = _VALUE.match(body, at)
    return (
        value
        if value is not None and body[at - 1] != _BACKSLASH and _is_top_level(body, at, value.end(1))
        else None
    )


def _is_top_level(body: bytes, start: int, end: int) -> bool:
    before = start < len(body) - end
    if before:
        opening, opener, start, end = b"{", b"[", 0, start
    else:
        opening, opener, start, end = b"}", b"]", end, len(body)
    # One bracket on a side, in a string or not, can only be the object's own.
    if body.count(opening, start, end) == 1 and body.find(opener, start, end) < 0:
        return True
    return sum(_STEP.get(token.group(), 0) for token in _TOKEN.finditer(body, start, end)) == (
        1 if before else -1
    )


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
