"""A deadline bounds a whole call, whatever it waits for, with the real SDKs over the real engine."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

import holdfast
from holdfast.fake_provider import ScriptedProvider, ok, reset, stall, status
from holdfast.store.journal_events import EventKind

CHAT: Any = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
SHORT = 0.4
"""Seconds: the deadline of these calls."""
SOON = SHORT + 6.0
"""Seconds after which a call with that deadline has ended on the slowest machine; what it waits for takes
longer."""
THROTTLED = status(
    429,
    {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"}},
    {"retry-after": "8"},
)


@pytest.fixture
def home_of(home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MINE_KEY", "sk-aaaaaaaaaaaaaaaa")
    opened: list[holdfast.Holdfast] = []

    def make(key: str = "env:MINE_KEY") -> holdfast.Holdfast:
        endpoints = f'openai-chat = "{provider.url}", anthropic-messages = "{provider.root}"'
        (home / "holdfast.toml").write_text(
            f'[provider.mine]\nendpoints = {{ {endpoints} }}\nmodels = ["m"]\nkeys = ["{key}"]\n'
        )
        opened.append(holdfast.open(home, keys={"slow": lambda: time.sleep(30) or "sk-never"}))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


class Caller:
    """One call with an SDK; `per_call` gives the deadline to the call, else the session has it."""

    def __init__(self, sdk: str, *, asynchronous: bool, per_call: bool, stream: bool = False) -> None:
        self.sdk, self.asynchronous, self.per_call, self.stream = sdk, asynchronous, per_call, stream
        self.module: Any = openai if sdk == "openai" else anthropic

    def ask(self, hf: holdfast.Holdfast, deadline: float = SHORT, **more: Any) -> Any:
        """Return the answer, as a list of events where it streams."""
        session = hf.session("s1", "mine/m", deadline=None if self.per_call else deadline)
        if self.per_call:
            more["extra_headers"] = {"holdfast-deadline": str(deadline)}
        if self.asynchronous:
            return asyncio.run(self._ask_async(session, more))
        options: Any = session.for_openai() if self.sdk == "openai" else session.for_anthropic()
        with getattr(self.module, "OpenAI" if self.sdk == "openai" else "Anthropic")(**options) as client:
            return [*self._call(client, more)] if self.stream else self._call(client, more)

    async def _ask_async(self, session: Any, more: dict[str, Any]) -> Any:
        options = session.for_openai_async() if self.sdk == "openai" else session.for_anthropic_async()
        kind = getattr(self.module, "AsyncOpenAI" if self.sdk == "openai" else "AsyncAnthropic")
        async with kind(**options) as client:
            answer = await self._call(client, more)
            return [event async for event in answer] if self.stream else answer

    def _call(self, client: Any, more: dict[str, Any]) -> Any:
        if self.sdk == "openai":
            return client.chat.completions.create(**CHAT, stream=self.stream, **more)
        return client.messages.create(**CHAT, max_tokens=9, stream=self.stream, **more)


@pytest.fixture(
    params=[(sdk, kind) for sdk in ("openai", "anthropic") for kind in ("sync", "async")], ids="-".join
)
def caller(request: pytest.FixtureRequest) -> Caller:
    sdk, kind = request.param
    return Caller(sdk, asynchronous=kind == "async", per_call=(sdk == "openai") == (kind == "sync"))


def since(provider: ScriptedProvider) -> float:
    """Return the seconds since the last request came: SDKs load parts of themselves before it."""
    return time.time() - provider.requests[-1].at


def kinds(hf: holdfast.Holdfast) -> list[str]:
    return [event.kind for event in hf.session("s1").attempts()]


def test_a_provider_that_says_nothing_ends_as_the_sdks_time_out(
    caller: Caller, home_of: Any, provider: ScriptedProvider
) -> None:
    hf = home_of()
    provider.follow(stall())
    with pytest.raises(caller.module.APITimeoutError) as caught:
        caller.ask(hf)
    assert since(provider) < SOON
    assert "the deadline of 0.4 s for this call is over" in str(caught.value.__cause__)
    assert "mine/m" in str(caught.value.__cause__)
    assert len(provider.requests) == 1
    assert "the deadline of the call comes first" in hf.session("s1").why()


def test_a_throttle_that_outlasts_the_deadline_is_answered_at_once(
    caller: Caller, home_of: Any, provider: ScriptedProvider
) -> None:
    hf = home_of()
    provider.follow(THROTTLED)
    with pytest.raises(caller.module.RateLimitError, match="slow down") as caught:
        caller.ask(hf, deadline=2, timeout=2)
    assert since(provider) < 7
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(provider.requests) == 1
    assert "the deadline of the call comes first" in hf.session("s1").why()


def test_a_passing_fault_is_recovered_from_within_the_deadline(
    caller: Caller, home_of: Any, provider: ScriptedProvider
) -> None:
    provider.follow([reset(), ok("recovered")])
    assert "recovered" in str(caller.ask(home_of(), deadline=20))
    assert len(provider.requests) == 2
    assert "holdfast-deadline" not in str(provider.requests[0].headers), "it is ours"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stream_that_drips_ends_at_the_deadline(
    asynchronous: bool, home_of: Any, provider: ScriptedProvider
) -> None:
    hf = home_of()
    provider.follow(ok("word " * 200, event_delay=0.05))
    with pytest.raises((openai.APITimeoutError, httpx2.ReadTimeout, httpx.ReadTimeout)) as caught:
        Caller("openai", asynchronous=asynchronous, per_call=True, stream=True).ask(hf, deadline=1.5)
    assert "the deadline of 1.5 s" in f"{caught.value} {caught.value.__cause__}"
    assert since(provider) < SOON
    assert EventKind.TRUNCATED in kinds(hf)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_answer_that_drips_before_its_output_ends_at_the_deadline(
    asynchronous: bool, home_of: Any, provider: ScriptedProvider
) -> None:
    hf = home_of()
    provider.follow(stall(after=0))
    with pytest.raises(openai.APITimeoutError):
        Caller("openai", asynchronous=asynchronous, per_call=False, stream=True).ask(hf)
    assert since(provider) < SOON


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_key_that_comes_too_late_ends_the_call_with_a_line_in_why(
    asynchronous: bool, home_of: Any, provider: ScriptedProvider
) -> None:
    hf = home_of("call:slow")
    began = time.monotonic()
    with pytest.raises(openai.APITimeoutError) as caught:
        Caller("openai", asynchronous=asynchronous, per_call=False).ask(hf)
    assert time.monotonic() - began < 25
    assert "the deadline of 0.4 s for this call is over" in str(caught.value.__cause__)
    assert "holdfast why s1" in str(caught.value.__cause__)
    assert "given up: timed out: the deadline of 0.4 s for this call is over" in hf.session("s1").why()
    assert not provider.requests


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_wait_for_another_requests_test_ends_at_the_deadline(
    asynchronous: bool, home_of: Any, provider: ScriptedProvider
) -> None:
    hf = home_of()
    provider.follow(stall(2))

    def ask_first() -> None:
        with pytest.raises(openai.APIError):
            Caller("openai", asynchronous=False, per_call=True).ask(hf, deadline=2)

    first = threading.Thread(target=ask_first)
    first.start()
    while not provider.requests:
        time.sleep(0.01)
    with pytest.raises(openai.APITimeoutError):
        Caller("openai", asynchronous=asynchronous, per_call=True).ask(hf)
    assert EventKind.GIVEN_UP in kinds(hf)
    first.join()
    assert len(provider.requests) == 1, "the second waited for the first answer of the key"


def test_the_callers_own_times_are_kept_where_they_are_shorter(
    home_of: Any, provider: ScriptedProvider
) -> None:
    hf = home_of()
    provider.follow(stall())
    with pytest.raises(openai.APITimeoutError):
        Caller("openai", asynchronous=False, per_call=False).ask(hf, deadline=20, timeout=0.1)
    assert since(provider) < 15


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "inf", "1,2"])
def test_a_deadline_that_is_none_is_refused_before_anything_is_sent(
    value: str, home_of: Any, provider: ScriptedProvider
) -> None:
    with (
        openai.OpenAI(**home_of().session("s1", "mine/m").for_openai()) as client,
        pytest.raises(openai.BadRequestError, match="no positive number of seconds"),
    ):
        client.chat.completions.create(**CHAT, extra_headers={"holdfast-deadline": value})
    assert not provider.requests


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1.0, ValueError), ("5", TypeError), (True, TypeError)]
)
def test_a_session_takes_a_number_of_seconds_as_its_deadline(
    value: Any, error: type[Exception], home_of: Any
) -> None:
    with pytest.raises(error, match="deadline must be"):
        home_of().session("s1", "mine/m", deadline=value)


def test_without_a_deadline_nothing_is_shortened(home_of: Any, provider: ScriptedProvider) -> None:
    hf = home_of()
    provider.follow(ok("late", delay=SHORT * 1.5))
    Caller("openai", asynchronous=False, per_call=True).ask(hf, deadline=20)
    with openai.OpenAI(**hf.session("s1").for_openai()) as client:
        assert client.chat.completions.create(**CHAT).choices[0].message.content == "late"
