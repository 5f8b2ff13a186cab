"""The form post of a sign-in: whatever its service answers, it ends, stays small, and follows no redirect."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from holdfast.calls import token_endpoint
from holdfast.values.secret import Secret


@contextmanager
def answering(parts: Iterable[bytes]) -> Iterator[str]:
    """The address of a service that says these bytes, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as client:
                client.recv(65_536)
                for part in parts:
                    try:
                        client.sendall(part)
                    except OSError:
                        return

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/token"


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"content-length: %d" % len(body), b"", body])


PACKED = gzip.compress(b"\0" * 10_000_000)


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (answer(b'{"a": 1}'), (200, b'{"a": 1}')),
        (answer(PACKED, b"content-encoding: gzip"), (200, PACKED)),
        (answer(b"no gzip", b"content-encoding: gzip"), (200, b"no gzip")),
        (answer(b"", b"location: http://127.0.0.1:1/", status=b"307 There"), (307, b"")),
        (answer(b" " * 70_000), (0, b"an answer that is too long")),
        (b"\0\0\r\n\r\n", (0, b"RemoteProtocolError")),
    ],
    ids=["plain", "packed", "damaged", "redirected", "long", "no-http"],
)
def test_an_answer_is_taken_as_it_came_and_never_followed(answer: bytes, result: tuple[int, bytes]) -> None:
    with answering([answer]) as url:
        given = token_endpoint.post_form(url, {"refresh_token": Secret("a-refresh-token")})
    assert given == (*result, None)
