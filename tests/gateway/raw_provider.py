"""A provider that says exactly the bytes it is told, on connections that it keeps, closes or resets."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from typing import Any, NamedTuple

RESET = struct.pack("ii", 1, 0)
EVENTS = "text/event-stream"
END = b"0\r\n\r\n"


class After(Enum):
    """What the provider does with its connection once it has said everything."""

    KEEP = auto()
    CLOSE = auto()
    RESET = auto()
    HANG = auto()


class Said(NamedTuple):
    """An answer: its bytes, in pieces that are sent apart, and what follows them."""

    pieces: Iterable[bytes]
    after: After = After.KEEP


class RawProvider:
    """Says `answer(body)` to every request."""

    def __init__(self) -> None:
        self.answer: Callable[[bytes], Said] = lambda body: Said([sized(b"{}")])
        self.requests: list[bytes] = []
        self.before_reset = 0.1
        self.over = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.root = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.url = f"{self.root}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def says(self, *pieces: bytes, after: After = After.KEEP) -> None:
        """Say the same to every request."""
        self.answer = lambda body: Said(pieces, after)

    def close(self) -> None:
        self.over.set()
        self._server.close()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as stream, contextlib.suppress(OSError):
            while (request := _read(stream)) is not None:
                self.requests.append(request[0])
                pieces, after = self.answer(request[1])
                for number, piece in enumerate(pieces):
                    if number:
                        time.sleep(0.005)
                    sock.sendall(piece)
                if after is After.HANG:
                    self.over.wait(10)
                if after is not After.KEEP:
                    if after is After.RESET:
                        time.sleep(self.before_reset)  # so that what was sent is read first
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    return


def _read(stream: Any) -> tuple[bytes, bytes] | None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return None
        head += line
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return head, stream.read(int(length or 0))


@contextlib.contextmanager
def raw_provider() -> Iterator[RawProvider]:
    provider = RawProvider()
    try:
        yield provider
    finally:
        provider.close()


def head(*lines: str, kind: str = EVENTS) -> bytes:
    lines = (*lines, f"content-type: {kind}") if kind else lines
    return ("HTTP/1.1 200 OK\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n").encode()


def sized(body: bytes, *, kind: str = "application/json", coding: str = "") -> bytes:
    lines = [f"content-length: {len(body)}"] + [f"content-encoding: {coding}"] * bool(coding)
    return head(*lines, kind=kind) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked(*parts: bytes, kind: str = EVENTS, last: bytes = END, coding: str = "") -> bytes:
    lines = ["transfer-encoding: chunked"] + [f"content-encoding: {coding}"] * bool(coding)
    return head(*lines, kind=kind) + b"".join(map(chunk, parts)) + last


def event(data: Any, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def delta(text: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return event(
        {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        | {"choices": [choice | more]}
    )


def completion(text: str = "hello") -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }
    ).encode()


DONE = event("[DONE]")
