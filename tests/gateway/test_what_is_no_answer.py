"""A success without an answer is a fault to both faces, whatever its content type says: it is classified by
its body, its key is not remembered as good, and the next key or fallback answers. What is odd but good
passes."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import httpx2
import pytest

from holdfast.core.faults import FaultClass
from holdfast.testing import Behaviour, ScriptedProvider, ok, only_keys, status

from .conftest import Running, StartGateway  # type: ignore[import-not-found]

CHAT, MESSAGES, RESPONSES = "chat/completions", "messages", "responses"
KEY_A, KEY_B = "sk-aaaa-0123456789abcdef", "sk-bbbb-0123456789abcdef"
TYPES = ("application/json", "text/event-stream", "text/plain", "application/x-ndjson", "text/html")
C = FaultClass


def configured(provider: ScriptedProvider, fallback: ScriptedProvider | None = None, keys: str = "A") -> str:
    text = "[settings]\nwait_budget = 0\nprobe_delays = [0]\n"
    for name, server in (("mine", provider), ("other", fallback)):
        if server is None:
            continue
        refs = ", ".join(f'"env:KEY_{letter}"' for letter in keys)
        text += (
            f'[provider.{name}]\nmodels = ["scripted-1"]\nkeys = [{refs}]\n'
            f'endpoints = {{ openai-chat = "{server.url}", openai-responses = "{server.url}", '
            f'anthropic-messages = "{server.root}" }}\n'
        )
    if fallback is not None:
        text += '[fallback]\n"mine/scripted-1" = { then = ["other/scripted-1"] }\n'
    return text


def library(plane: Running, route: str, body: dict[str, Any]) -> tuple[int, Any, bytes]:
    with httpx2.Client(
        transport=plane.holdfast.session("work").transport(), base_url="http://holdfast.invalid/v1"
    ) as client:
        answer = client.post(f"/{route}", json=body)
        return answer.status_code, answer.headers, answer.content


def gateway_(plane: Running, route: str, body: dict[str, Any]) -> tuple[int, Any, bytes]:
    answer: tuple[int, Any, bytes] = plane.post(route, body, holdfast_session="work")
    return answer


FACES = [pytest.param(library, id="library"), pytest.param(gateway_, id="gateway")]


def asked(streams: bool) -> dict[str, Any]:
    return {"model": "mine/scripted-1", "messages": [], "max_tokens": 9, "stream": streams}


def events(*documents: Any) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(document).encode() for document in documents)


def chunk(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def document(value: Any) -> bytes:
    return json.dumps(value).encode()


ANTHROPIC = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "invalid api key"}]}
OPENAI = {"choices": [{"message": {"content": "insufficient balance"}, "finish_reason": "stop"}]}
SILENT = chunk({"role": "assistant", "content": ""}), chunk({}, "stop")
DONE = b"data: [DONE]\n\n"

# What was asked, what came, and the class that its body gives it.
NO_ANSWERS: list[tuple[str, bool, bytes, FaultClass]] = [
    (
        CHAT,
        False,
        document({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
        C.QUOTA_EXHAUSTED,
    ),
    (CHAT, False, document({"code": 401, "msg": "invalid api key", "success": False}), C.AUTH_REJECTED),
    (
        CHAT,
        False,
        document({"success": False, "errors": [{"message": "Authentication error"}]}),
        C.AUTH_REJECTED,
    ),
    (CHAT, False, document({"detail": "Too many requests"}), C.RATE_LIMITED),
    (CHAT, False, document({"choices": None}), C.TRANSIENT),
    (
        CHAT,
        False,
        document({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}),
        C.TRANSIENT,
    ),
    (CHAT, False, document(OPENAI)[:-9], C.TRANSIENT),
    (CHAT, False, document(ANTHROPIC), C.ENDPOINT_MISMATCH),
    (CHAT, False, document({"object": "list", "data": [{"id": "m"}]}), C.ENDPOINT_MISMATCH),
    (
        CHAT,
        False,
        events(chunk({"content": "invalid api key"}), chunk({}, "stop")) + DONE,
        C.ENDPOINT_MISMATCH,
    ),
    (CHAT, False, events({"error": {"code": "invalid_api_key", "message": "no"}}), C.AUTH_REJECTED),
    (CHAT, False, b"null", C.UNKNOWN),
    (CHAT, False, b"<html><title>Sign in</title></html>", C.ENDPOINT_MISMATCH),
    (
        CHAT,
        True,
        document({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
        C.QUOTA_EXHAUSTED,
    ),
    (CHAT, True, document({"error": {"code": "invalid_api_key", "message": "no"}}), C.AUTH_REJECTED),
    (
        CHAT,
        True,
        events({"base_resp": {"status_code": 1004, "status_msg": "invalid api key"}}),
        C.AUTH_REJECTED,
    ),
    (CHAT, True, events({"code": 401, "msg": "invalid api key"}), C.AUTH_REJECTED),
    (CHAT, True, events({"choices": [], "detail": "Too many requests"}), C.RATE_LIMITED),
    (CHAT, True, events(chunk({}, "error", error={"code": 429, "message": "slow down"})), C.RATE_LIMITED),
    (
        CHAT,
        True,
        b'error: {"code":400,"message":"the request exceeds the available context size"}\n\n' + DONE,
        C.CONTEXT_OVERFLOW,
    ),
    (CHAT, True, events(*SILENT) + DONE, C.TRANSIENT),
    (CHAT, True, events(*SILENT, {"choices": [], "usage": {"completion_tokens": 0}}) + DONE, C.TRANSIENT),
    (CHAT, True, events({"type": "message_start", "message": ANTHROPIC}), C.ENDPOINT_MISMATCH),
    (
        MESSAGES,
        False,
        document({"base_resp": {"status_code": 1004, "status_msg": "invalid api key"}}),
        C.AUTH_REJECTED,
    ),
    (MESSAGES, False, document(OPENAI), C.ENDPOINT_MISMATCH),
    (MESSAGES, False, document({**ANTHROPIC, "content": []}), C.TRANSIENT),
    (MESSAGES, False, document({"code": 500, "success": False}), C.TRANSIENT),
    (MESSAGES, True, events(chunk({"content": "hi"})), C.ENDPOINT_MISMATCH),
    (MESSAGES, True, events({"type": "message_start", "message": {}}, {"type": "message_stop"}), C.TRANSIENT),
    (RESPONSES, False, document({"object": "response", "status": "completed", "output": []}), C.TRANSIENT),
    (RESPONSES, False, document(OPENAI), C.ENDPOINT_MISMATCH),
    (
        RESPONSES,
        False,
        document(
            {
                "object": "response",
                "status": "failed",
                "error": {"code": "server_error", "message": "x"},
                "output": [],
            }
        ),
        C.TRANSIENT,
    ),
    (RESPONSES, True, events(chunk({"content": "hi"})), C.ENDPOINT_MISMATCH),
    (
        RESPONSES,
        True,
        events({"type": "response.completed", "response": {"object": "response", "output": []}}),
        C.TRANSIENT,
    ),
]


@pytest.mark.parametrize("content_type", TYPES[:2])
@pytest.mark.parametrize("ask", FACES)
@pytest.mark.parametrize(("route", "streams", "body", "kind"), NO_ANSWERS)
def test_what_is_no_answer_is_a_fault_of_its_class_in_both_faces(
    route: str,
    streams: bool,
    body: bytes,
    kind: FaultClass,
    ask: Any,
    content_type: str,
    gateway: StartGateway,
    provider: ScriptedProvider,
) -> None:
    plane = gateway(config=configured(provider))
    session = plane.holdfast.session("work", "mine/scripted-1")
    provider.follow(status(200, body, {"content-type": content_type}))
    code, headers, error = ask(plane, route, asked(streams))
    assert code >= 400
    assert (headers["holdfast-fault"], json.loads(error)["error"]["holdfast"]["class"]) == (kind, kind)
    assert not any(seen.last_ok for seen in plane.holdfast.engine.store.evidence())
    assert str(kind) in session.why()


LONG = "word " * 420_000
LONG_NO_ANSWERS = {
    "a page": (False, b"<html><title>Sign in</title>" + LONG.encode(), C.ENDPOINT_MISMATCH),
    "a page for a stream": (True, b"<!doctype html><html>" + LONG.encode(), C.ENDPOINT_MISMATCH),
    "text": (False, b"invalid api key " + LONG.encode(), C.AUTH_REJECTED),
    "an error": (False, document({"error": {"code": "invalid_api_key", "message": LONG}}), C.AUTH_REJECTED),
    "an error for a stream": (True, document({"detail": "Too many requests " + LONG}), C.RATE_LIMITED),
    "a code": (
        False,
        document({"base_resp": {"status_code": 1, "status_msg": "insufficient balance"}, "x": LONG}),
        C.QUOTA_EXHAUSTED,
    ),
    "another API": (
        False,
        document({**ANTHROPIC, "content": [{"type": "text", "text": LONG}]}),
        C.ENDPOINT_MISMATCH,
    ),
    "events": (
        False,
        events(chunk({"content": LONG}), chunk({"content": LONG}, "stop")) + DONE,
        C.ENDPOINT_MISMATCH,
    ),
}


@pytest.mark.parametrize("coding", ["", "gzip"])
@pytest.mark.parametrize("ask", FACES)
@pytest.mark.parametrize("name", LONG_NO_ANSWERS)
def test_what_is_no_answer_is_none_however_long_it_is(
    name: str, ask: Any, coding: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    streams, body, kind = LONG_NO_ANSWERS[name]
    headers = {"content-type": "application/json"}
    if coding:
        body, headers["content-encoding"] = gzip.compress(body, mtime=0), coding
    plane = gateway(config=configured(provider))
    plane.holdfast.session("work", "mine/scripted-1")
    provider.follow(status(200, body, headers))
    code, answered, _ = ask(plane, CHAT, asked(streams))
    assert code >= 400
    assert answered["holdfast-fault"] == kind
    assert not any(seen.last_ok for seen in plane.holdfast.engine.store.evidence())


LONG_ANSWERS = {
    CHAT: {"choices": [{"message": {"content": LONG}, "finish_reason": "stop"}]},
    MESSAGES: {**ANTHROPIC, "content": [{"type": "text", "text": LONG}], "usage": {"output_tokens": 9}},
    RESPONSES: {
        "object": "response",
        "status": "completed",
        "output": [{"type": "message", "content": LONG}],
    },
    "embeddings": {"object": "list", "data": [{"embedding": [0.125] * 300_000}]},
}


@pytest.mark.parametrize("route", LONG_ANSWERS)
def test_a_long_answer_passes_unchanged_through_both_faces(
    route: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    body = document(LONG_ANSWERS[route])
    plane = gateway(config=configured(provider))
    plane.holdfast.session("work", "mine/scripted-1")
    provider.follow(status(200, body, {"content-type": "text/plain"}))
    for ask in (library, gateway_):
        code, headers, answer = ask(plane, route, asked(streams=False))
        assert (code, answer == body, headers["holdfast-attempts"]) == (200, True, "1")


REFUSED = status(200, {"code": 401, "msg": "token expired or incorrect api key", "success": False})


@pytest.mark.parametrize("ask", FACES)
@pytest.mark.parametrize("streams", [False, True])
def test_the_next_key_answers_where_a_success_refuses_the_first(
    ask: Any, streams: bool, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=configured(provider, keys="AB"))
    plane.holdfast.session("work", "mine/scripted-1")
    provider.follow(only_keys({KEY_B}, otherwise=REFUSED))
    for route in (CHAT, MESSAGES, RESPONSES):
        code, headers, _ = ask(plane, route, asked(streams))
        assert (code, headers["holdfast-key"]) == (200, "KEY_B")
    assert {seen.key for seen in provider.requests} == {KEY_A, KEY_B}


@pytest.mark.parametrize("ask", FACES)
@pytest.mark.parametrize("body", [b"true", document({"status": "449", "msg": "x"}), document(OPENAI)[:-9]])
def test_a_fallback_answers_where_a_success_is_none(
    ask: Any, body: bytes, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    with ScriptedProvider([ok("from the fallback")] * 9) as other:
        plane = gateway(config=configured(provider, other))
        plane.holdfast.session("work", "mine/scripted-1")
        provider.follow(status(200, body, {"content-type": "application/json"}))
        code, headers, answer = ask(plane, CHAT, asked(streams=False))
        assert (code, headers["holdfast-fallback"]) == (200, "other/scripted-1")
        assert b"from the fallback" in answer


EMPTY = {"role": "assistant", "content": ""}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {}}]}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "content": []}
USED = {"input_tokens": 9, "output_tokens": 2}
STREAM = (
    events(chunk({"role": "assistant", "content": ""}), chunk({"content": "hi"}), chunk({}, "stop")) + DONE
)
GOOD: list[tuple[str, bool, bytes]] = [
    *(
        (CHAT, False, document({"choices": [{"message": message, "finish_reason": reason}], **more}))
        for message, reason, more in (
            (EMPTY, "content_filter", {}),
            (EMPTY, "length", {}),
            (EMPTY, "stop", {"usage": {"completion_tokens": 5}}),
            (CALL, "tool_calls", {}),
            ({**EMPTY, "refusal": "no"}, "stop", {}),
            ({**EMPTY, "reasoning_content": "hm"}, "stop", {}),
            ({"content": "hi"}, "stop", {"base_resp": {"status_code": 0, "status_msg": ""}}),
            ({"content": "hi"}, "stop", {"code": 0, "msg": "success", "error": None}),
            ({"content": '{"error": {"message": "x"}}'}, "stop", {}),
        )
    ),
    ("embeddings", False, document({"object": "list", "data": [{"embedding": [0.1]}]})),
    ("messages/count_tokens", False, document({"input_tokens": 3})),
    (RESPONSES, False, document({"object": "response", "status": "incomplete", "output": []})),
    (RESPONSES, False, document({"object": "response", "status": "queued", "output": []})),
    (MESSAGES, False, document({**MESSAGE, "stop_reason": "end_turn", "usage": USED})),
    (MESSAGES, False, document({**MESSAGE, "stop_reason": "refusal", "usage": USED})),
    (CHAT, True, STREAM),
    (CHAT, True, b"\xef\xbb\xbf: ping\r\n\r\n" + STREAM.replace(b"\n", b"\r\n")),
    (CHAT, True, events({"choices": [], "prompt_filter_results": [{}]}) + STREAM),
    (CHAT, True, events(chunk(EMPTY), chunk({}, "length")) + DONE),
    (CHAT, True, events(*SILENT, {"choices": [], "usage": {"completion_tokens": 2}}) + DONE),
    (CHAT, True, document({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]})),
    # Azure, as traceloop/openllmetry recorded it: an answer that its filter held back has no message.
    (
        CHAT,
        False,
        document(
            {"choices": [{"content_filter_results": {}, "finish_reason": "content_filter", "index": 0}]}
        ),
    ),
    (
        MESSAGES,
        True,
        events(
            {"type": "message_start", "message": MESSAGE},
            {"type": "message_delta", "delta": {"stop_reason": "refusal"}},
            {"type": "message_stop"},
        ),
    ),
    (
        RESPONSES,
        True,
        events({"type": "response.created", "response": {}}, {"type": "response.incomplete", "response": {}}),
    ),
]


@pytest.mark.parametrize(("route", "streams", "body"), GOOD)
def test_what_is_odd_but_good_passes_unchanged_through_both_faces(
    route: str, streams: bool, body: bytes, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=configured(provider))
    plane.holdfast.session("work", "mine/scripted-1")
    for content_type in TYPES:
        provider.follow(status(200, body, {"content-type": content_type}))
        for ask in (library, gateway_):
            code, headers, answer = ask(plane, route, asked(streams))
            assert (code, answer, headers["holdfast-attempts"]) == (200, body, "1")


@pytest.mark.parametrize("content_type", TYPES)
def test_a_stream_goes_on_at_once_whatever_its_type_says(
    content_type: str, gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(config=configured(provider))
    plane.holdfast.session("work", "mine/scripted-1")
    slow = Behaviour(text="one two three four", event_delay=0.1, headers=(("content-type", content_type),))
    provider.follow(slow)
    transport = plane.holdfast.session("work").transport()
    for client, root in (
        (httpx2.Client(transport=transport), "http://holdfast.invalid"),
        (
            httpx2.Client(headers={"authorization": f"Bearer {plane.token}", "holdfast-session": "work"}),
            plane.root,
        ),
    ):
        began = time.monotonic()
        with client, client.stream("POST", f"{root}/v1/{CHAT}", json=asked(streams=True)) as answer:
            arrivals = [time.monotonic() - began for _ in answer.iter_raw()]
        assert arrivals[-1] - arrivals[0] > 0.2
