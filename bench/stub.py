"""A provider in a process of its own that answers at once: 1 KB of JSON, or a stream of 50 chunks where the
request asks for one.

It reads as little of a request as possible, so that nearly all of the measured time is the client's.
`python -m bench.stub` prints its port.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .measure import on_core

CHUNKS = 50
MODEL = "bench-1"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": ?true')


def _answer() -> bytes:
    message = {"role": "assistant", "content": "All right, here is what I found. " * 20}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 200, "completion_tokens": 160, "total_tokens": 360}
    body = json.dumps(
        {
            "id": "c-1",
            "object": "chat.completion",
            "created": 1,
            "model": MODEL,
            "choices": choices,
            "usage": usage,
        }
    ).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: r-1\r\n"
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def _events() -> Iterator[bytes]:
    for number in range(CHUNKS):
        delta, reason = {"content": "and so on "}, None
        if number == 0:
            delta = {"role": "assistant", "content": "Hello "}
        if number == CHUNKS - 1:
            reason = "stop"
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {
            "id": "c-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": MODEL,
            "choices": [choice],
        }
        yield b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def _stream() -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in _events()) + b"0\r\n\r\n"


_WHOLE, _PIECES = _answer(), _stream()


class _Provider(asyncio.Protocol):
    """A connection, kept alive, with one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parts: list[bytes] = []
        self._missing = 0

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return
        request = b"".join(self._parts)
        end = request.find(b"\r\n\r\n")
        if end < 0:
            return
        self._missing = end + 4 - len(request)
        length = _LENGTH.search(request, 0, end)
        if length:
            self._missing += int(length[1])
        if self._missing > 0:
            return
        self._parts, self._missing = [], 0
        if _STREAM.search(request, end):
            self._transport.write(_PIECES)
        else:
            self._transport.write(_WHOLE)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """Run a stub and yield its base URL."""
    with subprocess.Popen([sys.executable, "-m", "bench.stub"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
        finally:
            child.terminate()


if __name__ == "__main__":
    try:
        with on_core(-1):
            asyncio.run(_serve())
    except KeyboardInterrupt:
        sys.exit(130)
