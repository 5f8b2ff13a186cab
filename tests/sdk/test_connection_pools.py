"""Connections belong to the `Holdfast`: its sessions share them, an event loop keeps its own, and a forked
process begins without any."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdfast
from calls.test_dialling import NAME, resolving
from calls.test_tunnelling import Proxy
from gateway.test_tls import CERTIFICATES, behind
from holdfast.core.identity import Endpoint
from holdfast.fake_provider import ScriptedProvider, ok, status
from holdfast.fake_provider.script import Behaviour, SeenRequest
from holdfast.sdk.httpx_compat import HttpxAdapter
from holdfast.sdk.transport import bind

BASE = "http://holdfast.invalid/v1"
ROUNDS = int(os.environ.get("ROUNDS_OF_FORKS", "2"))
"""How often four children are forked beside a connection of their parent: 50 times in `make nightly`."""


def echo(seen: SeenRequest) -> Behaviour:
    """Answer with what was said."""
    return ok(json.loads(seen.body)["messages"][0]["content"])


def body(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def said(response: Any) -> str:
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


def configure(home: Path, url: str) -> None:
    (home / "holdfast.toml").write_text(f'[provider.mine]\nurl = "{url}"\nkeys = ["env:MINE_KEY"]\n')


@pytest.fixture
def provider(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.setenv("MINE_KEY", "sk-aaaaaaaaaaaaaaaa")
    with ScriptedProvider(echo) as made:
        configure(home, made.url)
        yield made


@pytest.fixture
def hf(provider: ScriptedProvider) -> Iterator[holdfast.Holdfast]:
    with holdfast.open() as opened:
        yield opened


def is_soon(check: Callable[[], bool]) -> bool:
    """Return whether something becomes true within ten seconds."""
    ends_at = time.monotonic() + 10
    while not check():
        if time.monotonic() > ends_at:
            return False
        time.sleep(0.002)
    return True


def client_of(session: holdfast.Session, module: Any = httpx2) -> Any:
    return module.Client(transport=session.transport(module), base_url=BASE)


def async_client_of(session: holdfast.Session, module: Any = httpx2) -> Any:
    return module.AsyncClient(transport=session.async_transport(module), base_url=BASE)


def on_asyncio(act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(act())


def on_uvloop(act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=importlib.import_module("uvloop").new_event_loop) as runner:
        return runner.run(act())


def on_trio(act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return importlib.import_module("trio").run(act)


LOOPS = pytest.mark.parametrize("run", [on_asyncio, on_uvloop, on_trio])


# Sharing
# ----------------------------------------------------------------------------------------------------------


def test_sessions_that_ask_in_turn_share_one_connection(
    hf: holdfast.Holdfast, provider: ScriptedProvider, module: Any
) -> None:
    with closing(Clients()) as clients:
        for number in range(20):
            client = clients.keep(client_of(hf.session(f"s{number}", "mine/m"), module))
            assert said(client.post("/chat/completions", json=body(f"{number}"))) == f"{number}"
        assert provider.connections == 1


def test_of_the_connections_of_many_sessions_twenty_stay_at_rest(
    hf: holdfast.Holdfast, provider: ScriptedProvider
) -> None:
    def turn(number: int) -> str:
        client = clients.keep(client_of(hf.session(f"s{number}", "mine/m")))
        return said(client.post("/chat/completions", json=body(f"{number}")))

    with closing(Clients()) as clients, ThreadPoolExecutor(50) as threads:
        assert [*threads.map(turn, range(60))] == [str(number) for number in range(60)]
        assert is_soon(lambda: provider.connections <= 20)


@LOOPS
def test_of_many_connections_of_an_event_loop_twenty_stay_at_rest(
    run: Any, hf: holdfast.Holdfast, provider: ScriptedProvider
) -> None:
    import anyio

    right = []

    async def turn(number: int) -> None:
        async with async_client_of(hf.session(f"s{number}", "mine/m")) as client:
            right.append(said(await client.post("/chat/completions", json=body(f"{number}"))) == f"{number}")

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(60):
                group.start_soon(turn, number)
        assert await anyio.to_thread.run_sync(is_soon, lambda: provider.connections <= 20)

    run(main)
    assert right == [True] * 60
    assert is_soon(lambda: provider.connections == 0), "they end with their loop"


class Clients:
    """Clients that are closed together."""

    def __init__(self) -> None:
        self._clients: list[Any] = []

    def keep(self, client: Any) -> Any:
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


def test_threads_that_are_the_first_to_use_a_module_share_its_connections(
    hf: holdfast.Holdfast, module: Any
) -> None:
    async def on_a_loop() -> list[Any]:
        return [hf.pools.of_this_loop().channels(HttpxAdapter(module)) for _ in range(2)]

    first, second = [hf.pools.blocking(HttpxAdapter(module)) for _ in range(2)]
    assert first is second
    first, second = asyncio.run(on_a_loop())
    assert first is second


def test_a_client_that_is_closed_leaves_the_connections_of_the_others(
    hf: holdfast.Holdfast, provider: ScriptedProvider
) -> None:
    first, second = (client_of(hf.session(name, "mine/m")) for name in ("s1", "s2"))
    with second, first.stream("POST", "/chat/completions", json=body("one")) as open_answer:
        second.close()
        assert b"one" in open_answer.read()
    first.close()
    with client_of(hf.session("s3", "mine/m")) as third:
        assert said(third.post("/chat/completions", json=body("three"))) == "three"
    assert provider.connections == 1
    hf.close()
    assert is_soon(lambda: provider.connections == 0)


@LOOPS
def test_connections_of_an_event_loop_are_closed_with_the_holdfast(
    run: Any, provider: ScriptedProvider
) -> None:
    import anyio

    async def main() -> None:
        with holdfast.open() as hf:
            async with async_client_of(hf.session("s1", "mine/m")) as client:
                assert said(await client.post("/chat/completions", json=body("hi"))) == "hi"
            assert provider.connections == 1
        assert await anyio.to_thread.run_sync(is_soon, lambda: provider.connections == 0)

    run(main)


@LOOPS
def test_a_holdfast_that_ends_with_its_loop_leaves_nothing_open(run: Any, provider: ScriptedProvider) -> None:
    async def main() -> None:
        with holdfast.open() as hf:
            async with async_client_of(hf.session("s1", "mine/m")) as client:
                await client.post("/chat/completions", json=body("hi"))

    run(main)
    assert is_soon(lambda: provider.connections == 0)
    gc.collect()


def test_the_authorities_of_the_web_are_read_once_for_all_sessions(
    hf: holdfast.Holdfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    adapters = []
    for name in ("httpx2", "httpx"):
        module = importlib.import_module(name)
        read = module.create_ssl_context
        monkeypatch.setattr(module, "create_ssl_context", lambda read=read: made.append(1) or read())
        adapters += [bind(module).SyncTransport.adapter]

    async def on_a_loop() -> None:
        for adapter in adapters:
            assert hf.pools.of_this_loop().channels(adapter).to(Endpoint("https://one.example"))

    for number in range(3):
        for adapter in adapters:
            assert hf.pools.blocking(adapter).to(Endpoint(f"https://{number}.example"))
        asyncio.run(on_a_loop())
    assert made == [1]


# Event loops
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
@LOOPS
def test_one_client_is_answered_on_every_one_of_twenty_event_loops(
    run: Any, streamed: bool, hf: holdfast.Holdfast, provider: ScriptedProvider, module: Any
) -> None:
    client = async_client_of(hf.session("s1", "mine/m"), module)

    async def turn() -> bool:
        answers = [
            await client.post("/chat/completions", json=body("hi") | {"stream": streamed}) for _ in range(2)
        ]
        return all(answer.status_code == 200 and b"hi" in answer.content for answer in answers)

    assert [run(turn) for _ in range(20)] == [True] * 20
    assert len(provider.requests) == 40, "none was sent twice"
    assert is_soon(lambda: provider.connections == 0), "a loop takes its connections with it"


def test_a_loop_that_was_closed_without_its_generators_leaves_no_dead_connection(
    hf: holdfast.Holdfast, provider: ScriptedProvider
) -> None:
    client = async_client_of(hf.session("s1", "mine/m"))

    async def turn() -> str:
        return said(await client.post("/chat/completions", json=body("hi")))

    for _ in range(5):
        with closing(asyncio.new_event_loop()) as loop:
            assert loop.run_until_complete(turn()) == "hi"
    hf.pools.close()
    with pytest.warns(ResourceWarning):
        gc.collect()


def test_threads_with_an_event_loop_each_share_one_client(
    hf: holdfast.Holdfast, provider: ScriptedProvider
) -> None:
    client = async_client_of(hf.session("s1", "mine/m"))

    async def turn(number: int) -> bool:
        asked = [client.post("/chat/completions", json=body(f"{number}")) for _ in range(3)]
        return all(said(answer) == f"{number}" for answer in await asyncio.gather(*asked))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda number: asyncio.run(turn(number)), range(24)))
    assert is_soon(lambda: provider.connections == 0)


def test_closing_from_another_thread_closes_the_connections_of_a_running_loop(
    provider: ScriptedProvider,
) -> None:
    with holdfast.open() as hf:
        client = async_client_of(hf.session("s1", "mine/m"))

        async def main() -> None:
            await client.post("/chat/completions", json=body("hi"))
            await asyncio.to_thread(hf.close)
            assert await asyncio.to_thread(is_soon, lambda: provider.connections == 0)

        asyncio.run(main())


# Processes
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nobody forks here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("asynchronous", [False, True])
def test_no_answer_reaches_another_process_than_the_one_that_asked(
    asynchronous: bool, hf: holdfast.Holdfast, provider: ScriptedProvider, module: Any
) -> None:
    session = hf.session("s1", "mine/m")
    with client_of(session, module) as client:
        runner = asyncio.Runner()
        async_client = async_client_of(session, module)

        def ask(text: str) -> str:
            if not asynchronous:
                return said(client.post("/chat/completions", json=body(text)))
            return said(runner.run(async_client.post("/chat/completions", json=body(text))))

        def asked_in_a_child(text: str, go: int) -> bool:
            nonlocal runner
            runner = asyncio.Runner()
            os.read(go, 1)
            return ask(text) == text

        for number in range(ROUNDS):
            assert ask("before") == "before"
            go, start = os.pipe()
            children = [forked(partial(asked_in_a_child, f"{number}-{which}", go)) for which in range(4)]
            os.write(start, b"1234")
            assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
            assert ask("after") == "after", "and the parent's own connection is as it was"
            os.close(go)
            os.close(start)
        runner.close()
    assert len(provider.requests) == ROUNDS * 6


def forked(act: Callable[[], bool]) -> int:
    """Fork a child that ends with 0 if `act` returns True. Return its number."""
    child = os.fork()
    if child:
        return child
    good = False
    try:
        good = act()
    finally:
        os._exit(0 if good else 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nobody forks here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_closes_what_it_inherited_and_ends_nothing_of_its_parent(
    hf: holdfast.Holdfast, provider: ScriptedProvider
) -> None:
    with client_of(hf.session("s1", "mine/m")) as client:
        client.post("/chat/completions", json=body("hi"))
        [pool] = [
            channel.pool for table in hf.pools._blocking.values() for channel in table._channels.values()
        ]
        [kept] = pool.connections

        def is_closed_here() -> bool:
            return kept.is_closed() and not hf.pools._blocking

        assert os.waitpid(forked(is_closed_here), 0)[1] == 0
        assert said(client.post("/chat/completions", json=body("again"))) == "again"
        assert provider.connections == 1


# What users set
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [False, True])
def test_limits_that_a_program_sets_hold_for_all_its_sessions(
    asynchronous: bool, provider: ScriptedProvider, module: Any
) -> None:
    most: list[int] = []

    def script(seen: SeenRequest) -> Behaviour:
        most.append(provider.connections)
        return ok("hi", delay=0.01)

    provider.follow(script)
    with holdfast.open(limits=module.Limits(max_connections=2)) as hf:
        sessions = [hf.session(f"s{number}", "mine/m") for number in range(8)]

        def turn(session: holdfast.Session) -> None:
            with client_of(session, module) as client:
                assert said(client.post("/chat/completions", json=body("hi"))) == "hi"

        async def turns() -> None:
            client = async_client_of(sessions[0], module)
            asked = [client.post("/chat/completions", json=body("hi")) for _ in sessions]
            assert [said(answer) for answer in await asyncio.gather(*asked)] == ["hi"] * 8

        if asynchronous:
            asyncio.run(turns())
        else:
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(turn, sessions))
    assert max(most) == 2


def test_certificates_that_a_program_names_vouch_for_the_provider_and_no_others(
    home: Path, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    monkeypatch.setenv("MINE_KEY", "sk-aaaaaaaaaaaaaaaa")
    authority = CERTIFICATES / "ca.pem"
    context = ssl.create_default_context(cafile=authority)
    with behind("here.pem") as seen:
        configure(home, seen.url)
        for number, verify in enumerate((authority, str(authority), context), 1):
            with holdfast.open(verify=verify) as hf:
                session = hf.session("s1", "mine/m")
                with client_of(session, module) as client:
                    assert said(client.post("/chat/completions", json=body("hi"))) == "hi"
            assert seen.requests == number
        with (
            holdfast.open() as hf,
            client_of(hf.session("s1", "mine/m"), module) as client,
            pytest.raises(module.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            client.post("/chat/completions", json=body("hi"))
        assert seen.requests == 3


def test_a_proxy_that_a_program_names_gets_a_tunnel_and_no_key(
    home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    configure(home, f"http://{NAME}:{provider.port}/v1")
    with closing(Proxy(provider.port)) as proxy:
        with holdfast.open(proxy=f"http://127.0.0.1:{proxy.port}") as hf:
            session = hf.session("s1", "mine/m")
            with client_of(session, module) as client:
                assert said(client.post("/chat/completions", json=body("hi"))) == "hi"

            async def turn() -> None:
                async with async_client_of(session, module) as client:
                    assert said(await client.post("/chat/completions", json=body("hi"))) == "hi"

            asyncio.run(turn())
            provider.follow(status(404, {"error": {"message": "no such model", "code": "model_not_found"}}))
            with client_of(session, module) as client:
                client.post("/chat/completions", json=body("hi"))
        assert provider.requests[-1].path == "/v1/models", "our own calls take the same way"
        assert len(proxy.heads) == 3
        assert {head.split(b"\r\n")[0] for head in proxy.heads} == {
            f"CONNECT {NAME}:{provider.port} HTTP/1.1".encode()
        }
        assert not any(b"sk-" in head for head in proxy.heads)


def test_a_proxy_that_a_program_names_does_not_widen_where_a_key_may_go(
    home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, ["127.0.0.1"])
    with closing(Proxy(provider.port)) as proxy, holdfast.open(proxy=f"http://127.0.0.1:{proxy.port}") as hf:
        with client_of(hf.session("s1", "mine/m")) as client:
            assert said(client.post("/chat/completions", json=body("hi"))) == "hi"
        assert proxy.heads == [], "to this machine there is no proxy"


def test_without_a_proxy_means_none_whatever_the_environment_names(
    home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    resolving(monkeypatch, ["127.0.0.1"])
    configure(home, f"http://{NAME}:{provider.port}/v1")
    with holdfast.open(proxy="") as hf, client_of(hf.session("s1", "mine/m")) as client:
        assert said(client.post("/chat/completions", json=body("hi"))) == "hi"


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"proxy": "http://me:hunter2/x@proxy.example"}, "proxy= is not the URL of a proxy"),
        ({"verify": "/nowhere/authorities.pem"}, "/nowhere/authorities.pem, which does not exist"),
        ({"verify": False}, "verify= takes no True or False"),
    ],
)
def test_what_cannot_be_used_is_refused_when_the_home_is_opened(
    given: dict[str, Any], what: str, provider: ScriptedProvider
) -> None:
    with pytest.raises(holdfast.ConfigError, match=what) as refused:
        holdfast.open(**given)
    assert "hunter2" not in str(refused.value)
    assert "holdfast.open(" in str(refused.value)


# After the end
# ----------------------------------------------------------------------------------------------------------


AFTER_CLOSE: dict[str, Callable[[holdfast.Holdfast, holdfast.Session], Any]] = {
    "a new session": lambda hf, session: hf.session("s9", "mine/m"),
    "a resumed session": lambda hf, session: hf.session("s1"),
    "the sessions": lambda hf, session: hf.sessions(),
    "the pin": lambda hf, session: session.pin,
    "a switch": lambda hf, session: session.switch("mine/m2"),
    "why": lambda hf, session: session.why(),
    "origin": lambda hf, session: session.origin(),
}


@pytest.mark.parametrize("name", AFTER_CLOSE)
def test_what_a_closed_holdfast_is_asked_for_is_refused_with_what_to_do(
    name: str, hf: holdfast.Holdfast, caplog: pytest.LogCaptureFixture
) -> None:
    session = hf.session("s1", "mine/m")
    hf.close()
    with pytest.raises(holdfast.Closed, match=r"this Holdfast is closed.*\n.*holdfast\.open\(\)"):
        AFTER_CLOSE[name](hf, session)
    hf.close()
    assert caplog.messages == []


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_turn_after_the_close_is_refused_and_nothing_is_sent(
    asynchronous: bool, hf: holdfast.Holdfast, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    session = hf.session("s1", "mine/m")
    client, async_client = client_of(session), async_client_of(session)
    with client:
        client.post("/chat/completions", json=body("hi"))
        hf.close()
        if asynchronous:
            answer = asyncio.run(async_client.post("/chat/completions", json=body("hi")))
        else:
            answer = client.post("/chat/completions", json=body("hi"))
    error = answer.json()["error"]
    assert (answer.status_code, error["holdfast"]["class"]) == (409, "closed")
    assert answer.headers["x-should-retry"] == "false"
    assert "this Holdfast is closed" in error["message"]
    assert len(provider.requests) == 1
    assert caplog.messages == []


def test_slow_keys_take_no_thread_from_the_callers_own_program(
    home: Path, provider: ScriptedProvider
) -> None:
    go, waiting = threading.Event(), threading.Semaphore(0)

    def slow() -> str:
        waiting.release()
        go.wait(10)
        return "sk-aaaaaaaaaaaaaaaa"

    (home / "holdfast.toml").write_text(f'[provider.mine]\nurl = "{provider.url}"\nkeys = ["call:slow"]\n')

    async def main() -> None:
        import anyio

        with holdfast.open(keys={"slow": slow}) as hf:
            async with async_client_of(hf.session("s1", "mine/m")) as client:
                turns = [
                    asyncio.ensure_future(client.post("/chat/completions", json=body("hi")))
                    for _ in range(60)
                ]
                await asyncio.to_thread(waiting.acquire)
                with anyio.fail_after(5):
                    assert await anyio.to_thread.run_sync(lambda: True)
                turns.pop().cancel()
                go.set()
                assert all(said(answer) == "hi" for answer in await asyncio.gather(*turns))

    asyncio.run(main())
