"""On the caller's event loop no store is read or written, no file is read and no program runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.core.identity import Key, ProviderName
from holdfast.fake_provider import ScriptedProvider, ok, stall, status
from holdfast.store.journal_events import RequestGivenUp, of_type
from holdfast.store.sqlite import SqliteStore

from .test_connection_pools import LOOPS, async_client_of, body, is_soon

QUICK = frozenset({"now", "glance"})
"""What waits for nobody."""
THROTTLED = status(
    429, {"error": {"message": "slow", "code": "rate_limit_exceeded"}}, headers={"retry-after": "40"}
)
REFUSED = status(401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})


class Watching:
    """A store that notes on which threads it is called."""

    def __init__(self, store: SqliteStore) -> None:
        self._store, self.calls = store, list[tuple[str, int]]()

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._store, name)
        if name in QUICK or not callable(member):
            return member

        def call(*args: Any, **named: Any) -> Any:
            self.calls.append((name, threading.get_ident()))
            return member(*args, **named)

        return call

    def on_this_thread(self) -> list[str]:
        """Return what was called on the thread that asks."""
        return [name for name, thread in self.calls if thread == threading.get_ident()]


@pytest.fixture
def provider(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.setenv("K1", "sk-aaaaaaaaaaaaaaaa")
    key, others_key = tmp_path / "key", tmp_path / "others-key"
    for path, letter in ((key, "b"), (others_key, "c")):
        path.write_text("sk-" + letter * 16)
        path.chmod(0o600)
    with ScriptedProvider(ok("hi")) as made:
        (home / "holdfast.toml").write_text(
            f'[provider.mine]\nurl = "{made.url}"\nkeys = ["env:K1", "file:{key}"]\n'
            f'[provider.other]\nurl = "{made.url}"\nkeys = ["file:{others_key}"]\n'
            '[fallback]\n"mine/m" = { then = ["other/m"] }\n'
        )
        yield made


@pytest.fixture
def store(home: Path) -> Watching:
    return Watching(SqliteStore(home / "state.db"))


@pytest.fixture
def hf(provider: ScriptedProvider, store: Watching) -> Iterator[holdfast.Holdfast]:
    with holdfast.open(store=store) as opened:  # type: ignore[arg-type]
        opened.session("s1", "mine/m")
        store.calls.clear()
        yield opened


SCRIPTS: dict[str, list[Any]] = {
    "good answers": [ok("hi")],
    "a verdict": [THROTTLED, ok("hi")],
    "a refused key": [ok("hi"), REFUSED, ok("hi")],
    "another provider": [THROTTLED, THROTTLED, ok("hi")],
    "a server that fails": [status(503), ok("hi")],
}


@pytest.mark.parametrize("script", SCRIPTS)
@LOOPS
def test_no_turn_calls_the_store_on_the_event_loop(
    run: Any, script: str, hf: holdfast.Holdfast, provider: ScriptedProvider, store: Watching
) -> None:
    provider.follow(SCRIPTS[script])
    session = hf.session("s1")

    async def main() -> None:
        store.calls.clear()
        async with async_client_of(session) as client:
            for _ in range(3):
                assert (await client.post("/chat/completions", json=body("hi"))).status_code == 200
            hf.engine.config_watch.expire()
            assert (await client.post("/chat/completions", json=body("hi"))).status_code == 200
        assert store.on_this_thread() == []

    run(main)
    assert store.calls, "the store was used all the same"


@LOOPS
def test_a_cancelled_turn_has_its_line_and_gives_back_what_it_held(
    run: Any, hf: holdfast.Holdfast, provider: ScriptedProvider, store: Watching
) -> None:
    session = hf.session("s1")

    async def main() -> None:
        import anyio

        store.calls.clear()
        async with async_client_of(session) as client:
            await client.post("/chat/completions", json=body("hi"))
            provider.follow([REFUSED, stall(30.0)])
            async with anyio.create_task_group() as group:
                group.start_soon(partial(client.post, "/chat/completions", json=body("hi")))
                assert await anyio.to_thread.run_sync(is_soon, lambda: len(provider.requests) == 3)
                group.cancel_scope.cancel()
        assert store.on_this_thread() == []

    run(main)
    [event] = of_type(session.attempts(), RequestGivenUp)
    assert event.pin == "mine/m"
    assert "given up: its caller left before there was an answer; sent until then: 2" in session.why()
    assert is_soon(lambda: not [name for name, _ in store.calls if name == "lease"] or released(hf))


def released(hf: holdfast.Holdfast) -> bool:
    key = Key(ProviderName("mine"), "K1", "env:K1")
    return (
        hf.engine.store.holder(
            f"probe:{hf.engine.fingerprint(key)}@{hf.config.providers['mine'].endpoints[0].url}"
        )
        is None
    )


def test_a_locked_store_does_not_hold_up_the_event_loop(
    hf: holdfast.Holdfast, provider: ScriptedProvider, store: Watching
) -> None:
    session, go = hf.session("s1"), threading.Event()
    provider.follow([THROTTLED, ok("hi")])
    apply = store._store.apply

    def stuck(*args: Any) -> Any:
        go.wait(10)
        return apply(*args)

    store._store.apply = stuck  # type: ignore[method-assign]

    async def main() -> None:
        async with async_client_of(session) as client:
            turn = asyncio.ensure_future(client.post("/chat/completions", json=body("hi")))
            assert await asyncio.to_thread(is_soon, lambda: bool(provider.requests))
            assert await asyncio.to_thread(is_soon, lambda: any(name == "apply" for name, _ in store.calls))
            assert (await turn).status_code == 200, "a verdict counts before it is stored"
            go.set()

    asyncio.run(main())
