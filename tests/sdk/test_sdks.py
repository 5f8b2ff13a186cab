"""The real SDKs of both generations over the real engine: what their users see when a provider behaves, and
when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from holdfast.fake_provider import ScriptedProvider, error_event, ok, reset, status, truncated
from holdfast.sdk import api

MESSAGES: list[Any] = [{"role": "user", "content": "hello"}]
Call = Callable[[Any], Any]


def chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES, **more)


def responses(client: Any, **more: Any) -> Any:
    return client.responses.create(model="m", input="hello", **more)


def messages(client: Any, **more: Any) -> Any:
    return client.messages.create(model="m", max_tokens=16, messages=MESSAGES, **more)


def text_of(event: Any) -> str:
    """The text in a chunk or event of any of the three dialects."""
    if hasattr(event, "choices"):
        return "".join(choice.delta.content or "" for choice in event.choices)
    delta = getattr(event, "delta", "")
    return str(delta if isinstance(delta, str) else getattr(delta, "text", None) or "")


def whole_text(answer: Any) -> str:
    if hasattr(answer, "choices"):
        return str(answer.choices[0].message.content)
    return str(answer.output_text if hasattr(answer, "output_text") else answer.content[0].text)


SDKS = {
    "openai-chat": ("for_openai", openai.OpenAI, openai.AsyncOpenAI, chat, openai.APIError),
    "openai-responses": ("for_openai", openai.OpenAI, openai.AsyncOpenAI, responses, openai.APIError),
    "anthropic-messages": (
        "for_anthropic",
        anthropic.Anthropic,
        anthropic.AsyncAnthropic,
        messages,
        anthropic.APIError,
    ),
}


@pytest.fixture
def session(home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[api.Session]:
    monkeypatch.setenv("MINE_KEY", "sk-aaaaaaaaaaaaaaaa")
    endpoints = (
        f'openai-chat = "{provider.url}", openai-responses = "{provider.url}", anthropic-messages = '
        f'"{provider.root}"'
    )
    (home / "holdfast.toml").write_text(
        f'[provider.mine]\nendpoints = {{ {endpoints} }}\nmodels = ["m"]\nkeys = ["env:MINE_KEY"]\n'
    )
    with api.open(home) as opened:
        yield opened.session("s1", "mine/m")


class Caller:
    """One SDK, blocking or not, that asks and gives back the text; `error` is what its users catch."""

    def __init__(self, session: api.Session, name: str, asynchronous: bool) -> None:
        options, sync_class, async_class, self._call, self.error = SDKS[name]
        make = getattr(session, f"{options}_async" if asynchronous else options)
        self._make = lambda: (async_class if asynchronous else sync_class)(**make())
        self._asynchronous = asynchronous

    def text(self, *, stream: bool) -> str:
        if self._asynchronous:
            return asyncio.run(self._text(stream))
        with self._make() as client:
            if not stream:
                return whole_text(self._call(client))
            return "".join(text_of(event) for event in self._call(client, stream=True))

    async def _text(self, stream: bool) -> str:
        async with self._make() as client:
            if not stream:
                return whole_text(await self._call(client))
            return "".join([text_of(event) async for event in await self._call(client, stream=True)])


@pytest.fixture(params=[f"{name} {kind}" for name in SDKS for kind in ("sync", "async")])
def caller(request: pytest.FixtureRequest, session: api.Session) -> Caller:
    name, kind = request.param.split()
    return Caller(session, name, kind == "async")


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_reaches_the_user_and_the_key_only_the_provider(
    stream: bool, caller: Caller, provider: ScriptedProvider
) -> None:
    provider.follow(ok("grüße vom tang"))
    assert caller.text(stream=stream) == "grüße vom tang"
    [seen] = provider.requests
    assert seen.key == "sk-aaaaaaaaaaaaaaaa"
    assert "held-by-holdfast" not in str(dict(seen.headers))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behaviour", [reset(), status(502), error_event("no capacity", "overloaded_error")])
def test_a_passing_failure_is_not_seen_by_the_user(
    stream: bool, behaviour: Any, caller: Caller, provider: ScriptedProvider
) -> None:
    if behaviour.error and not stream:
        behaviour = status(503, {"error": dict(behaviour.error)})
    provider.follow([behaviour, ok("recovered")])
    assert caller.text(stream=stream) == "recovered"
    assert len(provider.requests) == 2


@pytest.mark.parametrize("behaviour", [truncated(3), error_event("no capacity", "overloaded_error", after=3)])
def test_a_stream_that_is_cut_raises_the_sdks_own_error(
    behaviour: Any, caller: Caller, provider: ScriptedProvider, request: pytest.FixtureRequest
) -> None:
    if behaviour.error and "responses" in request.node.name:
        pytest.skip("this SDK hands a provider's own error event out as data")
    provider.follow(behaviour)
    with pytest.raises(caller.error, match=r"without its terminal event|no capacity"):
        caller.text(stream=True)
    assert len(provider.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_the_providers_refusal_is_the_sdks_own_error_and_not_retried(
    stream: bool, caller: Caller, provider: ScriptedProvider
) -> None:
    provider.follow(status(400, {"error": {"message": "bad parameter", "type": "invalid_request_error"}}))
    with pytest.raises(caller.error, match="bad parameter") as caught:
        caller.text(stream=stream)
    assert caught.value.status_code == 400
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(provider.requests) == 1


def test_the_error_that_a_user_logs_holds_no_key(caller: Caller, provider: ScriptedProvider) -> None:
    provider.follow(status(400))
    with pytest.raises(caller.error) as caught:
        caller.text(stream=False)
    text = (
        f"{caught.value!r} {caught.value.request.headers.raw!r} {caught.value.response.headers.raw!r} "
        f"{caught.value.request.url}"
    )
    assert "sk-aaaa" not in text


def test_sdks_that_retry_by_themselves_do_not_multiply_our_sends(
    session: api.Session, provider: ScriptedProvider
) -> None:
    provider.follow(status(503))
    with (
        openai.OpenAI(**session.for_openai() | {"max_retries": 2}) as client,
        pytest.raises(openai.InternalServerError),
    ):
        chat(client)
    assert len(provider.requests) <= 3
