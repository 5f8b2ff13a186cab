"""The asynchronous forms of what may wait: the same results, and nothing of the store on the event loop."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.fake_provider import ScriptedProvider
from holdfast.store.sqlite import SqliteStore

from .test_an_event_loop_waits_for_nothing import Watching
from .test_connection_pools import LOOPS, async_client_of, body, configure, is_soon, provider, said

__all__ = ["provider"]


@pytest.fixture
def store(provider: ScriptedProvider, home: Path) -> Watching:
    return Watching(SqliteStore(home / "state.db"))


@LOOPS
def test_a_home_is_used_from_open_to_close_without_the_store_on_the_event_loop(
    run: Any, provider: ScriptedProvider, store: Watching
) -> None:
    async def main() -> None:
        async with holdfast.aopen(store=store) as hf:  # type: ignore[arg-type]
            session = await hf.asession("s1", "mine/m")
            async with async_client_of(session) as client:
                assert said(await client.post("/chat/completions", json=body("hi"))) == "hi"
            await session.aswitch("mine/m2")
            assert (await session.arow()).pin.model == "m2"
            assert [row.id for row in await hf.asessions()] == ["s1"]
            assert "switched by its user from mine/m to mine/m2" in await session.awhy()
            assert len(await session.aattempts()) == 4
            assert (await session.aorigin()).values()
            with pytest.raises(holdfast.ConnectionLost, match="no provider 'nobody'"):
                await hf.asession("s2", "nobody/m")
        with pytest.raises(holdfast.Closed):
            await session.awhy()

    run(main)
    assert is_soon(lambda: provider.connections == 0)
    assert threading.get_ident() not in {thread for _, thread in store.calls}


@LOOPS
def test_a_home_that_is_awaited_is_closed_by_its_own_asynchronous_close(
    run: Any, provider: ScriptedProvider
) -> None:
    async def main() -> None:
        hf = await holdfast.aopen()
        async with hf:
            assert hf.sessions() == []
        with pytest.raises(holdfast.Closed):
            await hf.asessions()

    run(main)


def test_what_cannot_be_opened_is_refused_when_it_is_awaited(home: Path, provider: ScriptedProvider) -> None:
    import asyncio

    configure(home, "no url")

    async def main() -> None:
        async with holdfast.aopen():
            pytest.fail("this home is broken")

    with pytest.raises(holdfast.ConfigError):
        asyncio.run(main())
