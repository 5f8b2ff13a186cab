"""Recognise our own gateway in another program's files, as `holdfast connect` writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..core.addresses import is_loopback
from .addresses import OwnUrl, Where
from .keys import FoundKey

_NAMES = ("holdfast", "holdfast-responses", "holdfast-messages")
_MARKS = ("holdfast.gateway", "holdfast token", "env:HOLDFAST_")
_TOKEN_FILE = re.compile(r"file:.*/connected/[a-z-]+\.token")


def is_our_gateway(called: str, where: Where, keys: Iterable[FoundKey]) -> bool:
    """Return whether a provider of another program is our gateway: by its name on this machine, or by a token
    of ours in the place of its key."""
    if not isinstance(where, OwnUrl):
        return False
    if called in _NAMES and is_loopback(where.url):
        return True
    return any(_is_our_token(key.ref) for key in keys)


def _is_our_token(ref: str) -> bool:
    if any(mark in ref for mark in _MARKS):
        return True
    return _TOKEN_FILE.fullmatch(ref) is not None
