"""Writes answers to a client as HTTP/1.1 frames them."""

from __future__ import annotations

import asyncio

from .framing import status_line
from .request_head import Head

_CLOSE = b"connection: close"
_SHORT = 32 * 1024
"""Bytes up to which it is cheaper to copy a body behind its head than to write two pieces."""


class ResponseWriter(asyncio.Protocol):
    """The writing half of a client's connection. `sized`: the answer under way has an announced length."""

    __slots__ = ("_chunked_out", "_head", "_keep", "_transport", "sized")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._head: Head | None = None
        self._keep = True
        self._chunked_out = self.sized = False

    def answer(self, status: int, lines: list[bytes], body: bytes) -> None:
        """Write a whole answer."""
        transport = self._transport
        if transport is None:
            return
        if not self._keep:
            lines.append(_CLOSE)
        lines.append(b"content-length: %d\r\n\r\n" % len(body))
        if self._head is not None and self._head.method == b"HEAD":
            body = b""
        head = status_line(status) + b"\r\n".join(lines)
        if len(body) < _SHORT:
            transport.write(head + body)
        else:
            transport.writelines((head, body))

    def begin(self, status: int, lines: list[bytes], length: int | None) -> None:
        """Write the head of an answer whose body follows in pieces.

        `length` is None where it is not known.
        """
        if self._transport is None:
            return
        self.sized, self._chunked_out = length is not None, False
        if length is not None:
            lines.append(b"content-length: %d" % length)
        elif self._head is not None and self._head.modern:
            self._chunked_out = True
            lines.append(b"transfer-encoding: chunked")
        else:
            self._keep = False
        if not self._keep:
            lines.append(_CLOSE)
        self._transport.write(b"%b%b\r\n\r\n" % (status_line(status), b"\r\n".join(lines)))

    def send(self, data: bytes) -> None:
        """Write the next piece of a body."""
        if self._transport is None or not data:
            return
        if not self._chunked_out:
            self._transport.write(data)
        elif len(data) < _SHORT:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._transport.writelines((b"%x\r\n" % len(data), data, b"\r\n"))

    def end(self) -> None:
        """Write the end of a body."""
        if self._transport is not None and self._chunked_out:
            self._transport.write(b"0\r\n\r\n")
