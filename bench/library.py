"""What the transport adds to a client: the same client against the same provider, with and without a session
of ours.

Everything is on: SQLite store, evidence, journal, the recorder's thread; what is queued at the end of a batch
is written before the clock stops."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import holdfast.sdk.api

from . import stub
from .measure import Figure, differences, figure, in_turn

_KEY = "sk-bench-0123456789abcdef"
_HEADERS = {
    "authorization": f"Bearer {_KEY}",
    "content-type": "application/json",
    "accept": "application/json",
    "user-agent": "bench",
}
_NAMES = ("httpx2", "httpx")
Work = Callable[[int], object]


def _messages(size: int) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "The quick brown fox. " * ((size - 150) // 21)},
    ]


def _body(size: int, *, stream: bool = False) -> bytes:
    return json.dumps(
        {"messages": _messages(size), "model": stub.MODEL} | ({"stream": True} if stream else {})
    ).encode()


@contextmanager
def _opened(url: str) -> Iterator[holdfast.sdk.api.Holdfast]:
    """A home with one provider, and a session on it."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["HOLDFAST_BENCH_KEY"] = _KEY
        Path(place, "holdfast.toml").write_text(
            f'[provider.bench]\nurl = "{url}"\nmodels = ["{stub.MODEL}"]\nkeys = ["env:HOLDFAST_BENCH_KEY"]\n',
            "utf-8",
        )
        with holdfast.sdk.api.open(place) as opened:
            yield opened


class _Sync:
    """One blocking client, bare or ours."""

    def __init__(self, module: Any, url: str, opened: holdfast.sdk.api.Holdfast | None) -> None:
        self._flush = opened.engine.journal_writer.flush if opened is not None else lambda: None
        self._client = (
            module.Client(transport=opened.session("bench", f"bench/{stub.MODEL}").transport(module))
            if opened
            else module.Client(trust_env=False)
        )
        self._url = f"{url}/chat/completions"

    def posting(self, body: bytes) -> Work:
        def work(count: int) -> None:
            for _ in range(count):
                assert self._client.post(self._url, headers=_HEADERS, content=body).status_code == 200
            self._flush()

        return work

    def streaming(self, body: bytes) -> Work:
        def work(count: int) -> None:
            for _ in range(count):
                with self._client.stream("POST", self._url, headers=_HEADERS, content=body) as response:
                    assert sum(1 for _ in response.iter_raw()) >= stub.CHUNKS
            self._flush()

        return work


class _Async:
    """The same on an event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, module: Any, url: str, opened: holdfast.sdk.api.Holdfast | None
    ) -> None:
        self._loop = loop
        self._flush = opened.engine.journal_writer.flush if opened is not None else lambda: None
        transport = opened.session("bench", f"bench/{stub.MODEL}").async_transport(module) if opened else None
        self._client = module.AsyncClient(transport=transport, trust_env=False)
        self._url = f"{url}/chat/completions"

    def posting(self, body: bytes) -> Work:
        async def work(count: int) -> None:
            for _ in range(count):
                assert (await self._client.post(self._url, headers=_HEADERS, content=body)).status_code == 200

        return self._blocking(work)

    def streaming(self, body: bytes) -> Work:
        async def work(count: int) -> None:
            for _ in range(count):
                async with self._client.stream("POST", self._url, headers=_HEADERS, content=body) as response:
                    seen = 0
                    async for _ in response.aiter_raw():
                        seen += 1
                assert seen >= stub.CHUNKS

        return self._blocking(work)

    def _blocking(self, work: Callable[[int], Awaitable[None]]) -> Work:
        def run(count: int) -> None:
            self._loop.run_until_complete(work(count))
            self._flush()

        return run


def _sdk(url: str, opened: holdfast.sdk.api.Holdfast | None, size: int) -> Work:
    """The real SDK, which parses the answer."""
    import openai

    options: dict[str, Any] = {"base_url": url, "api_key": _KEY, "max_retries": 0}
    flush: Callable[[], None] = lambda: None  # noqa: E731
    if opened is not None:
        options, flush = (
            dict(opened.session("bench", f"bench/{stub.MODEL}").for_openai()),
            opened.engine.journal_writer.flush,
        )
    client = openai.OpenAI(**options)
    messages: Any = _messages(size)

    def work(count: int) -> None:
        for _ in range(count):
            assert client.chat.completions.create(model=stub.MODEL, messages=messages).choices
        flush()

    return work


def figures(rounds: int) -> list[Figure]:
    """The bare client, what ours adds to it, and the same for streams, large prompts and the SDK. CPU
    microseconds a request."""
    loop = asyncio.new_event_loop()
    found: list[Figure] = []
    try:
        with stub.running() as url, _opened(url) as opened:
            for name in _NAMES:
                found += _of_module(name, loop, url, opened, rounds)
            pair = in_turn({"bare": _sdk(url, None, 1_000), "ours": _sdk(url, opened, 1_000)}, 150, rounds)
            found += _pair("openai SDK, sync", pair["bare"], pair["ours"], None)
    finally:
        loop.close()
    return found


def _of_module(
    name: str, loop: asyncio.AbstractEventLoop, url: str, opened: holdfast.sdk.api.Holdfast, rounds: int
) -> list[Figure]:
    module = __import__(name)
    clients: dict[str, tuple[_Sync | _Async, _Sync | _Async]] = {
        f"{name}, sync": (_Sync(module, url, None), _Sync(module, url, opened)),
        f"{name}, async": (_Async(loop, module, url, None), _Async(loop, module, url, opened)),
    }
    found: list[Figure] = []
    for title, (bare, ours) in clients.items():
        small, large, streamed = _body(1_000), _body(1_000_000), _body(1_000, stream=True)
        samples = in_turn({"bare": bare.posting(small), "ours": ours.posting(small)}, 300, rounds)
        found += _pair(title, samples["bare"], samples["ours"], 60.0)
        samples = in_turn({"bare": bare.streaming(streamed), "ours": ours.streaming(streamed)}, 40, rounds)
        found += _pair(f"{title}, {stub.CHUNKS} chunks", samples["bare"], samples["ours"], None)
        added = differences(samples["ours"], samples["bare"])
        found.append(
            figure("library", f"{title}, added for each chunk", [one / stub.CHUNKS for one in added])
        )
        samples = in_turn({"bare": bare.posting(large), "ours": ours.posting(large)}, 30, rounds)
        found += _pair(f"{title}, 1 MB prompt", samples["bare"], samples["ours"], None)
    return found


def _pair(title: str, bare: list[float], ours: list[float], budget: float | None) -> list[Figure]:
    return [
        figure("library", f"{title}, bare", bare),
        figure("library", f"{title}, added", differences(ours, bare), budget=budget),
    ]
