"""Requests that an SDK repeats by itself although their recovery ended here.

An answer tells SDKs not to repeat; an exception cannot, and an SDK that is set to retry repeats the request
with a count in its head. It gets the same exception at once, so that retries never multiply.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .requests import SdkRequest

_REMEMBERED = 30.0
"""Seconds: SDKs repeat within eight."""
_MOST = 256
_NOT_SENT = (
    "This is a repetition by the SDK itself: it was not sent, since Holdfast had tried already."
    " Make the client with max_retries=0."
)


class Repetitions:
    """The requests of one transport that ended with an exception a moment ago. Thread-safe."""

    def __init__(self) -> None:
        self._ended: dict[bytes, tuple[float, Exception]] = {}

    def check(self, request: SdkRequest) -> None:
        """Raise for a repeated request the exception with which it ended."""
        if not request.headers.client_retries or request.body is None:
            return
        ended = self._ended.get(_name(request))
        if ended is None or time.monotonic() - ended[0] > _REMEMBERED:
            return
        error = ended[1]
        text = str(error).removesuffix(f"\n{_NOT_SENT}")
        raise type(error)(f"{text}\n{_NOT_SENT}")

    def note(self, request: SdkRequest, error: Exception) -> None:
        """Remember that a request ended with this exception."""
        if request.body is None:
            return
        if len(self._ended) >= _MOST:
            self._ended.clear()
        self._ended[_name(request)] = time.monotonic(), type(error)(str(error))


def _name(request: SdkRequest) -> bytes:
    digest = blake2b(request.path.encode(), digest_size=16)
    digest.update(b"\n" + (request.body or b""))
    return digest.digest()
