"""Reads and writes the JSON of translated messages: by msgspec where it is installed, several times as fast,
else by the standard library."""

from __future__ import annotations

import json
from typing import Any

try:
    import msgspec
except ImportError:
    msgspec = None  # type: ignore[assignment]


def _standard_loads(data: bytes) -> Any:
    return json.loads(data)


def _standard_dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _quick_loads(data: bytes) -> Any:
    try:
        return _decode(data)
    except (ValueError, RecursionError):
        return json.loads(data)  # lone surrogates, NaN: what some servers send all the same


def _quick_dumps(value: Any) -> bytes:
    try:
        encoded: bytes = _encode(value)
    except (ValueError, OverflowError, TypeError):
        encoded = json.dumps(value, separators=(",", ":")).encode()
    return encoded


loads, dumps = _standard_loads, _standard_dumps
if msgspec is not None:
    _decode, _encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    loads, dumps = _quick_loads, _quick_dumps
