"""A key is written into a request when the request is written to its connection, and not before.

Until then a mark stands for it, so that no variable, no request object and no frame of a traceback holds a
header with the key: crash reports, `pytest -l` and the like print all of them.
"""

from __future__ import annotations

from contextvars import ContextVar
from secrets import token_hex

from ..values.secret import Secret
from .ports import RawHeaders

KEY_MARK = b"holdfast-key-" + token_hex(16).encode("ascii")
"""Stands for the key in the headers of a request that has not been written yet. Nobody else can know it."""
_sending: ContextVar[Secret | None] = ContextVar("holdfast_key", default=None)
"""The key of the request that this thread or task sends."""


def revealed(secret: Secret) -> str:
    """Return the value of a key that is being written into a request."""
    return secret.reveal()


def send_with(secret: Secret | None) -> None:
    """Let the request that this thread or task writes next carry `secret`; None: no key."""
    _sending.set(secret)


def with_key(head: bytes) -> bytes:
    """Return the first bytes of a request as they are written to its connection: with the key."""
    secret = _sending.get()
    if secret is None:
        return head
    return head.replace(KEY_MARK, revealed(secret).encode("latin-1"), 1)


def headers_with_key(headers: RawHeaders, secret: Secret | None) -> RawHeaders:
    """Return the headers of a request with the key, for a client that writes requests itself."""
    if secret is None:
        return headers
    key = revealed(secret).encode("latin-1")
    return [(name, value.replace(KEY_MARK, key)) for name, value in headers]
