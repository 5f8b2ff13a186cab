"""Clients and providers that mean harm, or are only very slow: nobody else waits for them, and what they cost is bounded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CHAT = b'{"model":"mine/scripted-1","messages":[]}'
ANSWER = b'{"id":"x","object":"chat.completion","model":"scripted-1","choices":[{"message":{"content":"%b"},"finish_reason":"stop"}]}'


def answer(text: bytes = b"hi") -> bytes:
    body = ANSWER % text
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@contextmanager
def speaking(talk: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """A provider of raw bytes; `talk` has the n-th connection for itself."""
    server, over = socket.create_server(("127.0.0.1", 0)), threading.Event()
    server.settimeout(0.02)
    threads: list[threading.Thread] = []

    def carry(sock: socket.socket, number: int) -> None:
        with sock:
            sock.settimeout(5)
            try:
                talk(sock, number)
            except OSError:
                return

    def serve() -> None:
        while not over.is_set():
            try:
                sock, _ = server.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=carry, args=(sock, len(threads) + 1), daemon=True))
            threads[-1].start()

    waiting = threading.Thread(target=serve, daemon=True)
    waiting.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    finally:
        over.set()
        waiting.join()
        server.close()


def head_of(sock: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got and (piece := sock.recv(4096)):
        got += piece
    return got


def at(url: str) -> str:
    return f'[provider.mine]\nurl = "{url}"\nmodels = ["scripted-1"]\nkeys = ["env:KEY_A"]\n'


def test_a_connection_is_not_used_again_while_a_request_still_leaves_on_it(gateway: Any) -> None:
    over = threading.Event()

    def early(sock: socket.socket, number: int) -> None:
        head_of(sock)
        sock.sendall(answer(b"%d" % number))
        over.wait(5)

    with speaking(early) as url:
        plane = gateway(config=at(url))
        long = CHAT[:-2] + b'{"role":"user","content":"' + b"a" * 8_000_000 + b'"}]}'
        assert b'"1"' in plane.post("chat/completions", long)[2]
        assert b'"2"' in plane.post("chat/completions", CHAT)[2], "it waited behind the rest of the long one"
        over.set()
