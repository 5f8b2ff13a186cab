"""The scripted provider does what its script says, and remembers what it saw."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from typing import Any

import httpx2
import pytest

from holdfast.core.identity import Dialect
from holdfast.fake_provider import (
    ScriptedProvider,
    empty,
    fails_for,
    ok,
    only_keys,
    reset,
    stall,
    status,
    wrong_door,
)

CHAT = {"model": "m", "messages": []}


def post(provider: ScriptedProvider, key: str = "k", **more: Any) -> httpx2.Response:
    return httpx2.post(
        f"{provider.url}/chat/completions", json=CHAT | more, headers={"Authorization": f"Bearer {key}"}
    )


def test_it_starts_at_once_and_records_what_arrives(provider: ScriptedProvider) -> None:
    start = time.process_time()
    with ScriptedProvider():
        pass
    assert time.process_time() - start < 0.5
    httpx2.post(
        f"{provider.root}/v1/messages?beta=true",
        json={"model": "m", "stream": True},
        headers={"X-Api-Key": "k2", "X-Stainless-Retry-Count": "1"},
    )
    [seen] = provider.requests
    assert (seen.number, seen.method, seen.path, seen.key, seen.model, seen.dialect) == (
        1,
        "POST",
        "/v1/messages?beta=true",
        "k2",
        "m",
        Dialect.ANTHROPIC_MESSAGES,
    )
    assert seen.streams
    assert seen.retry_count == 1
    assert "k2" not in repr(seen.body)


def test_a_list_is_worked_off_and_its_last_entry_stays(provider: ScriptedProvider) -> None:
    provider.follow([status(500), wrong_door(), empty()])
    assert [post(provider).status_code for _ in range(4)] == [500, 404, 200, 200]
    assert post(provider).json() == {}
    provider.follow([ok("first"), ok("second")])
    assert post(provider).json()["choices"][0]["message"]["content"] == "first"


def test_only_the_keys_that_are_good_get_an_answer(provider: ScriptedProvider) -> None:
    provider.follow(only_keys({"good"}))
    assert [post(provider, key).status_code for key in ("good", "bad")] == [200, 401]


def test_it_fails_for_a_while_and_then_answers(provider: ScriptedProvider) -> None:
    provider.follow(fails_for(0.2, status(503)))
    assert post(provider).status_code == 503
    time.sleep(0.25)
    assert post(provider).status_code == 200


def test_a_compressed_answer_says_so(provider: ScriptedProvider) -> None:
    provider.follow(ok("packed", compressed=True))
    with httpx2.stream("POST", f"{provider.url}/chat/completions", json=CHAT) as response:
        assert json.loads(gzip.decompress(b"".join(response.iter_raw())))["model"] == "m"


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [(reset(), httpx2.ReadError), (stall(0.0), httpx2.RemoteProtocolError), (stall(), httpx2.ReadTimeout)],
)
def test_a_connection_can_be_reset_dropped_or_left_hanging(
    behaviour: Any, error: type[Exception], provider: ScriptedProvider
) -> None:
    provider.follow(behaviour)
    with pytest.raises(error):
        httpx2.post(f"{provider.url}/chat/completions", json=CHAT, timeout=0.3)


def test_models_are_listed_whatever_the_script_says(provider: ScriptedProvider) -> None:
    provider.follow(status(500))
    assert [model["id"] for model in httpx2.get(f"{provider.url}/models").json()["data"]] == ["scripted-1"]
    assert len(provider.requests) == 1
    assert provider.calls == []


def test_two_hundred_connections_at_once_are_served(provider: ScriptedProvider) -> None:
    provider.follow(ok(delay=0.3))

    async def main() -> list[int]:
        async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=200), timeout=30) as client:
            answers = await asyncio.gather(
                *(client.post(f"{provider.url}/chat/completions", json=CHAT) for _ in range(200))
            )
            return [answer.status_code for answer in answers]

    assert asyncio.run(main()) == [200] * 200
    assert sorted(seen.number for seen in provider.requests) == list(range(1, 201))


def test_closing_it_cuts_what_hangs_and_ends_its_thread() -> None:
    provider = ScriptedProvider(stall())

    def call() -> None:
        with pytest.raises(httpx2.TransportError):
            post(provider)

    caller = threading.Thread(target=call)
    caller.start()
    while not provider.requests:
        time.sleep(0.01)
    provider.close()
    provider.close()
    caller.join(timeout=5)
    assert not caller.is_alive()
    assert not any(thread.name.endswith(str(provider.port)) for thread in threading.enumerate())
