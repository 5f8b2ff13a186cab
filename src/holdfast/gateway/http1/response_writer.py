"""Writes answers to a client as HTTP/1.1 frames them."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from email.utils import formatdate
from functools import lru_cache

from .framing import status_line
from .request_head import Head

_CLOSE = b"connection: close"
_RESET = struct.pack("ii", 1, 0)
"""To linger for 0 seconds: what is unsent is dropped, and the other side sees a reset."""
_SHORT = 32 * 1024
"""Bytes up to which it is cheaper to copy a body behind its head than to write two pieces."""
_WITHOUT_LENGTH = frozenset({204, 304})


@lru_cache(maxsize=2)
def _date_line(now: int) -> bytes:
    """Return the header line with this time, in epoch seconds (RFC 9110 6.6.1)."""
    return b"date: %b\r\n" % formatdate(now, usegmt=True).encode()


def _head_of(status: int, lines: list[bytes]) -> bytes:
    """Return a head without its blank line, with the date unless the provider gave one."""
    head = status_line(status) + b"\r\n".join([*lines, b""])
    if head.lower().find(b"\r\ndate:") >= 0:
        return head
    return head + _date_line(int(time.time()))


class ResponseWriter(asyncio.Protocol):
    """The writing half of a client's connection."""

    __slots__ = ("_chunked_out", "_head", "_keep", "_silent", "_transport", "_unframed")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._head: Head | None = None
        self._keep = True
        self._chunked_out = self._unframed = self._silent = False

    @property
    def local_address(self) -> tuple[str, int]:
        """Return the address of this machine to which the client is connected; without one ("", 0)."""
        if self._transport is None:
            return "", 0
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    def hold_unsent(self, most: int) -> None:
        """Hold up to `most` bytes that a slow reader has not taken, before it is waited for."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(most)

    def answer(self, status: int, lines: list[bytes], body: bytes) -> None:
        """Write a whole answer."""
        transport = self._transport
        if transport is None:
            return
        if not self._keep:
            lines.append(_CLOSE)
        if status not in _WITHOUT_LENGTH:  # RFC 9110 8.6
            lines.append(b"content-length: %d" % len(body))
        if self._head is not None and self._head.method == b"HEAD":
            body = b""
        head = _head_of(status, lines) + b"\r\n"
        if len(body) < _SHORT:
            transport.write(head + body)
        else:
            transport.writelines((head, body))

    def answer_plainly(self, lines: bytes, body: bytes, *, dated: bool) -> None:
        """Write a whole good answer to a request that is no HEAD. `lines` are all but that of its length,
        each behind a line end; it is `dated` if one of them is the date."""
        if self._transport is None:
            return
        if not self._keep:
            lines += b"\r\n" + _CLOSE
        date = b"" if dated else _date_line(int(time.time()))
        head = b"HTTP/1.1 200 OK%b\r\ncontent-length: %d\r\n%b\r\n%b"
        self._transport.write(head % (lines, len(body), date, body))

    def begin(self, status: int, lines: list[bytes]) -> None:
        """Write the head of an answer whose body follows in pieces.

        It ends with its last chunk, or with the connection where the client knows no chunks.
        """
        if self._transport is None:
            return
        has_body = status not in _WITHOUT_LENGTH
        self._silent = self._head is not None and self._head.method == b"HEAD"
        self._chunked_out = has_body and self._head is not None and self._head.modern
        if self._chunked_out:
            lines.append(b"transfer-encoding: chunked")
        elif has_body and not self._silent:
            self._unframed, self._keep = True, False
        if not self._keep:
            lines.append(_CLOSE)
        self._transport.write(_head_of(status, lines) + b"\r\n")

    def send(self, data: bytes) -> None:
        """Write the next piece of a body."""
        if self._transport is None or not data or self._silent:
            return
        if not self._chunked_out:
            self._transport.write(data)
        elif len(data) < _SHORT:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._transport.writelines((b"%x\r\n" % len(data), data, b"\r\n"))

    def end(self) -> None:
        """Write the end of a body."""
        self._unframed = False
        if self._transport is not None and self._chunked_out and not self._silent:
            self._transport.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Close in the middle, so that the client does not take what was sent for a whole answer."""
        self._keep = False
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if self._unframed and sock is not None:
            # An orderly close would be the end of this body, so the connection is reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()
