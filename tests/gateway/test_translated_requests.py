"""A program asks in its own dialect, its provider speaks another: through the library and the gateway, with
the SDKs as callers."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import anthropic
import httpx2
import openai
import pytest

import holdfast
from holdfast.core.identity import Dialect
from holdfast.store.journal_events import RequestTranslated, of_type
from holdfast.testing import ScriptedProvider, error_event, ok, status, truncated
from holdfast.translate.exchange import CallerRequest, Destination, Translation

from .conftest import Running, StartGateway  # type: ignore[import-not-found]

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
TEXT = "All quiet on the scripted side."
PAIRS = [(caller, endpoint) for caller in Dialect for endpoint in Dialect if caller is not endpoint]
PATHS = {CHAT: "/v1/chat/completions", RESPONSES: "/v1/responses", MESSAGES: "/v1/messages"}


def config(provider: ScriptedProvider, endpoint: Dialect, more: str = "") -> str:
    url = provider.root if endpoint is MESSAGES else provider.url
    return (
        f'[provider.mine]\nurl = "{url}"\ndialect = "{endpoint}"\nkeys = ["env:KEY_A", "env:KEY_B"]\n'
        f'models = [{{ id = "scripted-1", output = 4096 }}]\n{more}\n[settings]\nprobe_delays = [0, 0]\n'
    )


@dataclass
class Asking:
    """A caller's two SDKs, on one face."""

    openai: openai.OpenAI
    anthropic: anthropic.Anthropic
    plane: Running

    def ask(self, dialect: Dialect, *, stream: bool = False, **more: Any) -> tuple[str, Any]:
        """Return the text of an answer, and its headers."""
        words: list[Any] = [{"role": "user", "content": "hi"}]
        raw: Any
        if dialect is CHAT:
            given = {"model": "scripted-1", "messages": words, "stream": stream} | more
            raw = self.openai.chat.completions.with_raw_response.create(**given)
            if stream:
                chunks = [chunk for chunk in raw.parse() if chunk.choices]
                return "".join(chunk.choices[0].delta.content or "" for chunk in chunks), raw.headers
            return raw.parse().choices[0].message.content, raw.headers
        if dialect is RESPONSES:
            given = {"model": "scripted-1", "input": words, "stream": stream} | more
            raw = self.openai.responses.with_raw_response.create(**given)
            if stream:
                last = list(raw.parse())[-1]
                assert last.type == "response.completed"
                return last.response.output_text, raw.headers
            return raw.parse().output_text, raw.headers
        given = {"model": "scripted-1", "messages": words, "max_tokens": 99, "stream": stream} | more
        raw = self.anthropic.messages.with_raw_response.create(**given)
        if stream:
            events = list(raw.parse())
            assert events[-1].type == "message_stop"
            deltas = [event.delta for event in events if event.type == "content_block_delta"]
            return "".join(delta.text for delta in deltas), raw.headers
        return "".join(block.text for block in raw.parse().content), raw.headers


@contextlib.contextmanager
def by_library(plane: Running) -> Iterator[Asking]:
    session = plane.holdfast.session("mine", "mine/scripted-1")
    with (
        openai.OpenAI(**session.for_openai()) as first,
        anthropic.Anthropic(**session.for_anthropic()) as second,
    ):
        yield Asking(first, second, plane)


@contextlib.contextmanager
def by_gateway(plane: Running) -> Iterator[Asking]:
    plane.holdfast.session("token-test", "mine/scripted-1")
    with (
        openai.OpenAI(base_url=plane.url, api_key=plane.token, max_retries=0) as first,
        anthropic.Anthropic(base_url=plane.root, api_key=plane.token, max_retries=0) as second,
    ):
        yield Asking(first, second, plane)


Face = Callable[[Running], contextlib.AbstractContextManager[Asking]]
FACES = pytest.mark.parametrize("face", [by_library, by_gateway])


@FACES
@pytest.mark.parametrize(("caller", "endpoint"), PAIRS, ids=str)
def test_every_dialect_is_answered_by_an_endpoint_of_every_other(
    gateway: StartGateway, provider: ScriptedProvider, face: Face, caller: Dialect, endpoint: Dialect
) -> None:
    """A request that is like the one before it is translated as it was."""
    asked = (False, False, True, True)
    with face(gateway(config=config(provider, endpoint).replace(', "env:KEY_B"', ""))) as asking:
        for stream in asked:
            text, headers = asking.ask(caller, stream=stream)
            assert text == TEXT
            assert headers["holdfast-translated"].partition(";")[0] == f"{caller}>{endpoint}"
            assert headers["holdfast-pin"] == "mine/scripted-1"
    assert [(seen.path, seen.model, seen.streams) for seen in provider.calls] == [
        (PATHS[endpoint], "scripted-1", stream) for stream in asked
    ]


def test_a_fallback_is_translated_after_a_native_request_like_those_before_it(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    more = (
        f'[provider.other]\nurl = "{provider.root}"\ndialect = "anthropic-messages"\nkeys = ["env:KEY_B"]\n'
        'models = [{ id = "other-1", output = 4096 }]\n'
        '[fallback]\n"mine/scripted-1" = { then = ["other/other-1"] }\n'
    )
    text = config(provider, CHAT, more).replace(', "env:KEY_B"', "", 1)
    with by_gateway(gateway(config=text)) as asking:
        assert [asking.ask(CHAT)[0] for _ in range(3)] == [TEXT] * 3
        provider.follow(lambda seen: ok() if seen.dialect is MESSAGES else status(500, {"error": "down"}))
        text, headers = asking.ask(CHAT)
        assert (text, headers["holdfast-fallback"]) == (TEXT, "other/other-1")
    assert provider.calls[-1].path == PATHS[MESSAGES]


async def profiled(note: Callable[[FrameType, str, object], None] | None) -> None:
    """Call `note` at each call in the thread of this loop."""
    sys.setprofile(note)


@pytest.mark.parametrize("face", [by_library, by_gateway])
def test_a_native_request_runs_nothing_of_a_translation(
    face: Callable[[Running], contextlib.AbstractContextManager[Asking]],
    gateway: StartGateway,
    provider: ScriptedProvider,
) -> None:
    plane, ran = gateway(config=config(provider, CHAT)), set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            ran.add(frame.f_code.co_filename.rpartition("holdfast/")[2])

    with face(plane) as asking:
        asking.ask(CHAT)
        plane.call(profiled(note))
        sys.setprofile(note)
        try:
            for stream in (False, True):
                asking.ask(CHAT, stream=stream)
        finally:
            sys.setprofile(None)
            plane.call(profiled(None))
    assert {"wire/request_body.py", "wire/stream_events.py"} & ran
    assert not {
        name for name in ran if name.startswith(("translate/", "engine/translator", "wire/translated"))
    }


def test_what_was_translated_and_lost_is_in_the_header_and_in_the_journal(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=config(provider, CHAT))
    with by_gateway(plane) as asking:
        _, headers = asking.ask(MESSAGES, metadata={"user_id": "somebody"})
        assert headers["holdfast-translated"] == "anthropic-messages>openai-chat; less=user"
    plane.holdfast.engine.journal_writer.flush()
    (noted,) = of_type(plane.holdfast.engine.store.journal(session="token-test"), RequestTranslated)
    assert noted.detail == RequestTranslated("anthropic-messages", "openai-chat", "user")
    assert b"somebody" not in provider.calls[0].body


@FACES
def test_what_cannot_be_said_is_refused_with_its_path_before_anything_is_sent(
    gateway: StartGateway, provider: ScriptedProvider, face: Face
) -> None:
    with face(gateway(config=config(provider, CHAT))) as asking:
        with pytest.raises(openai.BadRequestError) as refused:
            asking.ask(RESPONSES, previous_response_id="resp_1")
        error: Any = refused.value.body
        assert error["code"] == "untranslatable"
        assert error["holdfast"]["path"] == "previous_response_id"
        assert error["message"].startswith("previous_response_id: ")
        assert "openai-chat" in error["message"]
        assert error["holdfast"]["next_step"].startswith("holdfast ")
    assert provider.calls == []


SETTINGS = [
    ('translate = "exact"', openai.BadRequestError, "untranslatable"),
    ('translate = "never"', openai.BadRequestError, "wrong_dialect"),
]


@pytest.mark.parametrize(("setting", "error", "code"), SETTINGS)
def test_a_provider_may_be_translated_exactly_or_never(
    gateway: StartGateway, provider: ScriptedProvider, setting: str, error: type[Exception], code: str
) -> None:
    with by_gateway(gateway(config=config(provider, CHAT, setting))) as asking:
        with pytest.raises(error) as refused:
            asking.ask(RESPONSES, metadata={"a": "b"})
        assert refused.value.body["code"] == code  # type: ignore[attr-defined]
        if code == "untranslatable":
            assert asking.ask(RESPONSES)[0] == TEXT
    assert len(provider.calls) == (code == "untranslatable")


def test_a_long_request_is_translated_while_others_are_answered(
    gateway: StartGateway, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another thread than all else; what is said of it, and what is sent, is the same."""
    threads: list[str] = []
    translate = CallerRequest.to

    def noted(request: CallerRequest, destination: Destination) -> Translation:
        threads.append(threading.current_thread().name.partition("_")[0])
        return translate(request, destination)

    monkeypatch.setattr(CallerRequest, "to", noted)
    long = [{"role": "user", "content": "word " * 60_000}]
    refused: list[Any] = []
    with by_gateway(gateway(config=config(provider, CHAT))) as asking:
        for words in ([{"role": "user", "content": "hi"}], long):
            assert asking.ask(MESSAGES, messages=words)[1]["holdfast-translated"].startswith(MESSAGES)
            with pytest.raises(anthropic.BadRequestError) as error:
                asking.ask(MESSAGES, messages=words, container="c")
            refused.append(error.value.body)
    assert threads == ["gateway"] * 2 + ["holdfast-step"] * 2
    assert len(provider.calls) == 2
    assert len(provider.calls[1].body) > 300_000
    assert refused[0] == refused[1]


def test_a_long_request_is_translated_for_a_fallback_too(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    provider.follow(lambda seen: ok() if seen.dialect is MESSAGES else status(500, {"error": "down"}))
    more = (
        f'[provider.other]\nurl = "{provider.root}"\ndialect = "anthropic-messages"\nkeys = ["env:KEY_B"]\n'
        'models = ["other-1"]\n[fallback]\n"mine/scripted-1" = { then = ["other/other-1"] }\n'
    )
    long = [{"role": "user", "content": "word " * 60_000}]
    with by_gateway(gateway(config=config(provider, CHAT, more))) as asking:
        _, headers = asking.ask(CHAT, messages=long, max_tokens=9)
        assert headers["holdfast-fallback"] == "other/other-1"
        with pytest.raises(openai.APIStatusError):
            asking.ask(CHAT, messages=long, n=2)
    assert provider.calls[-1].dialect is CHAT


def test_a_dialect_that_an_endpoint_has_can_be_translated_all_the_same(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    text = (
        f'[provider.mine]\nkeys = ["env:KEY_A"]\nmodels = ["scripted-1"]\ntranslate = ["openai-responses"]\n'
        f'endpoints = {{ openai-chat = "{provider.url}", openai-responses = "{provider.url}" }}\n'
    )
    with by_gateway(gateway(config=text)) as asking:
        assert asking.ask(RESPONSES)[0] == asking.ask(CHAT)[0] == TEXT
    assert {seen.path for seen in provider.calls} == {PATHS[CHAT]}


@FACES
@pytest.mark.parametrize(("caller", "endpoint"), PAIRS, ids=str)
def test_a_stream_without_its_end_is_an_error_of_the_callers_dialect(
    gateway: StartGateway, provider: ScriptedProvider, face: Face, caller: Dialect, endpoint: Dialect
) -> None:
    provider.follow(truncated())
    with face(gateway(config=config(provider, endpoint))) as asking:
        if caller is RESPONSES:
            *_, last = asking.openai.responses.create(model="scripted-1", input="hi", stream=True)
            assert last.type == "response.failed"
            return
        with pytest.raises((openai.APIError, anthropic.APIError)):
            asking.ask(caller, stream=True)


@FACES
def test_a_key_is_rotated_and_a_fault_told_in_the_callers_dialect(
    gateway: StartGateway, provider: ScriptedProvider, face: Face
) -> None:
    limited = status(429, {"error": {"message": "insufficient_quota", "code": "insufficient_quota"}})
    provider.follow([limited, ok(), limited, limited])
    with face(gateway(config=config(provider, CHAT))) as asking:
        assert asking.ask(MESSAGES)[0] == TEXT
        assert [(seen.key or "")[:7] for seen in provider.calls] == ["sk-aaaa", "sk-bbbb"]
        with pytest.raises(anthropic.APIStatusError) as refused:
            asking.ask(MESSAGES)
        error: Any = refused.value.body
        assert error["type"] == "error"
        assert error["error"]["holdfast"]["class"] == "quota_exhausted"


@FACES
def test_thoughts_keep_a_request_that_is_translated_on_no_key(
    gateway: StartGateway, provider: ScriptedProvider, face: Face
) -> None:
    limited = status(429, {"error": {"message": "insufficient_quota", "code": "insufficient_quota"}})
    thought = {"role": "assistant", "content": TEXT, "reasoning_content": "Quiet."}
    answer = {"object": "chat.completion", "id": "a", "model": "scripted-1", "created": 1}
    answer |= {"choices": [{"index": 0, "message": thought, "finish_reason": "stop"}]}
    provider.follow([status(200, answer), limited, ok()])
    text = config(provider, CHAT, 'profile = "deepseek"\n')
    with face(gateway(config=text)) as asking:
        given: Any = {"model": "scripted-1", "include": ["reasoning.encrypted_content"], "store": False}
        first = asking.openai.responses.create(input="hi", **given)
        history = [item.model_dump(exclude_none=True) for item in first.output]
        assert history[0]["encrypted_content"].startswith("hf1~")
        encrypted = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAelsewhere"}
        asked: Any = [{"role": "user", "content": "hi"}, encrypted, *history]
        again = asking.openai.responses.create(input=[*asked, {"role": "user", "content": "more"}], **given)
        assert again.output_text == TEXT
    assert [(seen.key or "")[:7] for seen in provider.calls] == ["sk-aaaa", "sk-aaaa", "sk-bbbb"]
    assert b"Quiet." in provider.calls[-1].body


@FACES
def test_an_error_event_before_the_output_leads_to_the_next_key(
    gateway: StartGateway, provider: ScriptedProvider, face: Face
) -> None:
    provider.follow([error_event(429), ok()])
    with face(gateway(config=config(provider, MESSAGES))) as asking:
        assert asking.ask(CHAT, stream=True)[0] == TEXT
    assert len(provider.calls) == 2


@FACES
def test_a_fallback_of_another_dialect_is_asked_in_its_own(
    gateway: StartGateway, provider: ScriptedProvider, face: Face
) -> None:
    provider.follow(lambda seen: ok() if seen.dialect is MESSAGES else status(500, {"error": "down"}))
    more = (
        f'[provider.other]\nurl = "{provider.root}"\ndialect = "anthropic-messages"\nkeys = ["env:KEY_B"]\n'
        'models = ["other-1"]\n[fallback]\n"mine/scripted-1" = { then = ["other/other-1"] }\n'
    )
    with face(gateway(config=config(provider, CHAT, more))) as asking:
        text, headers = asking.ask(RESPONSES, max_output_tokens=50)
        assert (text, headers["holdfast-fallback"]) == (TEXT, "other/other-1")
        assert headers["holdfast-translated"].startswith("openai-responses>anthropic-messages")
        native = asking.ask(MESSAGES)[1]
        assert "holdfast-translated" not in native


@FACES
def test_a_fallback_that_would_refuse_the_request_is_passed_over(
    gateway: StartGateway, provider: ScriptedProvider, face: Face
) -> None:
    provider.follow(lambda seen: ok() if seen.model == "last" else status(500, {"error": "down"}))
    more = (
        f'[provider.other]\nurl = "{provider.root}"\ndialect = "anthropic-messages"\nkeys = ["env:KEY_B"]\n'
        f'[provider.third]\nurl = "{provider.url}"\nkeys = ["env:KEY_B"]\n'
        '[fallback]\n"mine/scripted-1" = { then = ["other/other-1", "third/last"] }\n'
    )
    with face(gateway(config=config(provider, CHAT, more))) as asking:
        text, headers = asking.ask(CHAT, n=2)
        assert (text, headers["holdfast-fallback"]) == (TEXT, "third/last")
    assert MESSAGES not in {seen.dialect for seen in provider.calls}


def test_nothing_is_called_translated_that_was_not_sent(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    """Both keys are known to be empty: the second request is refused from memory."""
    limited = status(429, {"error": {"message": "insufficient_quota", "code": "insufficient_quota"}})
    provider.follow(limited)
    plane = gateway(config=config(provider, CHAT))
    labels = []
    with by_gateway(plane) as asking:
        for _ in range(2):
            with pytest.raises(anthropic.APIStatusError) as refused:
                asking.ask(MESSAGES)
            labels.append("holdfast-translated" in refused.value.response.headers)
    assert labels == [True, False]
    assert len(provider.calls) == 2
    plane.holdfast.engine.journal_writer.flush()
    journal = plane.holdfast.engine.store.journal(session="token-test")
    assert len(of_type(journal, RequestTranslated)) == 1


def test_a_fallback_that_is_passed_over_is_not_counted_as_sent(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    provider.follow(lambda _: status(500, {"error": "down"}))
    more = (
        f'[provider.other]\nurl = "{provider.root}"\ndialect = "anthropic-messages"\nkeys = ["env:NOT_SET"]\n'
        '[fallback]\n"mine/scripted-1" = { then = ["other/other-1"] }\n'
    )
    with by_gateway(gateway(config=config(provider, CHAT, more))) as asking:
        with pytest.raises(openai.APIStatusError) as refused:
            asking.ask(CHAT, n=2)
        assert refused.value.response.headers["holdfast-attempts"] == str(len(provider.calls))
    assert {seen.dialect for seen in provider.calls} == {CHAT}


def test_what_only_one_api_means_does_not_leave_in_another(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    theirs = {"anthropic-beta": "context-1m", "x-claude-code-session-id": "abc", "traceparent": "00-1-2-03"}
    plane = gateway(config=config(provider, CHAT))
    with by_gateway(plane) as asking:
        asking.ask(MESSAGES, extra_headers=theirs)
    headers = provider.calls[0].headers
    assert headers["traceparent"] == "00-1-2-03"
    assert not {name for name in headers if name.startswith(("anthropic-", "x-claude-"))}


def test_an_endpoint_of_messages_is_told_the_version(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    with by_library(gateway(config=config(provider, MESSAGES))) as asking:
        asking.ask(CHAT)
    assert provider.calls[0].headers["anthropic-version"] == "2023-06-01"
    assert json.loads(provider.calls[0].body)["max_tokens"] == 4096


@FACES
def test_tokens_are_counted_by_an_endpoint_of_the_dialect_only(
    gateway: StartGateway, provider: ScriptedProvider, face: Face
) -> None:
    with face(gateway(config=config(provider, CHAT))) as asking:
        with pytest.raises(anthropic.NotFoundError) as refused:
            asking.anthropic.messages.count_tokens(
                model="scripted-1", messages=[{"role": "user", "content": "hi"}]
            )
        assert refused.value.body["error"]["holdfast"]["class"] == "not_translated"  # type: ignore[index]
    assert provider.calls == []


def test_a_stream_in_a_content_coding_is_translated_as_any_other(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=config(provider, CHAT))
    body = {"model": "scripted-1", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    plane.holdfast.session("token-test", "mine/scripted-1")
    with httpx2.Client(base_url=plane.root, headers={"authorization": f"Bearer {plane.token}"}) as client:
        answer = client.post("/v1/messages?beta=true", json=body)
    assert answer.json()["content"] == [{"type": "text", "text": TEXT, "citations": None}]
    assert provider.calls[0].path == PATHS[CHAT]


def test_the_library_speaks_to_a_provider_of_the_other_maker() -> None:
    assert holdfast.RequestTranslated is RequestTranslated
