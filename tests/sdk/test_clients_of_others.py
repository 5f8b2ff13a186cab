"""Clients that were not made for their session: of another SDK, of a class for another service, or past the
transport. Each is refused in words, and nothing leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import httpx2
import openai
import pytest

import holdfast
from holdfast.core.identity import Dialect
from holdfast.fake_provider import ScriptedProvider, ok
from holdfast.sdk.client_options import NOWHERE
from holdfast.sdk.client_paths import Family, refusal_of_client

Session = holdfast.Session
SAYS: Any = [{"role": "user", "content": "hi"}]


@pytest.fixture
def provider(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.setenv("K1", "sk-key-one-1234567")
    with ScriptedProvider(ok("hi")) as made:
        (home / "holdfast.toml").write_text(
            f'[provider.a]\nkeys = ["env:K1"]\n[provider.a.endpoints]\nopenai-chat = "{made.url}"\n'
            f'openai-responses = "{made.url}"\nanthropic-messages = "{made.root}"\n'
        )
        yield made


def chat(client: Any) -> Any:
    return client.chat.completions.create(model="m", messages=SAYS)


def message(client: Any) -> Any:
    return client.messages.create(model="m", max_tokens=5, messages=SAYS)


class Wrong(NamedTuple):
    """A client that is refused: how it is made and called, and words of its refusal."""

    call: Callable[[Session], Any]
    words: str
    advice: str = "anthropic.Anthropic(**session.for_anthropic())"


OPENAI = "openai.OpenAI(**session.for_openai())"
CLIENTS = {
    "Anthropic with OpenAI's": Wrong(
        lambda session: message(anthropic.Anthropic(**session.for_openai())),  # type: ignore[misc]
        "speaks as anthropic.Anthropic, but was made with session.for_openai()",
    ),
    "Anthropic's list of models with OpenAI's": Wrong(
        lambda session: anthropic.Anthropic(**session.for_openai()).models.list(),  # type: ignore[misc]
        "speaks as anthropic.Anthropic, but was made with session.for_openai()",
    ),
    "OpenAI with Anthropic's": Wrong(
        lambda session: chat(openai.OpenAI(**session.for_anthropic())),  # type: ignore[misc]
        "speaks as openai.OpenAI, but was made with session.for_anthropic()",
        OPENAI,
    ),
    "OpenAI's list of models with Anthropic's": Wrong(
        lambda session: openai.OpenAI(**session.for_anthropic()).models.list(),  # type: ignore[misc]
        "speaks as openai.OpenAI, but was made with session.for_anthropic()",
        OPENAI,
    ),
    "Azure with OpenAI's": Wrong(
        lambda session: chat(openai.AzureOpenAI(api_version="2024-06-01", **session.for_openai())),
        "openai.AzureOpenAI addresses its own service (/v1/deployments/m/chat/completions)",
        OPENAI,
    ),
    "Azure with its own address": Wrong(
        lambda session: chat(
            openai.AzureOpenAI(
                api_version="2024-06-01",
                azure_endpoint="http://mine.invalid",
                api_key="x",
                http_client=session.for_openai()["http_client"],
            )
        ),
        "(/openai/deployments/m/chat/completions)",
        OPENAI,
    ),
    "another base URL": Wrong(
        lambda session: chat(
            openai.OpenAI(**(session.for_openai() | {"base_url": "http://x.invalid/api/v1"}))
        ),  # type: ignore[arg-type]
        "base URL has a path of its own, which makes /api/v1/chat/completions",
        OPENAI,
    ),
    "Vertex": Wrong(
        lambda session: message(
            anthropic.AnthropicVertex(
                http_client=session.for_anthropic()["http_client"],
                base_url="http://x.invalid",
                region="us",
                project_id="p",
                access_token="t",
            )
        ),
        "anthropic.AnthropicVertex addresses its own service (/projects/p/locations/us/publishers/",
    ),
    "Foundry": Wrong(
        lambda session: message(
            anthropic.AnthropicFoundry(
                http_client=session.for_anthropic()["http_client"], resource="mine", api_key="x"
            )
        ),
        "base URL has a path of its own, which makes /anthropic/v1/messages",
    ),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_that_was_not_made_for_its_session_is_refused_before_anything_is_sent(
    name: str, provider: ScriptedProvider
) -> None:
    wrong = CLIENTS[name]
    with holdfast.open() as hf:
        session = hf.session("s1", "a/m")
        with pytest.raises((openai.BadRequestError, anthropic.BadRequestError)) as refused:
            wrong.call(session)
        assert '"class": "wrong_client"' in refused.value.response.text
        assert wrong.words in str(refused.value)
        assert wrong.advice in str(refused.value)
        assert "nothing was sent" in str(refused.value)
        assert hf.engine.store.evidence() == []
    assert provider.requests == []


@pytest.mark.parametrize(
    ("path", "dialect", "made_for", "refused"),
    [
        ("/v1/chat/completions", Dialect.OPENAI_CHAT, Family.OPENAI, False),
        ("/chat/completions", Dialect.OPENAI_CHAT, None, False),
        ("/v1/chat/completions/id/messages", Dialect.OPENAI_CHAT, Family.OPENAI, False),
        ("/v1/threads/t/messages", Dialect.OPENAI_CHAT, Family.OPENAI, False),
        ("/v1/responses/r/input_items", Dialect.OPENAI_RESPONSES, Family.OPENAI, False),
        ("/v1/files?purpose=batch", Dialect.OPENAI_CHAT, Family.OPENAI, False),
        ("/v1/messages?beta=true", Dialect.ANTHROPIC_MESSAGES, Family.ANTHROPIC, False),
        ("/v1/messages/batches", Dialect.ANTHROPIC_MESSAGES, Family.ANTHROPIC, False),
        ("/v1/files", Dialect.ANTHROPIC_MESSAGES, Family.ANTHROPIC, False),
        ("/v1/messages", Dialect.ANTHROPIC_MESSAGES, None, False),
        ("/v1/files", Dialect.ANTHROPIC_MESSAGES, Family.OPENAI, True),
        ("/v1/v1/messages", Dialect.ANTHROPIC_MESSAGES, None, True),
        ("/v1/v1/chat/completions", Dialect.OPENAI_CHAT, None, True),
        ("/openai/v1/responses", Dialect.OPENAI_CHAT, None, True),
        ("/model/m/invoke", Dialect.ANTHROPIC_MESSAGES, Family.ANTHROPIC, True),
        ("/model/m/converse-stream", Dialect.OPENAI_CHAT, None, True),
        ("/v1/projects/p/locations/l/publishers/a/models/m:rawPredict", Dialect.OPENAI_CHAT, None, True),
    ],
)
def test_a_path_is_refused_only_where_it_cannot_be_put_behind_an_endpoint(
    path: str, dialect: Dialect, made_for: Family | None, refused: bool
) -> None:
    assert (refusal_of_client(path, made_for, dialect is Dialect.ANTHROPIC_MESSAGES) is not None) is refused


def _causes(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield str(error)
        error = error.__cause__ or error.__context__


def test_a_client_that_forgot_the_transport_reaches_no_host_and_its_error_says_why(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", provider.root)
    monkeypatch.setenv("ALL_PROXY", provider.root)
    with holdfast.open() as hf:
        options = hf.session("s1", "a/m").for_openai()
        bare: Any = {name: value for name, value in options.items() if name != "http_client"}
        with openai.OpenAI(**bare) as client, pytest.raises(openai.APIConnectionError) as refused:
            chat(client)
        assert "not-through-holdfast" in " ".join(_causes(refused.value))

        async def ask() -> None:
            async with openai.AsyncOpenAI(**bare) as client:
                await chat(client)

        with pytest.raises(openai.APIConnectionError) as also_refused:
            asyncio.run(ask())
        assert "not-through-holdfast" in " ".join(_causes(also_refused.value))
    assert provider.requests == []
    assert httpx2.URL(NOWHERE).host.endswith(".invalid")


def test_one_transport_serves_the_sdk_that_it_was_made_for(provider: ScriptedProvider) -> None:
    with holdfast.open() as hf:
        session = hf.session("s1", "a/m")
        with openai.OpenAI(**session.for_openai()) as client:
            assert chat(client).choices[0].message.content == "hi"
        with anthropic.Anthropic(**session.for_anthropic()) as other:
            assert message(other).content[0].text == "hi"


@pytest.mark.parametrize("entered", [False, True])
def test_a_transport_of_the_other_kind_names_the_right_one(provider: ScriptedProvider, entered: bool) -> None:
    async def ask(transport: Any) -> None:
        client = httpx2.AsyncClient(transport=transport, base_url="http://holdfast.invalid/v1")
        if entered:
            await client.__aenter__()
        await client.get("/models")

    def blocking(transport: Any) -> None:
        client = httpx2.Client(transport=transport, base_url="http://holdfast.invalid/v1")
        if entered:
            client.__enter__()
        client.get("/models")

    with holdfast.open() as hf:
        session = hf.session("s1", "a/m")
        with pytest.raises(TypeError, match=r"an AsyncClient session\.async_transport\(\)"):
            asyncio.run(ask(session.transport()))
        with pytest.raises(TypeError, match=r"a Client takes session\.transport\(\)"):
            blocking(session.async_transport())
    assert provider.requests == []
