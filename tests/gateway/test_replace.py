"""`holdfast serve --replace` takes over the sockets of the gateway that runs: nothing is refused, nothing is
cut, and a replacement that cannot start changes nothing."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest

from gateway.served import CHAT, Served, eventually, provider, serving, write_config
from gateway.test_serve import begun
from holdfast.config.listen import Listen
from holdfast.core.errors import ConfigError
from holdfast.fake_provider import Behaviour, ScriptedProvider
from holdfast.gateway.process import handover
from holdfast.gateway.process.handover import SocketOffer, find_predecessor, offered
from holdfast.gateway.process.sockets import Listening
from holdfast.gateway.registry import SERVE, directory_of, prepared, running, standing
from tables import rows

HERE = "http://127.0.0.1:4141"


class Load:
    """Clients that ask all the time: two that keep their connection, and two that open one for each request.

    `seen` counts what they got: a status, or the name of an error.
    """

    def __init__(self, served: Served) -> None:
        self.seen: Counter[int | str] = Counter()
        self._served, self._ends = served, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(keeps,)) for keeps in (True, False) * 2]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, keeps: bool) -> None:
        client = self._served.new_client()
        body = {"model": "p/m", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {self._served.token}"}
        while not self._ends.is_set():
            try:
                self.seen[client.post(CHAT, json=body, headers=headers).status_code] += 1
            except httpx2.TransportError as error:
                self.seen[repr(error)] += 1
            if not keeps:
                client.close()
                client = self._served.new_client()
        client.close()


def accepting(home: Path) -> list[int]:
    """The processes of the gateways that are listed and do not end."""
    return [each.pid for each in standing(home) if not each.draining]


@pytest.mark.parametrize(("before", "after"), [("1", "2"), ("2", "1")])
def test_a_replacement_under_load_refuses_no_connection_and_cuts_no_stream(
    before: str, after: str, home: Path
) -> None:
    with ScriptedProvider(Behaviour(text=" ".join(map(str, range(30))), event_delay=0.1)) as behind:
        write_config(home, provider("p", behind.url))
        with (
            serving(home, "--workers", before) as old,
            Load(old) as load,
            old.stream() as stream,
        ):
            pieces = stream.iter_text()
            text = next(pieces)
            with serving(home, "--workers", after, "--replace", token=old.token) as new:
                assert (new.port, new.told["replaced"]) == (old.port, old.process.pid)
                eventually(
                    lambda: [each.pid for each in standing(home) if not each.draining] == [new.process.pid]
                )
                text += "".join(pieces)
                assert old.process.wait(20) == 0
                enough = load.seen[200] + 20
                eventually(lambda: load.seen[200] > enough, 20)
                load.__exit__()
                assert [each.pid for each in running(home)] == [new.process.pid]
    assert "[DONE]" in text
    assert set(load.seen) == {200}
    assert old.logged("replaced")
    assert not any(event["cut_off"] for event in old.logged("ended") if "cut_off" in event)


def test_a_replacement_that_cannot_start_leaves_the_gateway_as_it_is(home: Path) -> None:
    write_config(home, "")
    with serving(home, "--workers", "2") as old:
        write_config(home, '[gateway]\nstore = "postgresql://127.0.0.1:1/nothing"\n')
        for workers in ("1", "2"):
            done = begun(home, "--replace", "--workers", workers)
            assert (done.returncode, done.stdout) == (2, "")
            assert "Connection refused" in done.stderr
            assert old.alive()
        write_config(home, "")
        with serving(home, "--replace", token=old.token) as new:
            assert new.port == old.port
            assert old.process.wait(20) == 0
            assert new.alive()


def test_without_a_gateway_to_replace_it_starts_as_usual(home: Path) -> None:
    write_config(home, '[gateway]\nlisten = "127.0.0.1:0"\n')
    with serving(home, "--replace") as served:
        assert "replaced" not in served.told
        assert served.alive()


AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="holdfast.socket")
os.execv(sys.argv[2], sys.argv[2:])
"""


def started_by_systemd(opened: socket.socket) -> Any:
    """What starts a command with an open socket, as systemd does."""

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        starter = [sys.executable, "-c", AS_SYSTEMD, str(opened.fileno()), *command]
        return subprocess.Popen(starter, pass_fds=[opened.fileno()], **options)

    return start


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sockets_that_systemd_opened_are_listened_on(workers: str, home: Path) -> None:
    write_config(home, "")
    with (
        socket.create_server(("127.0.0.1", 0)) as opened,
        socket.create_connection(opened.getsockname()) as early,
    ):
        options = ["--workers", workers, "--listen", ""]
        with serving(home, *options, start=started_by_systemd(opened)) as served:
            assert served.port == opened.getsockname()[1]
            early.sendall(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert early.recv(100).startswith(b"HTTP/1.1 200 ")
            assert served.alive()
        with socket.create_connection(opened.getsockname()):
            pass  # who comes while none runs waits, and is not refused


@pytest.mark.parametrize(
    ("family", "given", "text"),
    [
        (socket.AF_INET, ["--replace"], "mean nothing here"),
        (socket.AF_UNIX, [], "no listening TCP socket"),
    ],
)
def test_what_systemd_passes_on_has_to_be_usable(
    family: socket.AddressFamily, given: list[str], text: str, home: Path
) -> None:
    write_config(home, "")
    with socket.socket(family) as opened:
        opened.listen() if family == socket.AF_INET else None
        command = [sys.executable, "-m", "holdfast", "serve", *given]
        environ = {**os.environ, "HOLDFAST_HOME": str(home)}
        started = started_by_systemd(opened)(command, env=environ, stderr=subprocess.PIPE)
        _, errors = started.communicate(timeout=30)
    assert started.returncode == 2
    assert text in errors.decode()


@pytest.fixture
def offer(home: Path) -> Iterator[SocketOffer]:
    """Return the offer of a gateway at `HERE`, which is listed."""
    directory_of(home).mkdir(parents=True)
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.create_server(("127.0.0.1", 0)) as second,
        prepared(home, "it", HERE, SERVE) as publish,
        offered(home, "it", "gateway.example", [first, second] * 70) as offer,
    ):
        publish()
        yield offer


def take(home: Path, offer: SocketOffer, url: str = HERE) -> handover.Predecessor | None:
    """Take over what is offered, while the other side of it is answered in a thread."""
    ends = threading.Event()

    def answer() -> None:
        while not ends.is_set():
            offer.step()
            time.sleep(0.001)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return find_predecessor(home, url, only=False)
    finally:
        ends.set()
        thread.join()


def test_any_number_of_sockets_passes_with_the_address_as_it_was_written(
    home: Path, offer: SocketOffer
) -> None:
    taken = take(home, offer)
    assert taken is not None
    assert taken.listen.host == "gateway.example"
    ports = {sock.getsockname()[1] for sock in taken.sockets}
    assert (len(taken.sockets), len(ports)) == (140, 2)
    assert not offer.step()
    with pytest.raises(ConfigError, match="is being replaced already"):
        take(home, offer)
    taken.end()
    assert offer.step()
    for sock in taken.sockets:
        sock.close()


def test_a_replacement_that_ends_before_it_is_ready_makes_room_for_the_next(
    home: Path, offer: SocketOffer
) -> None:
    for _ in range(2):
        taken = take(home, offer)
        assert taken is not None
        for sock in (taken.control, *taken.sockets):
            sock.close()
        assert not offer.step()


def test_no_other_user_gets_the_sockets(
    home: Path, offer: SocketOffer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(ConfigError, match="does not pass on its sockets"):
        take(home, offer)
    assert len(offer.watched) == 1


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_home_may_have_a_longer_name_than_an_address_of_a_socket(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover.sys, "platform", platform)  # type: ignore[attr-defined]
    path = tmp_path / ("long-" * 30) / "gateway.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        with handover._within_reach(path) as near:
            listener.bind(near)
            listener.listen()
        assert path.is_socket()
        with handover._within_reach(path) as near:
            client.connect(near)


def test_a_gateway_is_replaced_at_the_address_that_was_asked_for(home: Path, offer: SocketOffer) -> None:
    assert find_predecessor(home, f"{HERE}1", only=True) is None
    with prepared(home, "another", f"{HERE}2", SERVE) as publish:
        publish()
        with pytest.raises(ConfigError, match="several gateways run"):
            find_predecessor(home, f"{HERE}1", only=False)
        with pytest.raises(ConfigError, match="too old for that"):
            find_predecessor(home, f"{HERE}2", only=True)
        publish(draining=True)
        taken = take(home, offer, f"{HERE}1")
    assert taken is not None
    for sock in (taken.control, *taken.sockets):
        sock.close()


@rows("sockets, workers", [(sockets, workers) for sockets in range(1, 5) for workers in range(1, 6)])
def test_every_socket_has_a_worker_and_every_worker_a_socket(sockets: int, workers: int) -> None:
    with contextlib.ExitStack() as stack:
        every = [stack.enter_context(socket.socket()) for _ in range(sockets)]
        listening = Listening(Listen("127.0.0.1", 1), every)
        shares = [listening.for_worker(number, workers) for number in range(workers)]
    assert all(shares)
    assert {id(sock) for share in shares for sock in share} == set(map(id, every))
