"""A good answer that repeats the key does not show it to a program that may see none: under `run` (by its
token), and to everybody where the configuration says so."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.conftest import StartGateway
from gateway.raw_provider import RawProvider, Said, chunk, chunked, delta, head, raw_provider, sized
from holdfast.sdk import api
from secrecy.spelled import KEY, SPELLINGS, left_of

SETTING = "\n[settings]\nmask_answers = true\n"
BODY = {"model": "mine/m", "messages": []}
WORDS = ("plain", "base64", "JSON throughout", "URL", "upper case", "many of them")


@pytest.fixture
def raw() -> Iterator[RawProvider]:
    with raw_provider() as provider:
        yield provider


@pytest.fixture
def config(raw: RawProvider, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MINE_KEY", KEY)
    return f'[provider.mine]\nurl = "{raw.url}"\nmodels = ["m"]\nkeys = ["env:MINE_KEY"]\n'


def whole(text: bytes) -> bytes:
    return (
        b'{"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,'
        b' "message": {"role": "assistant", "content": "'
        + text
        + b'"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}'
    )


def event(text: bytes) -> bytes:
    return delta("@@").replace(b"@@", text)


def shown(spelling: bytes, answer: bytes) -> list[bytes]:
    return [part for part in left_of(KEY, spelling) if part in answer]


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_no_key_passes_to_a_run_in_a_whole_answer(
    name: str, coding: str, gateway: StartGateway, config: str, raw: RawProvider
) -> None:
    spelling = SPELLINGS[name](KEY)
    body = whole(b"it is " + spelling + b"!")
    raw.says(sized(gzip.compress(body, mtime=0) if coding else body, coding=coding))
    plane = gateway(config=config, strict="mine/m")
    status, headers, answer = plane.post("chat/completions", BODY, accept_encoding="gzip")
    assert status == 200
    assert not shown(spelling, answer)
    assert "content-encoding" not in headers
    assert headers["content-length"] == str(len(body)) == str(len(answer))
    assert json.loads(answer)["choices"][0]["message"]["content"].startswith("it is *")


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_no_key_passes_to_a_run_in_a_stream_whose_pieces_cut_it(
    name: str, coding: str, gateway: StartGateway, config: str, raw: RawProvider
) -> None:
    spelling = SPELLINGS[name](KEY)
    body = event(b"it is ") + event(spelling) + event(b"!") + delta(finish="stop") + b"data: [DONE]\n\n"
    if coding:
        packed = gzip.compress(body, mtime=0)
        raw.says(chunked(*(packed[at : at + 30] for at in range(0, len(packed), 30)), coding=coding))
    else:
        cut = body.index(spelling) + len(spelling) // 2
        raw.says(head("transfer-encoding: chunked") + chunk(body[:cut]), chunk(body[cut:]) + b"0\r\n\r\n")
    plane = gateway(config=config, strict="mine/m")
    status, headers, answer = plane.post("chat/completions", {**BODY, "stream": True}, accept_encoding="gzip")
    assert status == 200
    assert not shown(spelling, answer)
    assert "content-encoding" not in headers
    assert len(answer) == len(body)
    assert answer.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("name", ["plain", "base64", "URL throughout", "reversed"])
def test_no_key_passes_in_a_header_of_a_good_answer(
    name: str, gateway: StartGateway, config: str, raw: RawProvider
) -> None:
    spelling = SPELLINGS[name](KEY)
    answer = sized(whole(b"ok")).replace(b"\r\n", b"\r\nx-request-id: a " + spelling + b"\r\n", 1)
    raw.says(answer)
    plane = gateway(config=config)
    status, headers, _ = plane.post("chat/completions", BODY)
    assert status == 200
    assert not shown(spelling, json.dumps(headers).encode())


def test_the_setting_masks_answers_for_everybody_and_nothing_else_does(
    gateway: StartGateway, config: str, raw: RawProvider
) -> None:
    raw.says(sized(whole(KEY.encode())))
    masking = gateway(config=config + SETTING)
    assert KEY.encode() not in masking.post("chat/completions", BODY)[2]
    plain = gateway(config=config)
    assert plain.post("chat/completions", BODY)[2] == whole(KEY.encode())


def test_no_key_passes_to_a_run_in_an_answer_that_cannot_be_searched(
    gateway: StartGateway, config: str, raw: RawProvider
) -> None:
    raw.says(sized(whole(KEY.encode()), coding="br"))
    plane = gateway(config=config, strict="mine/m")
    status, _, answer = plane.post("chat/completions", BODY)
    assert status == 502
    assert KEY.encode() not in answer


def test_an_answer_without_the_key_reaches_a_run_byte_for_byte(
    gateway: StartGateway, config: str, raw: RawProvider
) -> None:
    packed = gzip.compress(whole(b"a\\u00e9 50% \\u003cb\\u003e https:\\/\\/x/%20"), mtime=0)
    raw.says(sized(packed, coding="gzip"))
    plane = gateway(config=config, strict="mine/m")
    _, headers, answer = plane.post("chat/completions", BODY, accept_encoding="gzip")
    assert (headers["content-encoding"], answer) == ("gzip", packed)


def whole_by_openai(session: api.Session) -> str:
    with openai.OpenAI(**session.for_openai()) as client:
        messages: Any = []
        return str(client.chat.completions.create(model="m", messages=messages).choices[0].message.content)


def streamed_by_openai(session: api.Session) -> str:
    with openai.OpenAI(**session.for_openai()) as client:
        messages: Any = []
        events = client.chat.completions.create(model="m", messages=messages, stream=True)
        return "".join(event.choices[0].delta.content or "" for event in events if event.choices)


def another_by_httpx(session: api.Session) -> str:
    with httpx.Client(transport=session.transport(httpx), base_url="http://h.invalid") as client:
        return client.get("/v1/files/f").text


@pytest.mark.parametrize("coding", ["", "gzip"])
@pytest.mark.parametrize("call", [whole_by_openai, streamed_by_openai, another_by_httpx])
def test_the_setting_masks_answers_in_the_library_too(
    call: Callable[[api.Session], str], coding: str, home: Path, config: str, raw: RawProvider
) -> None:
    def answer(body: bytes) -> Said:
        text = whole(KEY.encode())
        if b'"stream":true' in body.replace(b" ", b""):
            text = event(KEY.encode()) + delta(finish="stop") + b"data: [DONE]\n\n"
            packed = gzip.compress(text, mtime=0) if coding else text
            return Said([chunked(packed[:150], packed[150:], coding=coding)])
        return Said([sized(gzip.compress(text, mtime=0) if coding else text, coding=coding)])

    raw.answer = answer
    (home / "holdfast.toml").write_text(config + SETTING)
    with api.open(home) as opened:
        text = call(opened.session("s1", "mine/m"))
    assert "*" * len(KEY) in text
    assert KEY not in text
