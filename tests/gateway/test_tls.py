"""A provider behind a certificate of a private authority: reached where the authority is trusted and the name
is right, else refused with nothing sent. The certificates in `tls/` are for these tests alone and hold until
2126."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from holdfast.gateway.http1 import connect

from .conftest import StartGateway

CERTIFICATES = Path(__file__).with_name("tls")
CHAT = {"model": "mine/m", "messages": []}
ANSWER = json.dumps(
    {
        "object": "chat.completion",
        "model": "m",
        "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
    }
).encode()


class Behind:
    """What arrived: connections that got through the handshake, and requests on them."""

    def __init__(self, port: int) -> None:
        self.url, self.connections, self.requests = f"https://127.0.0.1:{port}/v1", 0, 0


@contextmanager
def behind(certificate: str) -> Iterator[Behind]:
    """A provider that speaks TLS and keeps its connections."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / certificate)
    server = socket.create_server(("127.0.0.1", 0))
    seen = Behind(server.getsockname()[1])

    def talk(plain: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as sock:
            seen.connections += 1
            got = b""
            while piece := sock.recv(65536):
                got += piece
                head, end, body = got.partition(b"\r\n\r\n")
                if end and len(body) == int(
                    head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                ):
                    got = b""
                    seen.requests += 1
                    sock.sendall(
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                        % (len(ANSWER), ANSWER)
                    )

    def serve() -> None:
        with suppress(OSError):
            while True:
                sock, _ = server.accept()
                sock.settimeout(10)
                threading.Thread(target=talk, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield seen
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.fixture(autouse=True)
def trusts_anew() -> Iterator[None]:
    connect.trust.cache_clear()
    yield
    connect.trust.cache_clear()


def config(url: str) -> str:
    return (
        f'[provider.mine]\nurl = "{url}"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n[settings]\n'
        "probe_delays = [0, 0]\n"
    )


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_private_authority_is_trusted_where_the_environment_names_it_and_connections_are_kept(
    gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "ca.pem"))
    with behind("here.pem") as provider:
        plane = gateway(config=config(provider.url), loop=loop)
        for _ in range(3):
            code, _, got = plane.post("chat/completions", CHAT)
            assert (code, got) == (200, ANSWER)
    assert (provider.connections, provider.requests) == (1, 3)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(
    ("certificate", "trusted", "message"),
    [
        ("elsewhere.pem", True, "not valid for '127.0.0.1'"),
        ("here.pem", False, "unable to get local issuer certificate"),
    ],
    ids=["another host's", "unknown authority"],
)
def test_a_certificate_that_is_not_the_providers_is_reported_and_nothing_is_sent(
    gateway: StartGateway,
    monkeypatch: pytest.MonkeyPatch,
    certificate: str,
    trusted: bool,
    message: str,
    loop: str,
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "ca.pem"))
    with behind(certificate) as provider:
        code, _, got = gateway(config=config(provider.url), loop=loop).post("chat/completions", CHAT)
    assert (code, json.loads(got)["error"]["code"]) == (400, "endpoint_mismatch")
    assert message in got.decode()
    assert "certificate verify failed" in got.decode()
    assert "is not trusted here" in got.decode()
    assert "SSL_CERT_FILE" in got.decode()
    assert provider.requests == 0
