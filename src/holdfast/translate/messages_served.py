"""Tells in words what tools at Anthropic were asked and gave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .fields import Fields

NATIVE = (
    "`holdfast models --harness claude` lists models of providers that speak anthropic-messages themselves."
)
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_OPAQUE_OUTPUT = "encrypted_stdout"
_NOT_TOLD = frozenset({"cache_control", "caller", "signature"})


def json_text(block: Fields, value: object) -> str:
    """Return the JSON of a value that came as JSON, in a member of `block`."""
    try:
        return _encoded(value)
    except ValueError:
        block.refuse("", "holds a number that JSON does not have")


def readable(block: Fields, content: object) -> str:
    """Return what a result says, without what only Anthropic can read. Raises Untranslatable if nothing is
    left."""
    if isinstance(content, str):
        return content
    if not content:
        return "nothing"
    clear = _readable(content, block)
    if not clear or (isinstance(clear, dict) and clear.keys() <= {"type"}):
        block.refuse("content", "only Anthropic can read it", NATIVE)
    return json_text(block, clear)


def _readable(value: Any, block: Fields) -> Any:
    if isinstance(value, list):
        return [_readable(item, block) for item in value]
    if not isinstance(value, Mapping):
        return value
    if _OPAQUE_OUTPUT in value or value.get("type") == "base64":
        block.refuse("content", "it holds what cannot be put into words", NATIVE)
    return {
        name: _readable(inner, block)
        for name, inner in value.items()
        if name not in _NOT_TOLD and not name.startswith("encrypted_")
    }
