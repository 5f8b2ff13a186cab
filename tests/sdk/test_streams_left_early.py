"""A stream that its caller leaves, by `break` and without closing it, ends at the provider, and nothing is
complaints in the log."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

import holdfast
from holdfast.fake_provider import ScriptedProvider, ok

from .test_connection_pools import LOOPS, async_client_of, body, is_soon, on_asyncio, on_uvloop

LEFT = 12


@pytest.fixture
def provider(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.setenv("MINE_KEY", "sk-aaaaaaaaaaaaaaaa")
    with ScriptedProvider(ok("one two three four five " * 20, event_delay=0.05)) as made:
        endpoints = f'{{ openai-chat = "{made.url}", anthropic-messages = "{made.root}" }}'
        (home / "holdfast.toml").write_text(
            f'[provider.mine]\nendpoints = {endpoints}\nkeys = ["env:MINE_KEY"]\n'
        )
        yield made


@pytest.fixture
def hf(provider: ScriptedProvider) -> Iterator[holdfast.Holdfast]:
    with holdfast.open() as opened:
        yield opened


async def of_openai(session: holdfast.Session) -> None:
    async with openai.AsyncOpenAI(**session.for_openai_async()) as client:
        for _ in range(LEFT):
            async for _ in await client.chat.completions.create(**body("hi"), stream=True):  # type: ignore[call-overload]
                break
            await asyncio.sleep(0.01)


async def of_anthropic(session: holdfast.Session) -> None:
    async with anthropic.AsyncAnthropic(**session.for_anthropic_async()) as client:
        for _ in range(LEFT):
            async for _ in await client.messages.create(**body("hi"), max_tokens=9, stream=True):  # type: ignore[call-overload]
                break
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("leave", [of_openai, of_anthropic])
@pytest.mark.parametrize("run", [on_asyncio, on_uvloop])
def test_a_stream_of_an_sdk_that_is_left_early_is_closed_without_a_word(
    run: Any,
    leave: Any,
    hf: holdfast.Holdfast,
    provider: ScriptedProvider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    complaints: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
        await leave(hf.session("s1", "mine/m"))
        gc.collect()
        assert await asyncio.to_thread(is_soon, lambda: provider.connections == 0)

    run(main)
    gc.collect()
    assert (complaints, caplog.messages) == ([], [])


@LOOPS
def test_a_stream_of_either_generation_that_is_left_early_is_closed_without_a_word(
    run: Any, hf: holdfast.Holdfast, provider: ScriptedProvider, module: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def lines(client: Any) -> Any:
        request = client.build_request("POST", "/chat/completions", json=body("hi") | {"stream": True})
        response = await client.send(request, stream=True)
        try:
            async for line in response.aiter_lines():
                yield line
        finally:
            await response.aclose()

    async def main() -> None:
        import anyio

        async with async_client_of(hf.session("s1", "mine/m"), module) as client:
            for _ in range(LEFT):
                async for _ in lines(client):
                    break
                await anyio.sleep(0.01)
            gc.collect()
            assert await anyio.to_thread.run_sync(is_soon, lambda: provider.connections == 0)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run(main)
        gc.collect()
    assert caplog.messages == []
    # trio warns of each generator that is left, those of the caller and of the module among them.
    assert not [each for each in warned if "holdfast" in str(each.message)]
