"""What we ask on our own is over in time, also where each single byte comes in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.calls.api_calls import call_control_plane
from holdfast.calls.token_endpoint import post_form
from holdfast.core.identity import Auth, Connection, Dialect, Endpoint, Provider, ProviderName

STARTS = {
    "body": b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n",
    "open body": b"HTTP/1.1 200 OK\r\n\r\n",
    "head": b"HTTP/1.1 200 OK\r\nx-never-ends: ",
}


@contextmanager
def dripping(start: bytes) -> Iterator[str]:
    """The address of a service that answers with this and a byte each 20 ms until its client leaves."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        left = threading.Event()

        def serve() -> None:
            with server.accept()[0] as client:
                client.recv(65_536)
                client.sendall(start)
                while not left.wait(0.02):
                    try:
                        client.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        left.set()
        thread.join()


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_sign_in_s_answer_that_drips_for_ever_is_given_up(start: bytes) -> None:
    with dripping(start) as url:
        assert post_form(url, {}, seconds=0.2)[:2] == (0, b"an answer that does not end")


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_an_answer_that_drips_for_ever_is_a_time_out(start: bytes) -> None:
    with dripping(start) as url:
        connection = Connection(
            Provider(ProviderName("drip"), (Endpoint(url, auth=Auth.NONE),)), Dialect.OPENAI_CHAT, None, "m"
        )
        reply = call_control_plane(connection, None, "GET", "/", seconds=0.2)
    assert (reply.status, reply.body.partition(b":")[0]) == (None, b"ReadTimeout")
