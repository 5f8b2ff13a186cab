"""Several workers are one gateway: what one learns all obey, and a killed one takes no other along."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.served import CHAT, Served, eventually, provider, serving, write_config
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, only_keys, status
from holdfast.gateway.registry import running
from holdfast.store.sqlite import SqliteStore

GOOD, BAD = "sk-good-0000000000000001", "sk-bad-00000000000000002"
ENVIRON = {"HOLDFAST_DEBUG": "1", "KEY_A": BAD, "KEY_B": GOOD}
PROMISED = 0.1
"""Within this (seconds) a worker obeys what another one learnt."""


class Two:
    """A client for each of two workers: connections are opened until both have one."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.clients: dict[int, httpx2.Client] = {}
        self._spare: list[httpx2.Client] = []
        pids = {worker["pid"] for worker in served.workers()}
        assert len(pids) == 2
        while len(self.clients) < 2:
            client = served.new_client()
            client.get("/health/live")
            owner = _owner(client, pids)
            (self.clients.setdefault(owner, client) is client) or self._spare.append(client)

    def each(self) -> list[Callable[[], httpx2.Response]]:
        """For each worker how to ask it for an answer."""
        body = {"model": "p/m", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {self.served.token}"}
        return [
            lambda client=client: client.post(CHAT, json=body, headers=headers)
            for client in self.clients.values()
        ]  # type: ignore[misc]

    def close(self) -> None:
        for client in (*self.clients.values(), *self._spare):
            client.close()


def _owner(client: httpx2.Client, pids: set[int]) -> int:
    """The worker that holds the other end of a client's connection, as the system tells."""
    stream = client._transport._pool.connections[0]._connection._network_stream  # type: ignore[attr-defined]
    ends = [stream.get_extra_info("server_addr")[1], stream.get_extra_info("client_addr")[1]]
    wanted = None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if [int(address.rpartition(":")[2], 16) for address in fields[1:3]] == ends:
            wanted = f"socket:[{fields[9]}]"
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if str(link.readlink()) == wanted:
                    return pid
            except FileNotFoundError:
                continue
    raise AssertionError(f"no worker holds the connection {ends}")


@pytest.fixture
def two() -> Iterator[Callable[[Served], Two]]:
    if not Path("/proc/net/tcp").exists():
        pytest.skip("which worker has a connection is read from /proc")
    made: list[Two] = []

    def make(served: Served) -> Two:
        made.append(Two(served))
        return made[-1]

    yield make
    for pair in made:
        pair.close()


def test_a_rotation_that_one_worker_made_is_obeyed_by_the_other_within_100_ms(home: Path, two: Any) -> None:
    with ScriptedProvider(only_keys([GOOD])) as behind:
        write_config(home, provider("p", behind.url, keys=["env:KEY_A", "env:KEY_B"]))
        with serving(home, "--workers", "2", environ=ENVIRON) as served:
            first, second = two(served).each()
            assert first().headers["holdfast-key"] == "KEY_B"
            time.sleep(PROMISED)
            answer = second()
            assert (answer.headers["holdfast-key"], answer.headers["holdfast-attempts"]) == ("KEY_B", "1")
        assert [call.key for call in behind.calls] == [BAD, GOOD, GOOD]


def test_a_key_that_never_worked_is_asked_once_by_all_workers_together(home: Path, two: Any) -> None:
    with ScriptedProvider(only_keys([GOOD])) as behind:
        write_config(home, provider("p", behind.url, keys=["env:KEY_A"]))
        with serving(home, "--workers", "2", environ=ENVIRON) as served:
            first, second = two(served).each()
            assert first().status_code == 401
            time.sleep(PROMISED)
            assert [second().status_code, first().status_code] == [401, 401]
        assert len(behind.calls) == 1


def test_one_worker_probes_a_good_key_for_both(home: Path, two: Any) -> None:
    """Twenty requests meet a provider that says 401 for a moment: one of them tests the key, the others wait
    for its verdict."""
    begun: list[float] = []

    def for_a_moment(seen: SeenRequest) -> Behaviour:
        if len(behind.calls) <= 2:
            return ok("warm")
        begun.append(seen.at)
        return status(401) if seen.at - begun[0] < 0.4 else ok("back")

    with ScriptedProvider(for_a_moment) as behind:
        write_config(home, provider("p", behind.url, keys=["env:KEY_A"]))
        with serving(home, "--workers", "2", environ=ENVIRON) as served:
            asks = two(served).each()
            assert [ask().status_code for ask in asks] == [200, 200]
            time.sleep(PROMISED)
            codes: list[int] = []
            threads = [
                threading.Thread(target=lambda: codes.append(served.chat().status_code)) for _ in range(20)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            refused = [moment for moment in begun if moment - begun[0] < 0.4]
        assert codes == [200] * 20
        assert len(refused) <= 22, "each was refused at most once, and the probes are one worker's alone"


def test_a_cool_down_is_obeyed_by_both(home: Path, two: Any) -> None:
    throttled = status(
        429,
        {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}},
        {"retry-after": "600"},
    )
    with ScriptedProvider(throttled) as behind:
        write_config(home, provider("p", behind.url, keys=["env:KEY_A"]))
        with serving(home, "--workers", "2", environ=ENVIRON) as served:
            first, second = two(served).each()
            assert first().status_code == 429
            asked = len(behind.calls)
            time.sleep(PROMISED)
            answer = second()
            assert (answer.status_code, answer.headers["holdfast-attempts"]) == (429, "0")
        assert len(behind.calls) == asked


def test_a_revoked_token_is_refused_by_all_workers_within_100_ms(home: Path, two: Any) -> None:
    with ScriptedProvider(ok()) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, "--workers", "2") as served:
            asks = two(served).each()
            assert [ask().status_code for ask in asks] == [200, 200]
            with SqliteStore(home / "state.db") as store:
                store.revoke_token(served.token.split("-")[1])
            time.sleep(PROMISED)
            assert [ask().status_code for ask in asks] == [401, 401]


def test_a_killed_worker_takes_no_other_along_and_is_started_again(home: Path, two: Any) -> None:
    slow = Behaviour(text=" ".join(map(str, range(15))), event_delay=0.1)
    with ScriptedProvider(lambda seen: slow if seen.streams else ok("quick")) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, "--workers", "2") as served:
            before = two(served)
            victim, survivor = before.clients
            texts: dict[int, str] = {}

            def stream(pid: int) -> None:
                body = {"model": "p/m", "stream": True, "messages": []}
                try:
                    with before.clients[pid].stream(
                        "POST", CHAT, json=body, headers={"authorization": f"Bearer {served.token}"}
                    ) as answer:
                        for piece in answer.iter_text():
                            texts[pid] = texts.get(pid, "") + piece
                except httpx2.HTTPError:
                    texts[pid] = texts.get(pid, "") + "(cut)"

            threads = [threading.Thread(target=stream, args=(pid,)) for pid in before.clients]
            for thread in threads:
                thread.start()
            eventually(lambda: len(texts) == 2)
            os.kill(victim, signal.SIGKILL)
            alive = [served.alive() for _ in range(20)]
            for thread in threads:
                thread.join()
            assert all(alive)
            assert texts[victim].endswith("(cut)")
            assert "[DONE]" in texts[survivor]
            workers = eventually(
                lambda: [worker for worker in served.workers() if worker["ready"]][1:] and served.workers()
            )
            assert {survivor} < {worker["pid"] for worker in workers}
            assert sorted(worker["starts"] for worker in workers) == [1, 2]
            (died,) = served.logged("worker-died")
            assert (died["died"], died["how"]) == (victim, "killed by SIGKILL")
            assert served.chat().status_code == 200


def test_the_counts_of_a_killed_worker_stay_and_are_not_counted_twice(home: Path, two: Any) -> None:
    name = 'requests_total{provider="p",dialect="openai-chat",status="200"}'
    with ScriptedProvider(ok()) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, "--workers", "2") as served:
            before = two(served)
            for ask in before.each():
                for _ in range(3):
                    ask()
            assert served.metrics()[name] == 6
            victim = next(iter(before.clients))
            os.kill(victim, signal.SIGKILL)
            eventually(
                lambda: (
                    victim not in {worker["pid"] for worker in served.workers()}
                    and all(worker["ready"] for worker in served.workers())
                )
            )
            assert served.metrics()[name] == 6
            served.chat()
            metrics = served.metrics()
            assert (metrics[name], metrics["worker_starts_total"], metrics["workers_ready"]) == (7, 3, 2)


def test_workers_end_when_their_supervisor_is_killed(home: Path) -> None:
    write_config(home, "")
    with serving(home, "--workers", "2") as served:
        pids = [worker["pid"] for worker in served.workers()]
        served.process.kill()
        served.process.wait()
        eventually(lambda: not any(_alive(pid) for pid in pids))


def test_a_gateway_whose_supervisor_was_killed_is_listed_until_its_last_answer(home: Path) -> None:
    slow = Behaviour(text="a few words", event_delay=0.4)  # the answer outlasts the change of the list
    with ScriptedProvider(slow) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, "--workers", "2") as served:
            (before,) = running(home)
            with served.stream() as answer:
                served.process.kill()
                served.process.wait()
                (left,) = eventually(lambda: [entry for entry in running(home) if entry.pid != before.pid])
                assert (left.instance, left.url) == (before.instance, before.url)
                assert _alive(left.pid)
                assert "[DONE]" in answer.read().decode()
            eventually(lambda: not running(home))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:1]


def test_a_worker_that_dies_while_the_configuration_is_broken_is_started_with_the_last_good_one(
    home: Path,
) -> None:
    with ScriptedProvider(ok()) as behind:
        write_config(home, provider("p", behind.url))
        with serving(home, "--workers", "2") as served:
            write_config(home, "[provider.")
            pids = {worker["pid"] for worker in served.workers()}
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            eventually(
                lambda: (
                    served.metrics().get("workers_ready") == 2
                    and not pids & {worker["pid"] for worker in served.workers()}
                )
            )
            assert all(served.alive() for _ in range(5))
            assert served.chat().status_code == 200


def test_connections_are_spread_over_the_workers(home: Path) -> None:
    write_config(home, "")
    with serving(home, "--workers", "2") as served:
        clients = [served.new_client() for _ in range(40)]
        for client in clients:
            client.get("/health/live")
        counts = eventually(
            lambda: (
                sum(counts := [worker["open_connections"] for worker in served.workers()]) >= 40 and counts
            )
        )
        for client in clients:
            client.close()
    assert min(counts) >= 8


def test_a_full_disk_slows_no_request(home: Path) -> None:
    """The store cannot grow any more (a limit on the size of files); requests go on, and the lines of
    the journal wait."""
    with ScriptedProvider(ok()) as behind:
        write_config(home, provider("p", behind.url, keys=["env:KEY_A"]))
        with serving(home, environ=ENVIRON) as served:
            assert served.chat().status_code == 200
            time.sleep(0.3)
            full = (home / "state.db-wal").stat().st_size
            resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
            slowest = 0.0
            for _ in range(60):
                began = time.monotonic()
                assert served.chat().status_code == 200
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 2.0
            assert served.metrics()["journal_lost_total"] == 0, "the lines wait for room on the disk"
            assert eventually(lambda: served.logged("warning"))
            resource.prlimit(
                served.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            )


def test_a_full_disk_slows_none_of_two_workers(home: Path) -> None:
    """The same where two workers share the store: each goes on, and no line counts as lost in the
    sum of both."""
    with ScriptedProvider(ok()) as behind:
        write_config(home, provider("p", behind.url, keys=["env:KEY_A"]))
        with serving(home, "--workers", "2", environ=ENVIRON) as served:
            two = Two(served)
            for ask in two.each():
                assert ask().status_code == 200
            time.sleep(0.3)
            full = (home / "state.db-wal").stat().st_size
            for pid in two.clients:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
            slowest = 0.0
            for _ in range(60):
                for ask in two.each():
                    began = time.monotonic()
                    assert ask().status_code == 200
                    slowest = max(slowest, time.monotonic() - began)
            assert slowest < 2.0
            assert served.metrics()["journal_lost_total"] == 0, "the lines wait for room on the disk"
            for pid in two.clients:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            two.close()
