"""A gateway for tests: the data plane in a thread of its own, on an ephemeral port, over a home of the test.

    def test_…(gateway: StartGateway, provider: ScriptedProvider) -> None:
        plane = gateway(provider)                                 # a provider entry `mine` at the scripted
        provider, keys A and B
        plane = gateway(config=TOML, bounds=Bounds(idle=0.2))     # or a configuration of the test's own;
        times as short as it likes
        openai.OpenAI(base_url=plane.url, api_key=plane.token)    # `plane.root` for the Anthropic SDK
        status, headers, body = plane.post("chat/completions", {"model": "mine/scripted-1", "messages": []})
        raw = plane.raw(b"POST /v1/… HTTP/1.1\\r\\n…")              # the bytes that came back until the
        connection closed or fell silent
        plane.done[-1].outcome                                     # what metrics were told, one entry a
                                                                   request
        plane.home, plane.holdfast                                 # its home, and a Holdfast over the same
        engine (journal, sessions)

With `loop="asyncio"` it runs on the standard library's event loop instead of uvloop. Everything ends with the
test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

import holdfast
from holdfast.core.errors import StoreError
from holdfast.core.identity import Pin
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.limits import Bounds
from holdfast.gateway.ports import AdminContext, FinishedRequest
from holdfast.store.token import Token
from holdfast.testing import ScriptedProvider
from off_the_loop import off_the_loop

T = TypeVar("T")
TOKEN = "hf-test-0123456789"
BOUND = "hf-bound-0123456789"
QUICK = Bounds(look_every=0.02)
_FIRST_BYTE = 5.0
"""Seconds until an answer must begin."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A copy of what the metrics counted."""

    route: str
    status: int
    size: int
    chunks: int
    streamed: bool
    usage: dict[str, int]
    outcome: Any
    session: str
    client_left: bool
    code: str


class Books:
    """Tokens, metrics and admin routes that do nothing."""

    OPEN = frozenset({"/health/live"})

    def __init__(self) -> None:
        self.tokens = {
            TOKEN.encode(): Token("1", "", "test"),
            BOUND.encode(): Token("2", "", "bound", session="theirs"),
        }
        self.done: list[Finished] = []

    def check(self, value: bytes) -> Token | None:
        return self.tokens.get(value)

    may_have_changed = False

    def look(self) -> None:
        """There are no others."""

    def is_unchanged(self, token: Token) -> bool:
        return token in self.tokens.values()

    def ids(self) -> frozenset[str]:
        return frozenset(token.id for token in [*self.tokens.values()])

    def finished(self, done: FinishedRequest) -> None:
        self.done.append(
            Finished(
                done.route,
                done.status,
                done.size,
                done.chunks,
                done.streamed,
                dict(done.usage),
                done.outcome,
                done.session,
                done.client_left,
                done.code,
            )
        )

    def serves(self, path: str) -> bool:
        return path in ("/health/live", "/boom", "/away", "/late")

    def answer(self, gateway: AdminContext, path: str, query: str, headers: Any, token: Token | None) -> Any:
        if path == "/health/live":
            return 200, [(b"content-type", b"text/plain")], b"live"
        if path == "/boom":
            raise RuntimeError("a side route that fails")
        if path == "/away":
            return self._away()
        return self._late() if path == "/late" else None

    async def _away(self) -> Any:
        raise StoreError("the store is away", next_step="holdfast doctor")

    async def _late(self) -> Any:
        await asyncio.sleep(0)
        return 200, [(b"content-type", b"text/plain")], b"late"


class Running:
    """A gateway that runs in its thread."""

    def __init__(
        self, home: Path, bounds: Bounds, strict: Pin | None, loop: str, *, far: bool = False
    ) -> None:
        self.store = off_the_loop(home, far=far)
        self.holdfast = holdfast.open(home, store=self.store)
        self.books = Books()
        if strict is not None:
            self.books.tokens[TOKEN.encode()] = Token("1", "", "test", pins=(strict,), strict=True)
        self.token, self.home = TOKEN, home
        self.plane = Gateway(self.holdfast.engine, self.books, self.books, self.books, bounds=bounds)
        self._loop = uvloop.new_event_loop() if loop == "uvloop" else asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()
        self.call(self.plane.serve())
        self.port = self.plane.addresses[0][1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1"

    @property
    def done(self) -> list[Finished]:
        """Return what the metrics counted so far, after a moment for what is on its way."""
        deadline = time.monotonic() + 2.0
        while not self.books.done and time.monotonic() < deadline:
            time.sleep(0.002)
        return self.books.done

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the gateway's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def connect(self) -> socket.socket:
        """A connection of a client."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def raw(self, data: bytes, *, quiet: float = 5.0) -> bytes:
        """Send bytes, and return the answer: what came until the gateway closed, or was silent for `quiet`
        seconds after the first of it."""
        with self.connect() as sock:
            sock.sendall(data)
            return read_all(sock, quiet)

    def post(self, route: str, body: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """One request; header names with _ for -."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return parse(self.raw(request(route, text, connection="close", **headers)))

    def close(self) -> None:
        self.call(self.plane.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.holdfast.close()


def request(route: str, body: bytes, *, method: str = "POST", **headers: str) -> bytes:
    """A request as bytes, with the token unless `authorization` is given."""
    given = {
        "host": "localhost",
        "authorization": f"Bearer {TOKEN}",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    path = route if route.startswith("/") else f"/v1/{route}"
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def read_all(sock: socket.socket, quiet: float = 5.0) -> bytes:
    """Return what comes until the other side closes or is silent for `quiet` seconds. Its first byte is
    waited for as long as a machine with much to do may need."""
    sock.settimeout(max(quiet, _FIRST_BYTE))
    got = b""
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while piece := sock.recv(65536):
            got += piece
            sock.settimeout(quiet)
    return got


def is_silent(sock: socket.socket, seconds: float) -> bool:
    """Return whether nothing comes for a while, from a side that has not closed."""
    return not select.select([sock], [], [], seconds)[0]


def parse(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one whole answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = unchunked(body)
    return int(first.split(" ")[1]), headers, body


def unchunked(data: bytes) -> bytes:
    """The body that chunks carry; raises where they do not end."""
    out = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            return out
        out, data = out + data[:size], data[size + 2 :]


StartGateway = Callable[..., Running]


@pytest.fixture
def gateway(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartGateway]:
    """Starts gateways over the test's home."""
    running: list[Running] = []
    monkeypatch.setenv("KEY_A", "sk-aaaa-0123456789abcdef")
    monkeypatch.setenv("KEY_B", "sk-bbbb-0123456789abcdef")

    def start(
        *providers: ScriptedProvider,
        config: str = "",
        bounds: Bounds = QUICK,
        strict: str = "",
        loop: str = "uvloop",
    ) -> Running:
        text = config or "\n".join(
            entry(name, server) for name, server in zip(("mine", "other"), providers, strict=False)
        )
        (home / "holdfast.toml").write_text(
            text + "\n[settings]\nprobe_delays = [0, 0]\n" * (not config), "utf-8"
        )
        running.append(Running(home, bounds, Pin.parse(strict) if strict else None, loop))
        return running[-1]

    yield start
    for server in running:
        server.close()


def entry(name: str, provider: ScriptedProvider) -> str:
    """The entry of a provider that speaks all dialects."""
    return (
        f'[provider.{name}]\nmodels = ["scripted-1", "{name}-only"]\nkeys = ["env:KEY_A", "env:KEY_B"]\n'
        f'endpoints = {{ openai-chat = "{provider.url}", openai-responses = "{provider.url}", '
        f'anthropic-messages = "{provider.root}" }}\n'
    )
