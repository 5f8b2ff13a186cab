"""What a caller costs who has shown no token: no body, few connections, little memory, half a minute."""

from __future__ import annotations

import socket
import subprocess
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.conftest import TOKEN, Books, parse, read_all, request
from gateway.served import eventually, serving, write_config
from gateway.served import provider as provider_entry
from gateway.test_malformed import Wire as OutWire
from holdfast.gateway.admin.routes import AdminRoutes
from holdfast.gateway.admission import AdmissionControl
from holdfast.gateway.handler import Handler
from holdfast.gateway.header_rules import REQUEST_NAMES
from holdfast.gateway.http1.limits import HttpLimits
from holdfast.gateway.http1.request_head import Head
from holdfast.gateway.http1.server_connection import ServerConnection
from holdfast.gateway.http1.turns import Turns
from holdfast.gateway.http1.unauthenticated import Unauthenticated
from holdfast.gateway.limits import Bounds
from holdfast.testing import ScriptedProvider

LIMITS = HttpLimits()
LIVE = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n"
WITH_TOKEN = LIVE.replace(b"\r\n\r\n", b"\r\nauthorization: Bearer %b\r\n\r\n" % TOKEN.encode())
NO_TOKEN = {"none": "", "a wrong one": "Bearer hf-wrong", "another scheme": f"Basic {TOKEN}"}
BODIES = {
    "with a length": b"content-length: 1\r\n",
    "with the longest length": b"content-length: %d\r\n" % LIMITS.body_bytes,
    "in chunks": b"transfer-encoding: chunked\r\n",
}


def _takes_none(connection: object, data: bytes) -> bool:
    """Take no request for one like that before it."""
    return False


class Clock:
    """A loop whose time the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.later: list[Callable[[], object]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, call: Callable[..., object], *arguments: object) -> None:
        self.later.append(lambda: call(*arguments))


class Wire(OutWire):
    """A transport on a loopback address. `high_water`: the unsent bytes that it holds before it pauses us."""

    high_water = 0

    def set_write_buffer_limits(self, high: int) -> None:
        self.high_water = high

    def get_extra_info(self, name: str) -> Any:
        return {"sockname": ("127.0.0.1", 4141)}.get(name)


class Server:
    """A gateway that listens nowhere (`http1.ports.Server`)."""

    draining = retired = False
    header_names = REQUEST_NAMES
    proof_key = b""

    def __init__(self, **limits: Any) -> None:
        self.limits, self.loop, books = HttpLimits(**limits), Clock(), Books()
        self.unauthenticated = Unauthenticated(self.limits)
        self.turns: Any = Turns(self.loop, self.loop.time)  # type: ignore[arg-type]
        self.metrics = self.tokens = books
        self.handler = Handler(self, self.admission(books.OPEN), books, _takes_none)  # type: ignore[arg-type]

    def admission(self, paths: frozenset[str]) -> AdmissionControl:
        return AdmissionControl(self.tokens, paths, set(), self.limits)

    def opened(self, connection: Any) -> None:
        self.unauthenticated.add(connection, self.loop.time())

    def closed(self, connection: Any) -> None:
        self.unauthenticated.discard(connection)

    def connect(self) -> Client:
        return Client(self)

    def look(self, now: float) -> None:
        self.loop.now = now
        self.unauthenticated.end_overdue(now)


class Client(ServerConnection):
    """A connection of a client that is on no network."""

    __slots__ = ("wire",)

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.wire = Wire()
        self.connection_made(self.wire)  # type: ignore[arg-type]

    def asks(self, data: bytes) -> bytes:
        """Return what is answered to bytes of the client."""
        before = len(self.wire.out)
        self.data_received(data)
        return self.wire.out[before:]


@pytest.fixture
def server() -> Server:
    return Server()


def head(path: str, lines: bytes, *, method: bytes = b"GET") -> bytes:
    return b"%b %b HTTP/1.1\r\nhost: localhost\r\n%b\r\n" % (method, path.encode(), lines)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("authorization", NO_TOKEN.values(), ids=NO_TOKEN)
@pytest.mark.parametrize("path", sorted(AdminRoutes.OPEN))
def test_no_open_route_waits_for_a_body_without_a_token(
    server: Server, path: str, authorization: str, body: bytes
) -> None:
    admission = server.admission(AdminRoutes.OPEN)
    lines = body + f"authorization: {authorization}\r\n".encode() * bool(authorization)
    for method in (b"GET", b"HEAD", b"POST", b"OPTIONS", b"DELETE"):
        block = head(path, lines, method=method).removesuffix(b"\r\n\r\n")
        decided = admission.admit(Head(block, 128, 8192, REQUEST_NAMES))
        assert decided.error is not None, method
        assert (decided.error.kind.name, decided.error.kind.status) == ("body_without_token", 413)
        assert decided.body_bytes == 0


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_nobody_without_a_token_is_asked_for_a_body_or_has_it_held(server: Server, body: bytes) -> None:
    for path, status in (("/health/live", 413), ("/late", 401), ("/v1/chat/completions", 401)):
        client = server.connect()
        answer = client.asks(head(path, body + b"expect: 100-continue\r\n") + b"x" * 60_000)
        client.data_received(b"x" * 60_000)
        assert answer.startswith(b"HTTP/1.1 %d " % status), path
        assert answer.count(b"HTTP/1.1") == 1, "no 100 Continue"
        assert b"\r\nconnection: close\r\n" in answer
        assert not any((client._held, client._body._pieces, client._body._buffer, client._head))


def test_a_body_without_a_token_is_refused_with_what_to_do(gateway: Any, provider: ScriptedProvider) -> None:
    with gateway(provider).connect() as sock:
        sock.sendall(head("/health/live", b"content-length: 66060288\r\n"))
        status, _, body = parse(read_all(sock))
    assert status == 413
    assert b"/health/live without a good gateway token may have no body" in body
    assert b"send no body, or send a token along" in body


def test_a_health_check_with_an_empty_body_is_no_error(server: Server) -> None:
    for lines in (b"", b"content-length: 0\r\n"):
        assert server.connect().asks(head("/health/live", lines)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("length", "status"), [(LIMITS.local_body_bytes, 200), (LIMITS.local_body_bytes + 1, 413)]
)
def test_a_route_that_needs_no_body_waits_for_a_small_one_only(
    server: Server, length: int, status: int
) -> None:
    token = b"authorization: Bearer %b\r\n" % TOKEN.encode()
    body = b"x" * length
    assert (
        server.connect()
        .asks(head("/health/live", token + b"content-length: %d\r\n" % length) + body)
        .startswith(b"HTTP/1.1 %d " % status)
    )
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (length, body)
    assert (
        server.connect()
        .asks(head("/health/live", token + b"transfer-encoding: chunked\r\n") + chunks)
        .startswith(b"HTTP/1.1 %d " % status)
    )


def test_a_long_body_for_a_route_that_needs_none_is_not_asked_for(server: Server) -> None:
    lines = b"authorization: Bearer %b\r\ncontent-length: 65537\r\nexpect: 100-continue\r\n" % TOKEN.encode()
    answer = server.connect().asks(head("/health/live", lines))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 65536 bytes" in answer


def test_silent_connections_do_not_grow_without_end() -> None:
    server = Server(silent_connections=5)
    clients = [server.connect() for _ in range(8)]
    assert [client.wire.closing for client in clients] == [True] * 3 + [False] * 5
    assert len(server.unauthenticated) == 5


@pytest.mark.parametrize(
    "data",
    [LIVE, LIVE[:20], head("/late", b""), head("/health/live", b"content-length: 1\r\n")],
    ids=["answered", "incomplete", "refused", "with a body"],
)
def test_connections_that_speak_without_a_token_do_not_grow_without_end(data: bytes) -> None:
    server = Server(unauthenticated_connections=3)
    clients = [server.connect() for _ in range(5)]
    for client in clients:
        client.data_received(data)
        client.data_received(data)
    closed = [client.wire.closing for client in clients]
    assert closed == [True, True, False, False, False]
    assert len(server.unauthenticated) == 3


def test_too_many_connections_are_reported_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(silent_connections=5)
    for second in range(120):
        server.loop.now = float(second)
        server.connect()
    assert [record.getMessage() for record in caplog.records] == [
        "more than 5 connections without a token are open, and the oldest are closed"
    ] * 2


def test_a_burst_of_clients_that_have_a_token_loses_none_of_them(server: Server) -> None:
    clients = [server.connect() for _ in range(LIMITS.silent_connections)]
    assert not any(client.wire.closing for client in clients)
    answers = {client.asks(WITH_TOKEN)[:13] for client in clients}
    assert answers == {b"HTTP/1.1 200 "}
    assert len(server.unauthenticated) == 0


def test_those_without_a_token_do_not_push_out_who_has_shown_one() -> None:
    server = Server(silent_connections=2, unauthenticated_connections=2)
    known = server.connect()
    known.data_received(WITH_TOKEN)
    for _ in range(10):
        server.connect()
        server.connect().data_received(LIVE)
    assert known.asks(LIVE).startswith(b"HTTP/1.1 200 ")
    server.look(1000.0)
    assert not known.wire.closing


@pytest.mark.parametrize("data", [b"", LIVE, LIVE[:20]], ids=["silent", "answered", "incomplete"])
def test_a_connection_without_a_token_ends_whatever_it_drips(server: Server, data: bytes) -> None:
    client = server.connect()
    client.data_received(data)
    for second in range(1, 30):
        server.look(float(second))
        client.data_received(data[:1])
        assert not client.wire.closing
    server.look(LIMITS.unauthenticated)
    assert client.wire.closing


def test_who_takes_no_answers_is_cut_off_all_the_same(server: Server) -> None:
    client = server.connect()
    client.pause_writing()
    client.data_received(LIVE)
    server.look(LIMITS.unauthenticated)
    assert not client.wire.closing, "its answer has not left"
    server.look(LIMITS.unauthenticated + LIMITS.linger)
    assert client.wire.closing


def test_a_request_that_is_under_way_is_answered_before_its_connection_ends(server: Server) -> None:
    client = server.connect()
    client._state = client._BUSY
    for over in (0.0, LIMITS.linger):
        server.look(LIMITS.unauthenticated + over)
        assert not client.wire.closing
    client.answer(200, [], b"")
    client.finished()
    assert b"connection: close" in client.wire.out
    assert client.wire.closing


@pytest.mark.parametrize("every", [1.0, 5.0, 10.0, 14.0, 20.0])
def test_a_health_check_on_a_kept_connection_is_told_before_it_ends(server: Server, every: float) -> None:
    client, now = server.connect(), 0.0
    while not client.wire.closing:
        server.look(now)
        assert not client.wire.closing, "it was closed without a word"
        answer = client.asks(LIVE)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert client.wire.closing == (b"connection: close" in answer)
        now += every
    assert now - every >= LIMITS.unauthenticated / 2


def test_a_connection_with_a_token_is_not_told_to_close(server: Server) -> None:
    client = server.connect()
    client.data_received(WITH_TOKEN)
    for now in (20.0, 40.0, 1000.0):
        server.look(now)
        assert b"connection: close" not in client.asks(LIVE)


def filled(client: Client) -> None:
    client.data_received(LIVE[:-2] + b"x-a: " + b"a" * (LIMITS.head_bytes - 200))


def waiting(client: Client) -> None:
    client.pause_writing()
    client.data_received(LIVE)
    client.data_received(b"y" * LIMITS.head_bytes)


def refused(client: Client) -> None:
    lines = b"".join(b"x-%d: %b\r\n" % (number, b"a" * 500) for number in range(110))
    client.data_received(head("/late", lines))


def answered(client: Client) -> None:
    client.data_received(head("/health/live", b"x-a: " + b"a" * 8000 + b"\r\n"))


@pytest.mark.parametrize("fill", [filled, waiting, refused, answered])
def test_connections_without_a_token_cannot_hold_much_memory(
    server: Server, fill: Callable[[Client], None]
) -> None:
    fill(server.connect())
    tracemalloc.start()
    clients = [server.connect() for _ in range(40)]
    for client in clients:
        fill(client)
        client.wire.out = b""
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not any(client.wire.closing for client in clients)
    most = LIMITS.head_bytes * 9 // 8 + 16 * 1024
    assert held / len(clients) < most
    assert (most + LIMITS.unauthenticated_high_water) * LIMITS.unauthenticated_connections < 54 * 1024**2


@pytest.mark.parametrize(("files", "silent", "spoke"), [(65536, 4096, 512), (1024, 256, 256), (128, 32, 32)])
def test_connections_without_a_token_cannot_take_all_files(files: int, silent: int, spoke: int) -> None:
    bounds = Bounds().for_files(files)
    assert (bounds.silent_connections, bounds.unauthenticated_connections) == (silent, spoke)


def test_a_silent_connection_costs_next_to_nothing(server: Server) -> None:
    tracemalloc.start()
    clients = [server.connect() for _ in range(1000)]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / len(clients) < 2048


def test_a_head_without_a_token_is_short_once_it_is_whole(server: Server) -> None:
    for lines in (b"x-a: " + b"a" * LIMITS.unauthenticated_head_bytes, b"x-a: a" * 1500):
        assert server.connect().asks(head("/health/live", lines + b"\r\n")).startswith(b"HTTP/1.1 431 ")
        with_token = lines + b"\r\nauthorization: Bearer %b\r\n" % TOKEN.encode()
        assert server.connect().asks(head("/health/live", with_token)).startswith(b"HTTP/1.1 200 ")


def test_nobody_without_a_token_has_many_requests_answered_at_once(server: Server) -> None:
    for answered_at_once in (True, False):
        client = server.connect()
        if not answered_at_once:
            client.pause_writing()
            client.data_received(LIVE)
        client.data_received(LIVE * 1000)
        client.resume_writing()
        assert client.wire.out.count(b"HTTP/1.1 200 ") == 1
        assert client.wire.closing
        assert not client._held


def test_requests_with_a_token_may_wait_for_the_answer_before(server: Server) -> None:
    client = server.connect()
    client.data_received(WITH_TOKEN * 3)
    while server.loop.later:
        server.loop.later.pop(0)()
    assert client.wire.out.count(b"HTTP/1.1 200 ") == 3


def test_answers_that_nobody_takes_are_few_without_a_token(server: Server) -> None:
    client = server.connect()
    client.data_received(LIVE)
    assert client.wire.high_water == LIMITS.unauthenticated_high_water == 16 * 1024
    client.data_received(WITH_TOKEN)
    assert client.wire.high_water == LIMITS.high_water


def test_half_a_minute_is_measured_on_the_gateways_own_clock(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, bounds=Bounds(look_every=0.01, unauthenticated=0.05, linger=0.05))
    with plane.connect() as silent, plane.connect() as known:
        known.sendall(request("/late", b"", method="GET"))
        assert known.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert silent.recv(10) == b""
        known.sendall(request("/late", b"", method="GET", connection="close"))
        assert read_all(known).startswith(b"HTTP/1.1 200 ")
    assert len(plane.plane.unauthenticated) == 0


def test_silent_connections_leave_files_for_those_who_have_a_token(home: Path) -> None:
    def start(arguments: list[str], **more: Any) -> Any:
        return subprocess.Popen(["sh", "-c", 'ulimit -n 100; exec "$@"', "sh", *arguments], **more)

    with ScriptedProvider() as behind, ExitStack() as silent:
        write_config(home, provider_entry("p", behind.url))
        with serving(home, start=start) as served:
            for _ in range(120):
                silent.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=5))
            assert served.chat().status_code == 200
            (warning,) = eventually(lambda: served.logged("warning"))
            assert warning["what"].startswith("more than 25 connections without a token")
