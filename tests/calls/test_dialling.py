"""Where keys are dialled to: what a name resolves to is judged, and it alone is connected to. Every face asks
the same rule."""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from holdfast.calls import dialling
from holdfast.calls.api_calls import Checked, call_control_plane, check_call, list_models
from holdfast.calls.dialling import permitted
from holdfast.calls.reachability import reachable
from holdfast.calls.token_endpoint import post_form
from holdfast.core.identity import Auth, Connection, Dialect, Endpoint, Provider, ProviderName
from holdfast.fake_provider import ScriptedProvider
from holdfast.gateway.http1.connect import connect
from holdfast.gateway.http1.errors import UpstreamError
from holdfast.gateway.upstream_address import address_of
from holdfast.sdk.httpx_compat import ChannelTable, HttpxAdapter
from holdfast.wire.ports import Open

_ASKED_OF_THE_SYSTEM = socket.getaddrinfo
NAME = "provider.example"
TIMES = dict.fromkeys(("connect", "read", "write", "pool"), 5.0)


def send(url: str) -> Open:
    head = [(b"host", NAME.encode()), (b"authorization", b"Bearer sk-not-a-real-key-0000")]
    return Open(Endpoint(url), "GET", f"{url}/models", head, b"", dict(TIMES))


def blocking(module: str, url: str) -> bool:
    adapter = HttpxAdapter(importlib.import_module(module))
    table = ChannelTable(adapter, asynchronous=False)
    with ExitStack() as closing:
        closing.callback(lambda: [pool.close() for pool in table.drain()])
        channel = table.to(Endpoint(url))
        try:
            channel.opened(channel.pool.handle_request(channel.request(send(url)))).stream.close()
        except adapter.broken:
            return False
        return True


async def _asynchronous(module: str, url: str) -> bool:
    adapter = HttpxAdapter(importlib.import_module(module))
    table = ChannelTable(adapter, asynchronous=True)
    channel = table.to(Endpoint(url))
    try:
        response = await channel.pool.handle_async_request(channel.request(send(url)))
        await channel.opened(response).stream.aclose()
    except adapter.broken:
        return False
    finally:
        for pool in table.drain():
            await pool.aclose()
    return True


def connection_to(url: str) -> Connection:
    entry = Provider(ProviderName("mine"), (Endpoint(url, auth=Auth.NONE),))
    return Connection(entry, Dialect.OPENAI_CHAT, None, "m")


def through_the_gateway(url: str) -> bool:
    """Whether the gateway connects to a provider."""

    async def dial() -> None:
        made: list[asyncio.BaseTransport] = []

        class Seen(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                made.append(transport)

        await connect(address_of(Endpoint(url).origin), Seen, 5, permitted)
        made[0].close()
        await asyncio.sleep(0)

    try:
        asyncio.run(dial())
    except UpstreamError:
        return False
    return True


def on_trio(url: str) -> bool:
    return bool(importlib.import_module("trio").run(_asynchronous, "httpx2", url))


FACES: dict[str, Callable[[str], bool]] = {
    "library": lambda url: blocking("httpx2", url),
    "library-legacy": lambda url: blocking("httpx", url),
    "library-async": lambda url: asyncio.run(_asynchronous("httpx2", url)),
    "library-async-legacy": lambda url: asyncio.run(_asynchronous("httpx", url)),
    "library-trio": on_trio,
    "gateway": through_the_gateway,
    "models": lambda url: isinstance(list_models(connection_to(url), None), dict),
    "check": lambda url: isinstance(check_call(connection_to(url), None), Checked),
    "control-plane": lambda url: call_control_plane(connection_to(url), None, "GET", "/models").status == 200,
    "token-endpoint": lambda url: post_form(url, {})[0] != 0,
    "reachability": lambda url: reachable(Endpoint(url)),
}


class Resolver:
    """What the name resolves to, one answer for each time that it is asked; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = [*answers], 0

    def __call__(self, host: Any, port: Any, *args: Any, **more: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else str(host)
        if text != NAME:
            return _ASKED_OF_THE_SYSTEM(text, port, *args, **{**more, "flags": socket.AI_NUMERICHOST})
        addresses = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, int(port)),
            )
            for address in addresses
        ]


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(models=["m"]) as provider:
        yield provider


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> Resolver:
    resolver = Resolver(*answers)
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    return resolver


# Of these the first two would be answered by whatever listens on this machine.
@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::ffff:0.0.0.0", "169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "fe80::1%1"],
)
@pytest.mark.parametrize("face", FACES)
def test_no_face_dials_a_metadata_link_local_or_unspecified_address_behind_a_name(
    face: str, address: str, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = resolving(monkeypatch, [address])
    connected: list[Any] = []
    for way in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, way, lambda _, where: connected.append(where))
    assert not FACES[face](f"http://{NAME}:{provider.port}/v1")
    assert (resolver.asked, connected, provider.requests) == (1, [], [])


@pytest.mark.parametrize("face", FACES)
def test_the_address_that_was_judged_is_the_one_that_is_dialled(
    face: str, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name server says something else when it is asked again."""
    resolver = resolving(monkeypatch, ["127.0.0.1"], ["0.0.0.0"])
    assert FACES[face](f"http://{NAME}:{provider.port}/v1")
    assert resolver.asked == 1


@pytest.mark.parametrize("face", FACES)
def test_of_several_addresses_those_that_are_refused_are_left_out(
    face: str, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["fe80::1%1", "169.254.169.254", "127.0.0.2", "127.0.0.1"])
    dead = _closed_on("127.0.0.2", provider.port)
    with dead:
        assert FACES[face](f"http://{NAME}:{provider.port}/v1")


def _closed_on(host: str, port: int) -> socket.socket:
    """A socket that takes the address and accepts nothing: connections to it are refused."""
    taken = socket.socket()
    taken.bind((host, port))
    return taken


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.1", "127.0.0.1", "localhost"])
@pytest.mark.parametrize("face", FACES)
def test_this_machine_in_any_spelling_is_reached_without_the_environments_proxy(
    face: str, host: str, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **more: (asked if host == "localhost" else _ASKED_OF_THE_SYSTEM)(
            host, *args, **more
        ),
    )
    with ScriptedProvider(models=["m"]) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.root)
        assert FACES[face](f"http://{host}:{provider.port}/v1")
        assert proxy.requests == []


@pytest.mark.parametrize("face", FACES)
def test_a_name_for_this_machine_that_leads_elsewhere_is_not_dialled(
    face: str, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", provider.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **more: elsewhere)
    connected: list[Any] = []
    for way in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, way, lambda _, where: connected.append(where))
    assert not FACES[face](f"http://printer.localhost:{provider.port}/v1")
    assert connected == []


def test_a_slow_address_does_not_hold_up_the_next_one(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.3", "127.0.0.1"])
    monkeypatch.setattr(dialling, "_HEAD_START", 0.01)
    full = _closed_on("127.0.0.3", provider.port)
    full.listen(0)
    with full, socket.create_connection(("127.0.0.3", provider.port)):
        assert asyncio.run(_asynchronous("httpx2", f"http://{NAME}:{provider.port}/v1"))
