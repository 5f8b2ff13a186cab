"""Bodies in which another parser may read another model or address: what a strict gateway sends, and what no
gateway sends."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import pytest

from holdfast.core.identity import Pin
from holdfast.store.token import Token
from holdfast.testing import ScriptedProvider
from holdfast.wire.strict_body import MEMBERS, doubtful_member

from .conftest import TOKEN  # type: ignore[import-not-found]

PIN = "mine/scripted-1"
DOUBTFUL = {
    "another case": ('"model":"mine/scripted-1","Model":"x"', "Model"),
    "another case before it": ('"MODEL":"x","model":"mine/scripted-1"', "MODEL"),
    "another case alone": ('"mOdel":"mine/scripted-1"', "mOdel"),
    "the model twice": ('"model":"x","model":"mine/scripted-1"', "model"),
    "the model twice, once escaped": ('"model":"mine/scripted-1","mode\\u006c":"x"', "model"),
    "what follows a NUL": ('"model":"mine/scripted-1","model\\u0000x":"x"', "model\ufffdx"),
    "no text": ('"model":["x"]', "model"),
    "null": ('"model":null', "model"),
    "any member twice": ('"model":"mine/scripted-1","messages":[],"messages":[]', "messages"),
    "any member in two cases": ('"model":"mine/scripted-1","messages":[],"Messages":[]', "Messages"),
    "two spellings of one": ('"model":"mine/scripted-1","max_tokens":1,"maxTokens":2', "maxTokens"),
    "a Kelvin sign": ('"model":"mine/scripted-1","fallbac\\u212as":[]', "fallbac\u212as"),
    "a long s": ('"model":"mine/scripted-1","model\\u017f":[]', "model\u017f"),
    "apiBase": ('"model":"mine/scripted-1","apiBase":"http://x"', "apiBase"),
    "base-url": ('"model":"mine/scripted-1","base-url":"http://x"', "base-url"),
    "BaseURL": ('"model":"mine/scripted-1","BaseURL":"http://x"', "BaseURL"),
    "last of many": ('"model":"mine/scripted-1",' + '"x":[{"a":"}"}],' + '"models":[]', "models"),
}
CERTAIN = {
    "as SDKs write it": f'"model":"{PIN}","messages":[{{"role":"user","content":"hi"}}],"stream":false',
    "without a model": '"messages":[]',
    "the names deeper inside": f'"model":"{PIN}","user":{{"models":"x","Model":"y","model":"z","model":"a"}}',
    "the names as values": f'"model":"{PIN}","user":"models"',
    "fields of all dialects": f'"model":"{PIN}","system":[],"instructions":"","input":[],"tools":[],'
    '"store":false,"service_tier":"auto","metadata":{},"reasoning":{},"text":{},"user":"u","stream_options":{},"seed":1',
}
NO_JSON = {
    "a bare word": b"hello",
    "a form": b"model=mine%2Fscripted-1&messages=hi",
    "words in braces": b"{hello}",
    "nothing": b"",
    "an unfinished object": b'{"messages":[}',
    "single quotes": b"{'model':'mine/scripted-1'}",
    "a comment": b'{"messages":[] /* "model" */}',
    "a comma too many": b'{"messages":[],}',
    "a list": b'["mine/scripted-1"]',
    "a text": b'"mine/scripted-1"',
    "two objects": b'{"messages":[]}{"messages":[]}',
    "a number that is none": b'{"temperature":NaN}',
    "what is no UTF-8": b'{"user":"\xff"}',
    "nested too deeply": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


def test_every_member_of_the_table_says_what_it_does_elsewhere() -> None:
    for name, why in MEMBERS.items():
        assert re.fullmatch("[a-z]{3,}", name)
        assert len(why) > 20, name
        assert doubtful_member(json.dumps({"model": PIN, name: "x"}).encode()) == (name, why)


@pytest.mark.parametrize("case", DOUBTFUL)
def test_under_a_strict_pin_no_second_model_or_address_leaves(
    case: str, gateway: Any, provider: ScriptedProvider
) -> None:
    text, member = DOUBTFUL[case]
    plane = gateway(provider, strict=PIN)
    for route in ("chat/completions", "responses", "messages", "embeddings", "messages/count_tokens"):
        status, _, body = plane.post(route, ("{" + text + "}").encode())
        error = json.loads(body)["error"]
        assert (status, error["holdfast"]["class"], error["holdfast"]["member"]) == (
            400,
            "strict_body",
            member,
        )
        assert "leave" in error["holdfast"]["next_step"]
    assert not provider.requests


@pytest.mark.parametrize("case", CERTAIN)
def test_under_a_strict_pin_an_ordinary_body_leaves(
    case: str, gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, strict=PIN)
    plane.holdfast.session("work", PIN)
    status, _, body = plane.post(
        "chat/completions", ("{" + CERTAIN[case] + "}").encode(), holdfast_session="work"
    )
    assert status == 200, body
    assert json.loads(provider.requests[-1].body)["model"] == "scripted-1"


@pytest.mark.parametrize("case", NO_JSON)
@pytest.mark.parametrize("strict", ["", PIN])
def test_what_is_no_json_is_sent_to_nobody_by_either_face(
    case: str, strict: str, gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, strict=strict)
    plane.holdfast.session("work", PIN)
    for route in ("chat/completions", "responses", "messages", "embeddings"):
        status, _, body = plane.post(route, NO_JSON[case], holdfast_session="work")
        assert (status, json.loads(body)["error"]["holdfast"]["class"]) == (400, "unreadable_body"), body
    if NO_JSON[case]:
        transport = plane.holdfast.session("work").transport()
        with httpx2.Client(transport=transport, base_url="http://holdfast.invalid/v1") as client:
            response = client.post("/chat/completions", content=NO_JSON[case])
        assert response.status_code == 400, response.text
    assert not provider.requests


def test_under_a_strict_pin_a_broken_body_with_a_model_is_refused(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, strict=PIN)
    status, _, body = plane.post("chat/completions", f'{{"model":"{PIN}", nonsense}}'.encode())
    assert (status, json.loads(body)["error"]["code"]) == (400, "unreadable_body")
    assert not provider.requests


@pytest.mark.parametrize("strict", [True, False])
def test_no_spaces_or_marks_around_a_body_hide_its_model_from_a_limit(
    strict: bool, gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    plane.books.tokens[TOKEN.encode()] = Token("1", "", "t", pins=(Pin.parse(PIN),), strict=strict)
    plane.holdfast.session("work", PIN)
    body = b'{"model":"image-1","input":"x"}'
    for route in ("moderations", "images/generations", "audio/speech", "rerank", "embeddings"):
        for hidden in (body, b" " * 64 + body, body + b"\n" * 64, b"\xef\xbb\xbf" + body):
            status, _, _ = plane.post(route, hidden, holdfast_session="work")
            assert status in (400, 409), (route, hidden)
    assert not provider.requests
