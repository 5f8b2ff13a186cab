"""How a provider is reached: addresses raced, through proxies, and what is said when it cannot be."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from gateway.conftest import StartGateway
from holdfast.calls.dialling import permitted
from holdfast.core.identity import Endpoint
from holdfast.fake_provider import ScriptedProvider
from holdfast.gateway.http1 import connect as connect_module
from holdfast.gateway.http1.connect import UpstreamAddress, connect
from holdfast.gateway.http1.errors import ConnectError, ConnectTimeout, ProxyError
from holdfast.gateway.upstream_address import address_of
from holdfast.wire.tunnels import tunnel_of

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Seen(asyncio.Protocol):
    """A protocol that keeps what it receives."""

    def __init__(self) -> None:
        self.got, self.made = b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made, self.transport = True, transport

    def data_received(self, data: bytes) -> None:
        self.got += data


async def reach(proxy_talk: Talk, scheme: str, host: str = "provider.example") -> Seen:
    """Connect through a proxy that talks like this; what the tunnel said is in `got`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await proxy_talk(reader, writer)
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    seen = Seen()
    proxy = f"{scheme}://me:p%40ss@127.0.0.1:{port}"
    try:
        await connect(
            UpstreamAddress(host, 8443, False, tunnel_of(proxy), proxy),
            lambda: seen,
            5,
            permitted,
        )
        for _ in range(100):
            if seen.got:
                break
            await asyncio.sleep(0.01)
        seen.transport.close()
    finally:
        server.close()
        await asyncio.sleep(0.01)
    return seen


def test_a_tunnel_is_asked_for_with_the_proxys_own_credentials() -> None:
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\nhello")

    assert asyncio.run(reach(proxy, "http")).got == b"hello"
    assert heads == [
        (
            b"CONNECT provider.example:8443 HTTP/1.1\r\nHost: provider.example:8443\r\n"
            b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n"
        )
    ]


def test_socks_is_given_the_name_and_resolves_it_itself() -> None:
    received: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readexactly(4))
        writer.write(b"\x05\x02")
        received.append(await reader.readexactly(9))
        writer.write(b"\x01\x00")
        received.append(await reader.readexactly(23))
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50hello")

    assert asyncio.run(reach(proxy, "socks5h")).got == b"hello"
    assert received == [
        b"\x05\x02\x00\x02",
        b"\x01\x02me\x04p@ss",
        b"\x05\x01\x00\x03\x10provider.example\x20\xfb",
    ]


@pytest.mark.parametrize(
    ("scheme", "answer", "message"),
    [
        ("http", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        ("http", b"", "closed the connection"),
        ("socks5h", b"\x05\xff", "unsupported method"),
        ("socks5h", b"\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", "connection refused"),
        ("ftp", b"", "not supported"),
    ],
)
def test_a_proxy_that_does_not_let_us_through_is_distinguished_from_the_provider(
    scheme: str, answer: bytes, message: str
) -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer[:2] if scheme.startswith("socks") else answer)
        if scheme.startswith("socks") and len(answer) > 2:
            await reader.read(100)
            writer.write(answer[2:])

    with pytest.raises(ProxyError, match=message):
        asyncio.run(reach(proxy, scheme))


@pytest.mark.parametrize("proxy", ["http://user:hunter2/x@127.0.0.1:1", "http://user:hunter2/@[::1"])
def test_the_password_of_a_proxy_that_cannot_be_read_is_not_repeated(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ProxyError, match="HTTPS_PROXY is not the URL of a proxy") as refused:
        address_of("https://provider.example")
    assert "hunter2" not in str(refused.value)


def test_the_next_address_is_tried_while_the_first_keeps_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> bool:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connected = connect_module._connected_socket

        async def slow(family: int, address: Any) -> socket.socket:
            if address[0] == "127.0.0.2":
                await asyncio.sleep(60)
            return await connected(family, address)

        async def both(*args: Any, **more: Any) -> Any:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))
                for host in ("127.0.0.2", "127.0.0.1")
            ]

        monkeypatch.setattr(connect_module, "_connected_socket", slow)
        monkeypatch.setattr(connect_module, "_HEAD_START", 0.01)
        monkeypatch.setattr(loop, "getaddrinfo", both)
        seen = Seen()
        await connect(UpstreamAddress("two.localhost", port, False), lambda: seen, 5, permitted)
        seen.transport.close()
        server.close()
        await asyncio.sleep(0.01)
        return seen.made

    assert asyncio.run(run())


def test_who_cannot_be_reached_is_said_to_be_unreached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConnectError, match="refused"):
        asyncio.run(connect(UpstreamAddress("127.0.0.1", port, False), Seen, 5, permitted))

    async def silent() -> None:
        writers: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
        try:
            await connect(
                UpstreamAddress("127.0.0.1", server.sockets[0].getsockname()[1], True),
                Seen,
                0.1,
                permitted,
            )
        finally:
            for writer in writers:
                writer.close()
            server.close()
            await asyncio.sleep(0.01)

    with pytest.raises(ConnectTimeout):
        asyncio.run(silent())


def test_a_proxy_without_a_port_is_asked_at_the_port_that_the_library_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    tunnel = address_of(Endpoint("https://api.example/v1").origin).tunnel
    assert tunnel is not None
    assert (tunnel.host, tunnel.port) == (
        "proxy.example",
        httpx2.Proxy("http://proxy.example").url.port or 80,
    )


def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example")
    monkeypatch.setenv("NO_PROXY", "near.example")
    assert address_of(Endpoint("https://api.example/v1").origin) == UpstreamAddress(
        "api.example", 443, True, tunnel_of("http://proxy.example:3128")
    )
    assert address_of(Endpoint("http://api.example:81/v1").origin) == UpstreamAddress(
        "api.example", 81, False, None, "socks5://proxy.example"
    )
    assert address_of(Endpoint("https://near.example/v1").origin) == UpstreamAddress(
        "near.example", 443, True
    )
    assert address_of(Endpoint("https://127.0.0.1:8443/v1").origin) == UpstreamAddress(
        "127.0.0.1", 8443, True
    )
    assert address_of(Endpoint("http://[::1]:81/v1").origin) == UpstreamAddress("::1", 81, False)


def test_a_trust_store_that_cannot_be_read_is_an_error_of_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable() -> ssl.SSLContext:
        raise ssl.SSLError("the trust store cannot be read")

    async def run() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            await connect(UpstreamAddress("127.0.0.1", port, True), Seen, 5, permitted)
        finally:
            server.close()

    monkeypatch.setattr(connect_module, "trust", unreadable)
    with pytest.raises(ConnectError, match="trust store"):
        asyncio.run(run())


def test_a_gateway_sends_nothing_to_an_unspecified_address_behind_a_name(
    gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`0.0.0.0` is answered by whatever listens on this machine."""
    look_up = socket.getaddrinfo

    def resolved(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host == "provider.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("0.0.0.0", port))]
        return look_up(host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with ScriptedProvider() as provider:
        config = (
            f'[provider.mine]\nurl = "http://provider.example:{provider.port}/v1"\n'
            'models = ["m"]\nkeys = ["env:KEY_A"]\n'
        )
        server = gateway(config=config, loop="asyncio")
        body = {"model": "mine/m", "messages": [{"role": "user", "content": "hi"}]}
        status, headers, answer = server.post("/v1/chat/completions", body)
        assert (status, headers["holdfast-fault"]) == (400, "endpoint_mismatch")
        assert b"leads to an address that no provider has" in answer
        assert provider.requests == []
