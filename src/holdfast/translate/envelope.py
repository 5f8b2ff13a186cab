"""Carries opaque values through a caller: sealed where the caller's dialect has a place that it echoes, and
opened again when they come back.

A sealed value says by a keyed hash which endpoint and model wrote it, so that it is given to no other; the
caller learns neither from it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from binascii import Error as NotBase64

from . import SEALED as PREFIX
from .form import Opaque, Seal

_MARK, _CHECK = 16, 8


class Sealer:
    """Seals and opens by one secret of the home (`key`)."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes = b"") -> None:
        self._key = key

    def mark(self, origin: str, model: str) -> str:
        """Return the mark of a model at an endpoint's origin."""
        return self._hash(f"{origin}\n{model}")[:_MARK]

    def seal(self, seal: Seal) -> str:
        """Return the text that a caller is to echo."""
        values = {"h": seal.mark, "k": seal.kind.value}
        if seal.value != "":
            values["v"] = seal.value
        if seal.item:
            values["i"] = seal.item
        text = (
            base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")
        )
        return f"{PREFIX}{text}.{self._hash(text)[:_CHECK]}"

    def open(self, text: str) -> Seal | None:
        """Return what a sealed text holds; None if it is not sealed, or not by this secret."""
        if not text.startswith(PREFIX) or not text.isascii():
            return None
        inner, _, check = text[len(PREFIX) :].partition(".")
        if not hmac.compare_digest(check.encode(), self._hash(inner)[:_CHECK].encode()):
            return None
        try:
            values = json.loads(base64.urlsafe_b64decode(inner + "=" * (-len(inner) % 4)))
            return Seal(Opaque(values["k"]), values.get("v", ""), str(values["h"]), str(values.get("i", "")))
        except (ValueError, KeyError, TypeError, AttributeError, NotBase64):
            return None

    def _hash(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def is_sealed(text: object) -> bool:
    """Return whether a text was sealed by us, by this home or by another."""
    return isinstance(text, str) and text.startswith(PREFIX)
