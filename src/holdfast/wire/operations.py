"""The operations that a conversation asks its driver for, beside sending a request.

Each docstring says what the driver does and what it answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .ports import Open
from .request_head import OutboundRequest


class Read(NamedTuple):
    """Read from the open response. Answer with the next raw bytes of its body, with None at its end, or with
    b"" to say that time has passed."""


class Whole(NamedTuple):
    """Read the body of the open response. Answer with its pieces: all of them, and the response is closed; or
    those that first make more than `limit` bytes, and it stays open."""

    limit: int


class Close(NamedTuple):
    """Close the open response."""


class Wait(NamedTuple):
    """Let `seconds` pass."""

    seconds: float


class Perform(NamedTuple):
    """Call this, which may block. Answer with what it returns."""

    call: Callable[[], Any]


Op = Open | OutboundRequest | Read | Whole | Close | Wait | Perform
