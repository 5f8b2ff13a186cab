"""Finds the model that a request's body names and whether it wants a stream, without parsing the body, and
replaces the model.

The scan is tested against a full parse, and takes linear time for any input. To replace the model, its bytes
are replaced; every other byte stays.

This is on the path of every request. Where the code is longer than it has to be, the longer way is the faster
one: `bytes.find` instead of a regular expression, a test on the spot instead of a call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_KEY = b'"model"'
_STREAM_KEY = b'"stream"'
_VALUE = re.compile(rb'"model"\s*+:\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
# Servers that read JSON leniently (vLLM and others with pydantic) take 1 and "true" for true.
_STREAM = re.compile(rb'(?<!\\)"stream"\s*:\s*(?:true|1(?![\w.])|"[Tt]rue")')
# A string without an end is one token up to the end of the body, so no byte is read twice.
_TOKEN = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z))|[{}\[\]]', re.DOTALL)
_STEP = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}
"""The change of depth at a bracket."""
_COLON_AFTER_KEY = re.compile(rb"\s*+:\s*+")
_COLON, _QUOTE, _BACKSLASH = b':"\\'
"""Single bytes, as numbers."""
_SPACES = b" \t\r\n\v\f"
# An escaped letter of `model` begins so. No encoder escapes these letters (RFC 8259 7), but a caller may.
_ESCAPED = b"\\u006"
_LONGEST_KEY = len("model") * len("\\u0000") + 2
_FEW = 4
"""Up to so many keys are checked one by one; more, in one pass over the whole body."""
# A single byte is found forty times as fast as a word, and every key has its colon. So a body of at least
# _LONG bytes is searched from colon to colon, as long as it has few: 64, and one more in each 256 bytes.
_LONG, _FIRST_COLONS, _BYTES_PER_COLON = 16 * 1024, 64, 256


class RequestInfo(NamedTuple):
    """The part of a body that we have to know.

    model    the model that it names
    streams  it wants a stream
    plain    it names its model just once and without escapes, so that no parser can read another model in it
    span     start and end of the model's literal in a plain body
    """

    model: str | None = None
    streams: bool = False
    plain: bool = True
    span: tuple[int, int] | None = None


UNREAD = RequestInfo()
"""What is known of a body that is not looked into, and is sent as it is."""


class _Offsets(NamedTuple):
    """Offsets at which the bytes of the two keys occur, as keys or as something else; and whether the body
    may hold an escaped spelling of a key."""

    models: list[int]
    streams: list[int]
    escaped: bool


def is_plain(body: bytes) -> bool:
    """Return whether a body can be read: a JSON object, neither compressed nor in another encoding than
    UTF-8."""
    return body[:64].lstrip()[:1] == b"{" and body[-64:].rstrip()[-1:] == b"}"


def inspect_body(body: bytes | None) -> RequestInfo:
    """Read a JSON body; nothing is known of one that streams past (None)."""
    if not body:
        return RequestInfo()
    at = body.find(_KEY) if len(body) < _LONG else -1
    if at >= 0 and body.find(_KEY, at + 1) < 0 and body.find(_ESCAPED) < 0:
        # Nearly all short bodies: one key, in plain letters.
        value = _model_at(body, at)
        if value is not None:
            streams = body.find(_STREAM_KEY) >= 0 and _wants_stream(body, _all_of(_STREAM_KEY, body))
            start, end = value.span(1)
            return RequestInfo._make((_text(body[start:end]), streams, True, (start, end)))
    offsets = _offsets(body)
    spans = _model_spans(body, offsets)
    streams = bool(offsets.streams) and _wants_stream(body, offsets.streams)
    if not spans:
        return RequestInfo(None, streams, False)
    start, end = spans[-1]
    plain = len(spans) == 1 and not offsets.escaped
    span = (start, end) if plain else None
    return RequestInfo(_text(body[start:end]), streams, plain, span)


def may_have(key: bytes, body: bytes) -> bool:
    """Return whether a body holds the bytes of a key, quotes included; of a long one, before a colon."""
    if len(body) >= _LONG:
        for end in _ends_of_keys(body):
            if end < 0:
                break
            if body.startswith(key, end - len(key)):
                return True
        else:
            return False
    return body.find(key) >= 0


def requested_model(body: bytes) -> str | None:
    """Return the model that a JSON body names at its top level, or None. Of two such keys the last counts, as
    for parsers."""
    at = body.find(_KEY)
    if at >= 0 and body.find(_KEY, at + 1) < 0 and _ESCAPED not in body:  # nearly all bodies
        value = _model_at(body, at)
        if value is None:
            return None
        return _text(value[1])
    spans = _model_spans(body, _offsets(body))
    if not spans:
        return None
    start, end = spans[-1]
    return _text(body[start:end])


def replace_model(body: bytes, model: str) -> bytes:
    """Return `body` with its top-level model replaced where it names another; every other byte stays."""
    wanted = literal(model)
    for start, end in reversed(_model_spans(body, _offsets(body))):
        if body[start:end] != wanted and _text(body[start:end]) != model:
            body = body[:start] + wanted + body[end:]
    return body


def append_model(body: bytes, model: str) -> bytes:
    """Return a JSON object with this model at its end, where of two such keys it counts; what is no object
    comes back as it is."""
    inner = body.strip().removesuffix(b"}").rstrip()
    if not inner.startswith(b"{") or not body.rstrip().endswith(b"}"):
        return body
    comma = b"," if len(inner) > 1 else b""
    return inner + comma + _KEY + b":" + literal(model) + b"}"


@lru_cache(maxsize=1024)
def literal(model: str) -> bytes:
    """Return a model's name as JSON writes it."""
    return json.dumps(model).encode()


def _text(literal: bytes) -> str | None:
    """Return the text of a JSON string; None when it is not well-formed."""
    try:
        if b"\\" not in literal:
            return literal[1:-1].decode("utf-8")
        return str(json.loads(literal))
    except ValueError:
        return None


def _offsets(body: bytes) -> _Offsets:
    """Return the offsets where the keys may be, in the order of the body. A test compares both searches."""
    if len(body) >= _LONG:
        offsets = _search_by_colons(body)
        if offsets is not None:
            return offsets
    return _search_by_words(body)


def _search_by_words(body: bytes) -> _Offsets:
    return _Offsets(_all_of(_KEY, body), _all_of(_STREAM_KEY, body), _ESCAPED in body)


def _all_of(word: bytes, body: bytes) -> list[int]:
    at = body.find(word)
    if at < 0:
        return []
    offsets = [at]
    while (at := body.find(word, at + 1)) >= 0:
        offsets.append(at)
    return offsets


def _search_by_colons(body: bytes) -> _Offsets | None:
    """Return the same for a body with few colons; None for any other."""
    models, streams, escaped = [], [], False
    for end in _ends_of_keys(body):
        if end < 0:
            return None
        if body[end - 1] == _QUOTE:
            if body.startswith(_KEY, end - len(_KEY)):
                models.append(end - len(_KEY))
            elif body.startswith(_STREAM_KEY, end - len(_STREAM_KEY)):
                streams.append(end - len(_STREAM_KEY))
            escaped = escaped or _ESCAPED in body[max(0, end - _LONGEST_KEY) : end]
    return _Offsets(models, streams, escaped)


def _ends_of_keys(body: bytes) -> Iterator[int]:
    """Yield the end of what is before each colon; -1 in the end, as soon as a body has too many of them, or
    one that comes after too much white space."""
    seen, colon = 0, body.find(_COLON)
    while colon >= 0:
        seen += 1
        end = colon
        if body[end - 1] in _SPACES:
            start = max(0, colon - _LONGEST_KEY)
            end = start + len(body[start:colon].rstrip(_SPACES))
            if end == start:
                seen = len(body)
        if seen > _FIRST_COLONS + colon // _BYTES_PER_COLON:
            yield -1
            return
        yield end
        colon = body.find(_COLON, colon + 1)


def _model_spans(body: bytes, offsets: _Offsets) -> list[tuple[int, int]]:
    """Return start and end of each string value of the top-level key `model`.

    A few offsets are checked from their nearer side, which is short in what the SDKs write. Many of them,
    or an escaped spelling, take one pass over the whole body.
    """
    if offsets.escaped or len(offsets.models) > _FEW:
        return list(_all_models(body))
    spans = []
    for at in offsets.models:
        value = _model_at(body, at)
        if value is not None:
            spans.append(value.span(1))
    return spans


def _wants_stream(body: bytes, offsets: list[int]) -> bool:
    """Return whether one of the keys `stream` at these offsets is the body's own and true. Another may be in
    the arguments of a tool call, which are no string in Anthropic's dialect."""
    spans = []
    for at in offsets:
        value = _STREAM.match(body, at)
        if value is not None:
            spans.append(value.span())
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
    """Return the match of the top-level key `model` and its string value, if it is at this offset.

    In valid JSON the bytes `"model"` not preceded by a backslash are a whole string, since a quote inside a
    string is escaped; with a colon after it, it is a key. Its depth follows from the brackets on the shorter
    side of it, strings skipped.
    """
    value = _VALUE.match(body, at)
    if value is None or body[at - 1] == _BACKSLASH or not _is_top_level(body, at, value.end(1)):
        return None
    return value


def _is_top_level(body: bytes, start: int, end: int) -> bool:
    """Return whether a member at these offsets is the outermost object's own."""
    if start < len(body) - end:
        brace, bracket, start, end, depth = b"{", b"[", 0, start, 1
    else:
        brace, bracket, start, end, depth = b"}", b"]", end, len(body), -1
    # A single bracket on that side, in a string or not, can only be the object's own.
    if body.count(brace, start, end) == 1 and body.find(bracket, start, end) < 0:
        return True
    return sum(_STEP.get(token.group(), 0) for token in _TOKEN.finditer(body, start, end)) == depth


def _all_models(body: bytes) -> Iterator[tuple[int, int]]:
    """Find the same for any number of keys and any spelling, in one pass."""
    depth, key_ends = 0, -1
    for token in _TOKEN.finditer(body):
        text = token[1]
        if text is None:
            depth += _STEP[token[0]]
        elif depth == 1 and token.start() == key_ends:
            yield token.span()
        elif depth == 1 and (text == _KEY or (b"\\" in text and _text(text) == "model")):
            colon = _COLON_AFTER_KEY.match(body, token.end())
            key_ends = colon.end() if colon is not None else -1
