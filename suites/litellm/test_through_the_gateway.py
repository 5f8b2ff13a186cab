"""The SDKs through `holdfast serve` to a real LiteLLM proxy: answers, streams, refusals and a bad key, in
both dialects that it speaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from proxy import MASTER, ensure, free_port, running

from gateway.served import Served, eventually, provider, serving, write_config
from holdfast.fake_provider import ScriptedProvider, ok, status

pytestmark = [pytest.mark.timeout(900), pytest.mark.drives("litellm")]
CHAT, MESSAGES = "some-chat", "some-claude"
INNOCENT = {"provider_unavailable", "transient"}
TEXT = "The proxy is real."
SAYS: list[Any] = [{"role": "user", "content": "Where were we?"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedProvider]:
    """The provider behind the proxy."""
    with ScriptedProvider() as provider:
        yield provider


@pytest.fixture(autouse=True)
def well(upstream: ScriptedProvider) -> None:
    """Each test begins with a provider that answers."""
    upstream.follow(ok(TEXT))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedProvider) -> Iterator[Served]:
    """A gateway before a proxy: `team` has the proxy's key, `stale` one that the proxy does not know. Behind
    the proxy is `upstream`. No stream is begun by a comment, so that a late failure still has its status."""
    ensure()
    directory = tmp_path_factory.mktemp("proxy")
    through = {"openai": {"api_base": upstream.url}, "anthropic": {"api_base": upstream.root}}
    models = {
        name: {"model": f"{maker}/m1", "api_key": "sk-upstream", **through[maker]}
        for name, maker in ((CHAT, "openai"), (MESSAGES, "anthropic"))
    }
    with running(models, directory, free_port()) as url:
        doors = (
            f'endpoints = {{ openai-chat = "{url}/v1", anthropic-messages = "{url}" }}\nprofile = "litellm"'
        )
        tables = [
            provider(name, url, keys=[f"env:{variable}"], models=[CHAT, MESSAGES, "gone"]).replace(
                f'url = "{url}"', doors
            )
            for name, variable in (("team", "GOOD"), ("stale", "BAD"))
        ]
        write_config(directory / "home", "\n".join(["[gateway]\ncomment_after = 0", *tables]))
        with serving(
            directory / "home", environ={"GOOD": MASTER, "BAD": "sk-nobody-knows-this-one"}
        ) as gateway:
            yield gateway


@pytest.fixture
def chat(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{served.port}/v1", api_key=served.token) as client:
        yield client


@pytest.fixture
def messages(served: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=f"http://127.0.0.1:{served.port}", api_key=served.token) as client:
        yield client


def test_answers_come_through_in_both_dialects(chat: openai.OpenAI, messages: anthropic.Anthropic) -> None:
    raw = chat.chat.completions.with_raw_response.create(model=f"team/{CHAT}", messages=SAYS)
    assert json.loads(raw.content)["choices"][0]["message"]["content"] == TEXT
    assert (raw.headers["holdfast-pin"], raw.headers["holdfast-attempts"]) == (f"team/{CHAT}", "1")
    answer = messages.messages.create(model=f"team/{MESSAGES}", max_tokens=50, messages=SAYS)
    assert answer.content[0].text == TEXT


def test_streams_come_through_in_both_dialects(chat: openai.OpenAI, messages: anthropic.Anthropic) -> None:
    stream = chat.chat.completions.create(model=f"team/{CHAT}", messages=SAYS, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == TEXT
    with messages.messages.stream(model=f"team/{MESSAGES}", max_tokens=50, messages=SAYS) as events:
        assert events.get_final_text() == TEXT


@pytest.mark.parametrize("streams", [False, True])
def test_a_model_that_the_proxy_lacks_is_not_found_and_costs_no_key(
    chat: openai.OpenAI, messages: anthropic.Anthropic, streams: bool
) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        chat.chat.completions.create(model="team/gone", messages=SAYS, stream=streams)
    assert refused.value.response.headers["holdfast-fault"] == "model_unavailable"
    with pytest.raises(anthropic.NotFoundError) as declined:
        messages.messages.create(model="team/gone", max_tokens=50, messages=SAYS, stream=streams)
    assert declined.value.response.headers["holdfast-fault"] == "model_unavailable"
    assert (
        chat.chat.completions.create(model=f"team/{CHAT}", messages=SAYS).choices[0].message.content == TEXT
    )


def test_a_key_that_the_proxy_does_not_know_is_refused_as_such_and_asked_once(
    chat: openai.OpenAI, messages: anthropic.Anthropic
) -> None:
    with pytest.raises(openai.AuthenticationError) as refused:
        chat.chat.completions.create(model=f"stale/{CHAT}", messages=SAYS)
    headers = refused.value.response.headers
    assert (headers["holdfast-fault"], headers["holdfast-attempts"], headers["x-should-retry"]) == (
        "auth_rejected",
        "1",
        "false",
    )
    for asked in ("1", "0"):  # an address of its own: asked there once
        with pytest.raises(anthropic.AuthenticationError) as declined:
            messages.messages.create(model=f"stale/{MESSAGES}", max_tokens=50, messages=SAYS)
        assert declined.value.response.headers["holdfast-attempts"] == asked
    assert "nothing was sent" in str(declined.value)
    assert "holdfast key reset stale BAD" in str(declined.value)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("code", [401, 500])
def test_a_fault_of_the_provider_behind_the_proxy_is_not_blamed_on_our_key(
    served: Served,
    upstream: ScriptedProvider,
    chat: openai.OpenAI,
    messages: anthropic.Anthropic,
    code: int,
    streams: bool,
) -> None:
    upstream.follow(
        status(
            code,
            {
                "error": {
                    "message": "the proxy's own key is bad" if code == 401 else "out of order",
                    "type": "api_error",
                }
            },
        )
    )
    with pytest.raises(openai.APIStatusError) as refused:
        chat.chat.completions.create(model=f"team/{CHAT}", messages=SAYS, stream=streams)
    assert refused.value.response.headers["holdfast-fault"] in INNOCENT
    with pytest.raises(anthropic.APIStatusError) as declined:
        messages.messages.create(model=f"team/{MESSAGES}", max_tokens=50, messages=SAYS, stream=streams)
    assert declined.value.response.headers["holdfast-fault"] in INNOCENT
    upstream.follow(ok(TEXT))
    eventually(lambda: served.chat(f"team/{CHAT}").status_code == 200, 60)


def test_neither_log_nor_home_holds_a_key(served: Served) -> None:
    for secret in (MASTER, "sk-nobody-knows-this-one"):
        assert secret not in "".join(served.errors)
        assert not [
            path for path in served.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()
        ]
