"""The costs that the transport adds to a client: the same client against the same provider, with and without
a session of ours.

All features are on: SQLite store, evidence, journal, the writer's thread; the lines that are queued at the
end of a batch are written before the clock stops.
"""

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
    values: dict[str, object] = {"messages": _messages(size), "model": stub.MODEL}
    if stream:
        values["stream"] = True
    return json.dumps(values).encode()


@contextmanager
def _opened(url: str) -> Iterator[holdfast.sdk.api.Holdfast]:
    """Open a new home with one provider."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOLDFAST_BENCH_KEY"] = _KEY
        Path(home, "holdfast.toml").write_text(
            f'[provider.bench]\nurl = "{url}"\nmodels = ["{stub.MODEL}"]\n'
            'keys = ["env:HOLDFAST_BENCH_KEY"]\n',
            "utf-8",
        )
        with holdfast.sdk.api.open(home) as opened:
            yield opened


def _session(opened: holdfast.sdk.api.Holdfast) -> holdfast.sdk.api.Session:
    return opened.session("bench", f"bench/{stub.MODEL}")


def _no_flush() -> None:
    """Write nothing: the bare client has no journal."""


class _Sync:
    """A blocking client, with our transport if `opened` is given."""

    def __init__(self, module: Any, url: str, opened: holdfast.sdk.api.Holdfast | None) -> None:
        self._flush: Callable[[], None] = _no_flush
        transport = None
        if opened is not None:
            self._flush = opened.engine.journal_writer.flush
            transport = _session(opened).transport(module)
        self._client = module.Client(transport=transport, trust_env=False)
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
    """The same client on an event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, module: Any, url: str, opened: holdfast.sdk.api.Holdfast | None
    ) -> None:
        self._loop = loop
        self._flush: Callable[[], None] = _no_flush
        transport = None
        if opened is not None:
            self._flush = opened.engine.journal_writer.flush
            transport = _session(opened).async_transport(module)
        self._client = module.AsyncClient(transport=transport, trust_env=False)
        self._url = f"{url}/chat/completions"

    def posting(self, body: bytes) -> Work:
        async def work(count: int) -> None:
            for _ in range(count):
                response = await self._client.post(self._url, headers=_HEADERS, content=body)
                assert response.status_code == 200

        return self._blocking(work)

    def streaming(self, body: bytes) -> Work:
        async def work(count: int) -> None:
            for _ in range(count):
                stream = self._client.stream("POST", self._url, headers=_HEADERS, content=body)
                async with stream as response:
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
    """Return the work of the real SDK, which parses the answer."""
    import openai

    options: dict[str, Any] = {"base_url": url, "api_key": _KEY, "max_retries": 0}
    flush: Callable[[], None] = _no_flush
    if opened is not None:
        options, flush = dict(_session(opened).for_openai()), opened.engine.journal_writer.flush
    client = openai.OpenAI(**options)
    messages: Any = _messages(size)

    def work(count: int) -> None:
        for _ in range(count):
            assert client.chat.completions.create(model=stub.MODEL, messages=messages).choices
        flush()

    return work


def figures(rounds: int) -> list[Figure]:
    """Measure the bare client and the costs that ours adds, for short prompts, streams, large prompts and the
    SDK.

    The figures are microseconds of CPU time a request.
    """
    loop = asyncio.new_event_loop()
    collected: list[Figure] = []
    try:
        with stub.running() as url, _opened(url) as opened:
            for name in _NAMES:
                module = __import__(name)
                bare, ours = _Sync(module, url, None), _Sync(module, url, opened)
                collected += _of_clients(f"{name}, sync", bare, ours, rounds)
                bare_async, ours_async = _Async(loop, module, url, None), _Async(loop, module, url, opened)
                collected += _of_clients(f"{name}, async", bare_async, ours_async, rounds)
            pair = in_turn({"bare": _sdk(url, None, 1_000), "ours": _sdk(url, opened, 1_000)}, 150, rounds)
            collected += _pair("openai SDK, sync", pair["bare"], pair["ours"])
    finally:
        loop.close()
    return collected


def _of_clients(title: str, bare: _Sync | _Async, ours: _Sync | _Async, rounds: int) -> list[Figure]:
    collected: list[Figure] = []
    small, large, streamed = _body(1_000), _body(1_000_000), _body(1_000, stream=True)
    samples = in_turn({"bare": bare.posting(small), "ours": ours.posting(small)}, 300, rounds)
    collected += _pair(title, samples["bare"], samples["ours"], budget=60.0)
    samples = in_turn({"bare": bare.streaming(streamed), "ours": ours.streaming(streamed)}, 40, rounds)
    collected += _pair(f"{title}, {stub.CHUNKS} chunks", samples["bare"], samples["ours"])
    by_chunk = [added / stub.CHUNKS for added in differences(samples["ours"], samples["bare"])]
    collected.append(figure("library", f"{title}, added for each chunk", by_chunk))
    samples = in_turn({"bare": bare.posting(large), "ours": ours.posting(large)}, 30, rounds)
    collected += _pair(f"{title}, 1 MB prompt", samples["bare"], samples["ours"])
    return collected


def _pair(title: str, bare: list[float], ours: list[float], budget: float | None = None) -> list[Figure]:
    return [
        figure("library", f"{title}, bare", bare),
        figure("library", f"{title}, added", differences(ours, bare), budget=budget),
    ]
