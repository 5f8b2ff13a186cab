"""Through an HTTP proxy a key goes in a tunnel, also to an http:// endpoint: the proxy reads no request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from calls.test_dialling import FACES, NAME
from holdfast.fake_provider import ScriptedProvider
from holdfast.wire.tunnels import Tunnel, tunnel_of

ASKING = [face for face in FACES if face not in ("gateway", "reachability")]


class Proxy:
    """An HTTP proxy that opens tunnels to a port of this machine, whatever name it is given, or answers with
    `refuses`."""

    def __init__(self, port: int) -> None:
        self.heads: list[bytes] = []
        self.refuses = b""
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = lines.readline()
                if not line:
                    return
                head += line
            self.heads.append(head)
            if self.refuses or not head.startswith(b"CONNECT"):
                client.sendall(self.refuses or b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(models=["m"]) as provider:
        yield provider


@pytest.fixture
def proxy(provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with closing(Proxy(provider.port)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        yield proxy


@pytest.mark.parametrize("face", ASKING)
def test_no_proxy_reads_the_key_of_an_unencrypted_endpoint(
    face: str, provider: ScriptedProvider, proxy: Proxy
) -> None:
    assert FACES[face](f"http://{NAME}:{provider.port}/v1")
    [head] = proxy.heads
    assert (
        head
        == (
            f"CONNECT {NAME}:{provider.port} HTTP/1.1\r\nHost: {NAME}:{provider.port}\r\n"
            "Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n"
        ).encode()
    )
    [seen] = provider.requests
    assert "proxy-authorization" not in seen.headers


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",  # and no end of the head
        b"HTTP/1.1",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 20_000,
    ],
    ids=["refused", "cut", "cut-earlier", "no-http", "endless"],
)
@pytest.mark.parametrize("face", ["library", "library-async", "library-trio", "models"])
def test_nothing_is_sent_through_a_proxy_that_gives_no_tunnel(
    face: str, answer: bytes, provider: ScriptedProvider, proxy: Proxy
) -> None:
    proxy.refuses = answer
    assert not FACES[face](f"http://{NAME}:{provider.port}/v1")
    assert provider.requests == []


@pytest.mark.parametrize("face", ["library", "library-async", "library-trio", "models"])
def test_without_the_proxy_that_is_named_nothing_is_sent(
    face: str, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    assert not FACES[face](f"http://{NAME}:{provider.port}/v1")
    assert provider.requests == []


@pytest.mark.parametrize(
    ("proxy", "tunnel"),
    [
        ("http://proxy.example:3128", Tunnel("proxy.example", 3128, False, b"")),
        ("http://proxy.example", Tunnel("proxy.example", 80, False, b"")),
        ("https://proxy.example", Tunnel("proxy.example", 443, True, b"")),
        ("http://[::1]:1", Tunnel("::1", 1, False, b"")),
        ("http://me:p%40ss@p:1", Tunnel("p", 1, False, b"Basic bWU6cEBzcw==")),
        ("http://me@p:1", Tunnel("p", 1, False, b"Basic bWU6")),
        ("socks5://proxy.example", None),
    ],
)
def test_a_proxys_url_says_how_a_tunnel_through_it_is_asked_for(proxy: str, tunnel: Tunnel | None) -> None:
    assert tunnel_of(proxy) == tunnel


def test_a_tunnel_names_an_ipv6_address_in_brackets() -> None:
    head = Tunnel("p", 1, False, b"").request("2001:db8::1", 443)
    assert head == b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 299\r\nx: y\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\n\r\n", "the proxy refused: 302 Found"),
        (b"HTTP/1.1 200 OK\r\n", "the proxy closed the connection before it answered"),
        (b"", "the proxy closed the connection before it answered"),
    ],
)
def test_only_a_complete_and_good_answer_of_a_proxy_opens_a_tunnel(head: bytes, why: str) -> None:
    assert Tunnel("p", 1, False, b"").refusal(head) == why
