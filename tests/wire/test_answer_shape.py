"""What is an answer of each route: the odd but good ones pass, and a good status does not
make the others one."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from holdfast.core.faults import Flaw
from holdfast.wire.answer_shape import (
    AnswerKind,
    Form,
    form_of,
    judge,
)
from tables import rows

CHAT, MESSAGE, RESPONSE = AnswerKind.CHAT, AnswerKind.MESSAGE, AnswerKind.RESPONSE
COMPLETION = AnswerKind.COMPLETION
EMBEDDINGS, TOKENS, OTHER = AnswerKind.EMBEDDINGS, AnswerKind.TOKEN_COUNT, AnswerKind.OTHER


def chat(message: Any = None, finish: str | None = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **(message or {})}, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], **more}


def message(*content: Any, stop: str | None = "end_turn", out: int = 2, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 9, "output_tokens": out}
    body = {"type": "message", "role": "assistant", "content": [*content], "stop_reason": stop}
    return {"id": "m", **body, "usage": usage, **more}


def response(*output: Any, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"id": "r", "object": "response", "status": status, "output": [*output], "error": None, **more}


TEXT = {"type": "text", "text": "hi"}
ITEM = {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}
HI = {"content": "hi"}
NOTHING = {"content": ""}
CALL = {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}]}
VECTOR = {"object": "embedding", "index": 0, "embedding": [0.1]}
VECTORS = {"object": "list", "data": [VECTOR], "model": "m", "usage": {"prompt_tokens": 1}}
MODELS = {"object": "list", "data": [{"id": "m", "object": "model"}]}
OLLAMA = {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": True}
GEMINI = {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}
ZERO = {"prompt_tokens": 3, "completion_tokens": 0}
SOME = {"prompt_tokens": 3, "completion_tokens": 2}

STOPPED: list[dict[str, Any]] = [{"stop_reason": "###"}, {"stop_reason": 128009}, {"matched_stop": 151645}]

GOOD: list[tuple[AnswerKind, Any]] = [
    (CHAT, chat(HI)),
    (CHAT, chat(HI, None)),
    (CHAT, chat(CALL, "tool_calls")),
    (CHAT, chat({"content": None, "refusal": "no"})),
    (CHAT, chat({"content": "", "reasoning_content": "hm"})),
    (CHAT, chat({"content": "", "reasoning": "hm"}, None)),
    (CHAT, chat({"content": None, "audio": {"id": "a"}})),
    (CHAT, chat({"content": None, "function_call": {"name": "f"}}, "function_call")),
    (CHAT, chat(NOTHING, "length")),
    (CHAT, chat(NOTHING, "content_filter")),
    (CHAT, {"choices": [{"finish_reason": "content_filter", "content_filter_results": {}}]}),
    (CHAT, {"choices": [{"message": None, "finish_reason": "content_filter"}], "usage": ZERO}),
    (CHAT, chat(NOTHING, "max_tokens")),
    (CHAT, chat(NOTHING, "length", usage=ZERO)),
    (CHAT, chat(NOTHING, usage=SOME)),
    (CHAT, chat(NOTHING, "end_turn", usage={"output_tokens": 2})),
    (CHAT, chat(HI, usage=ZERO)),
    (CHAT, chat(HI, base_resp={"status_code": 0, "status_msg": ""})),
    (CHAT, chat(HI, base_resp={"status_code": "0"})),
    (CHAT, chat(HI, base_resp=None)),
    (CHAT, chat(HI, code=0, msg="success")),
    (CHAT, chat(HI, code=200, success=True, detail=None)),
    (CHAT, chat(HI, error=None)),
    (CHAT, chat(HI, error={})),
    (CHAT, chat({"content": '{"error": {"message": "x"}}'})),
    (CHAT, chat({"content": "<html>"})),
    (CHAT, {"choices": [{"delta": HI}]}),
    (COMPLETION, {"choices": [{"text": "hi"}]}),
    (COMPLETION, {"choices": [{"text": "", "finish_reason": "stop"}]}),
    (CHAT, {"choices": [{"message": HI, "text": "hi"}]}),
    (CHAT, {"choices": [*chat(NOTHING)["choices"], *chat(HI)["choices"]]}),
    # vLLM and SGLang name what ended a choice, also where that was the first token.
    *((CHAT, {"choices": [chat(NOTHING)["choices"][0] | more]}) for more in STOPPED),
    (MESSAGE, message(TEXT)),
    (MESSAGE, message(TEXT, stop=None)),
    (MESSAGE, {"role": "assistant", "content": [TEXT]}),
    (MESSAGE, message({"type": "tool_use", "name": "f", "input": {"error": "x"}}, stop="tool_use")),
    (MESSAGE, message()),
    (MESSAGE, message(stop="refusal", out=0)),
    (MESSAGE, message(stop="max_tokens", out=0)),
    (MESSAGE, message(stop="pause_turn", out=0)),
    (MESSAGE, message(TEXT, base_resp={"status_code": 0})),
    (RESPONSE, response(ITEM)),
    (RESPONSE, {"output": [ITEM]}),
    (RESPONSE, response({"type": "function_call", "name": "f"})),
    (RESPONSE, response(status="incomplete", incomplete_details={"reason": "max_output_tokens"})),
    (RESPONSE, response(status="queued")),
    (RESPONSE, response(status="in_progress")),
    (RESPONSE, response(usage={"output_tokens": 2})),
    (RESPONSE, {"object": "response", "status": "queued", "output": None}),
    (EMBEDDINGS, VECTORS),
    (EMBEDDINGS, {"data": [{"embedding": "AAAA"}]}),
    (EMBEDDINGS, {"data": [{"embedding": [0.1] * 900}, VECTOR], "error": None}),
    (TOKENS, {"input_tokens": 3}),
    (TOKENS, {"input_tokens": 0, "total_tokens": 0}),
    (OTHER, {"id": "b", "object": "batch"}),
    (OTHER, [1, 2]),
    (OTHER, [{"error": 1}]),
    (OTHER, {"items": [{"error": "inner"}], "base_resp": {"status_code": 0}}),
    (OTHER, MODELS),
]

# Whoever sends one of these has sent no answer, whatever was asked.
NEVER: list[Any] = [
    None,
    True,
    "ok",
    "",
    3,
    [],
    {},
    [chat(HI)],
    json.dumps(chat(HI)),
    {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
    {"base_resp": {"status_code": 1004}, "choices": None},
    {"success": False},
    {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}], "result": None},
    {"code": 401, "msg": "token expired", "success": False},
    {"code": 1113, "msg": "no balance"},
    {"code": 500, "success": False},
    {"status": "449", "msg": "rate limit"},
    {"status": "439", "msg": "expired"},
    {"detail": "Not authenticated"},
    {"detail": [{"loc": ["body"], "msg": "x"}]},
    {"message": "Forbidden"},
    {"message": "no", "request_id": "r"},
    {"error": "no"},
    {"error": {"message": "no"}},
    {"errors": ["no"]},
    {"object": "error", "message": "no", "code": 404},
    {"type": "error", "error": {"type": "overloaded_error"}},
    {"id": "job", "status": "pending"},
    {"result": "accepted"},
    {"data": None, "msg": "x"},
]

# By what was asked: the shape is nearly right, or it is another's.
BAD: list[tuple[AnswerKind, Any, Flaw]] = [
    (CHAT, {**chat(), "choices": None}, Flaw.OTHER),
    (CHAT, {**chat(), "choices": []}, Flaw.OTHER),
    (CHAT, {**chat(), "choices": {}}, Flaw.OTHER),
    (CHAT, {**chat(), "choices": [{}]}, Flaw.OTHER),
    (CHAT, {**chat(), "choices": ["hi"]}, Flaw.OTHER),
    (CHAT, {**chat(), "choices": [{"message": None, "finish_reason": "stop"}]}, Flaw.OTHER),
    (CHAT, {"id": "x", "object": "chat.completion", "model": "m"}, Flaw.OTHER),
    (CHAT, chat(HI, "error"), Flaw.OTHER),
    (CHAT, {"choices": [{"message": HI, "error": {"code": 502, "message": "no"}}]}, Flaw.OTHER),
    (CHAT, chat(HI, error={"code": 502}), Flaw.OTHER),
    (CHAT, chat(HI, base_resp={"status_code": 1027, "status_msg": "output sensitive"}), Flaw.OTHER),
    (CHAT, chat(NOTHING), Flaw.EMPTY),
    (CHAT, chat(NOTHING, None), Flaw.EMPTY),
    (CHAT, chat({"content": None}, usage=ZERO), Flaw.EMPTY),
    (CHAT, chat({"content": "", "tool_calls": [], "refusal": None}, usage={}), Flaw.EMPTY),
    (CHAT, chat(NOTHING, "end_turn"), Flaw.EMPTY),
    (CHAT, chat(NOTHING, "STOP"), Flaw.EMPTY),
    (CHAT, chat(NOTHING, ""), Flaw.EMPTY),
    (CHAT, chat(NOTHING, usage=None), Flaw.EMPTY),
    (CHAT, message(TEXT), Flaw.FOREIGN),
    (CHAT, response(ITEM), Flaw.FOREIGN),
    (CHAT, OLLAMA, Flaw.FOREIGN),
    (CHAT, {"model": "m", "response": "hi", "done": True}, Flaw.FOREIGN),
    (CHAT, GEMINI, Flaw.FOREIGN),
    (CHAT, {"choices": [{"text": "hi", "finish_reason": "stop"}]}, Flaw.FOREIGN),
    (COMPLETION, chat(HI), Flaw.FOREIGN),
    (COMPLETION, {"choices": [{"text": None, "finish_reason": "error"}]}, Flaw.OTHER),
    (COMPLETION, {"choices": [{"text": "", "finish_reason": None}]}, Flaw.EMPTY),
    (CHAT, {"promptFeedback": {"blockReason": "SAFETY"}}, Flaw.OTHER),
    (CHAT, {"choices": [chat(NOTHING)["choices"][0] | {"stop_reason": None}]}, Flaw.EMPTY),
    (CHAT, {"choices": [chat(NOTHING)["choices"][0] | {"matched_stop": ""}]}, Flaw.EMPTY),
    (CHAT, {"choices": [chat(NOTHING, None)["choices"][0] | {"matched_stop": 1}]}, Flaw.EMPTY),
    (CHAT, VECTORS, Flaw.FOREIGN),
    (CHAT, MODELS, Flaw.FOREIGN),
    (CHAT, {"input_tokens": 3}, Flaw.FOREIGN),
    (MESSAGE, chat(HI), Flaw.FOREIGN),
    (MESSAGE, response(ITEM), Flaw.FOREIGN),
    (MESSAGE, {**message(), "content": None}, Flaw.OTHER),
    (MESSAGE, {**message(), "content": "hi"}, Flaw.OTHER),
    (MESSAGE, {**message(), "content": ["hi"]}, Flaw.EMPTY),
    (MESSAGE, message(out=0), Flaw.EMPTY),
    (MESSAGE, {**message(), "usage": None}, Flaw.EMPTY),
    (MESSAGE, message(stop=None, out=0), Flaw.EMPTY),
    (RESPONSE, chat(HI), Flaw.FOREIGN),
    (RESPONSE, message(TEXT), Flaw.FOREIGN),
    (RESPONSE, response(), Flaw.EMPTY),
    (RESPONSE, {**response(), "output": None}, Flaw.EMPTY),
    (RESPONSE, response(usage={"output_tokens": 0}), Flaw.EMPTY),
    (RESPONSE, response(ITEM, status="failed"), Flaw.OTHER),
    (RESPONSE, {"id": "x", "status": "queued"}, Flaw.OTHER),
    (EMBEDDINGS, chat(HI), Flaw.FOREIGN),
    (EMBEDDINGS, MODELS, Flaw.FOREIGN),
    (EMBEDDINGS, {"object": "list", "data": []}, Flaw.FOREIGN),
    (EMBEDDINGS, {"data": [{"embedding": []}]}, Flaw.OTHER),
    (EMBEDDINGS, {**VECTORS, "error": "no"}, Flaw.OTHER),
    (TOKENS, {"input_tokens": None}, Flaw.OTHER),
    (TOKENS, {"input_tokens": True}, Flaw.OTHER),
    (TOKENS, {"token_count": 3}, Flaw.OTHER),
    (TOKENS, chat(HI), Flaw.FOREIGN),
    (OTHER, {"error": {"message": "no"}}, Flaw.OTHER),
    (OTHER, {}, Flaw.OTHER),
]


@rows(("kind", "document"), GOOD)
def test_an_odd_but_good_answer_is_one(kind: AnswerKind, document: Any) -> None:
    for body in (json.dumps(document), json.dumps(document, indent=2), "\ufeff\n\n " + json.dumps(document)):
        assert judge(kind, body.encode()).flaw is None


@rows("document", NEVER, ids=repr)
@rows("kind", [CHAT, MESSAGE, RESPONSE, EMBEDDINGS, TOKENS])
def test_a_good_status_alone_makes_no_answer(kind: AnswerKind, document: Any) -> None:
    assert judge(kind, json.dumps(document).encode()).flaw is Flaw.OTHER


@rows(("kind", "document", "flaw"), BAD)
def test_an_answer_without_the_shape_of_its_route_has_a_flaw(
    kind: AnswerKind, document: Any, flaw: Flaw
) -> None:
    assert judge(kind, json.dumps(document).encode()).flaw is flaw


@rows("kind", list(AnswerKind))
@rows("body", [b"", b" \n", b"<!doctype html>", b"\n<html>"])
def test_nothing_and_a_page_answer_no_route(kind: AnswerKind, body: bytes) -> None:
    assert judge(kind, body).flaw is Flaw.OTHER


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        (CHAT, chat({"content": "a } b ] c"}, usage=SOME)),
        (MESSAGE, message(TEXT)),
        (RESPONSE, response(ITEM)),
        (EMBEDDINGS, {"data": [VECTOR, VECTOR], "object": "list"}),
    ],
)
def test_no_part_of_an_answer_is_one(kind: AnswerKind, document: Any) -> None:
    body = json.dumps(document).encode()
    for cut in range(len(body)):
        assert judge(kind, body[:cut]).flaw in (Flaw.CUT, Flaw.OTHER)
    assert judge(kind, body[:-1]).flaw is Flaw.CUT


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"choices":' + b"[" * 100_000, b"\xff\xfe\x00", b'{"x":'])
def test_bytes_that_are_no_json_are_no_answer(body: bytes) -> None:
    assert judge(CHAT, body).flaw in (Flaw.CUT, Flaw.OTHER)


def test_a_broken_letter_spoils_no_answer() -> None:
    body = json.dumps(chat(HI)).encode().replace(b"hi", b"h\xe9")
    assert judge(CHAT, body).flaw is None


def test_a_stream_that_nobody_asked_for_is_named_as_such() -> None:
    assert (
        judge(CHAT, b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n').flaw
        is Flaw.UNASKED
    )
    assert judge(MESSAGE, b": ping\n\nevent: ping\n\n").flaw is Flaw.UNASKED


@rows(
    ("start", "form"),
    [
        (b"", Form.UNKNOWN),
        (b"\xef\xbb\xbf \r\n", Form.UNKNOWN),
        (b"d", Form.UNKNOWN),
        (b"\n" * 900 + b"dat", Form.UNKNOWN),
        (b"data: {", Form.EVENTS),
        (b"data:{", Form.EVENTS),
        (b"\xef\xbb\xbfevent: x", Form.EVENTS),
        (b": comment", Form.EVENTS),
        (b":", Form.EVENTS),
        (b"id: 1", Form.EVENTS),
        (b"retry: 9", Form.EVENTS),
        (b"\n" * 900 + b'{"choices"', Form.DOCUMENT),
        (b'\xef\xbb\xbf{"a":1}', Form.DOCUMENT),
        (b"[1", Form.DOCUMENT),
        (b'"data:', Form.DOCUMENT),
        (b"<html>", Form.DOCUMENT),
        (b"error: no", Form.DOCUMENT),
        (b"error:\n", Form.UNKNOWN),
        (b"error: ", Form.UNKNOWN),
        (b"err", Form.UNKNOWN),
        (b'error: {"code":400', Form.EVENTS),
        (b'error:{"code":400', Form.EVENTS),
        (b"invalid key", Form.DOCUMENT),
        (b"null", Form.DOCUMENT),
    ],
)
def test_the_first_bytes_say_whether_a_body_is_a_stream(start: bytes, form: Form) -> None:
    assert form_of(start) is form


def test_judging_an_ordinary_answer_costs_little_more_than_parsing_it() -> None:
    body = json.dumps(chat({"content": "word " * 170}, usage=SOME)).encode()
    limit = 4 * min(_seconds(lambda: json.loads(body)) for _ in range(60)) + 2e-6
    if sys.gettrace() is not None:  # coverage looks at every line
        limit *= 8
    assert min(_seconds(lambda: judge(CHAT, body)) for _ in range(60)) < limit


def test_vectors_are_judged_without_reading_their_numbers() -> None:
    body = json.dumps({"object": "list", "data": [{"embedding": [0.123456789] * 1_500}]}).encode()
    assert judge(EMBEDDINGS, body).document is None
    assert judge(EMBEDDINGS, body[:-2]).flaw is Flaw.CUT


def _seconds(work: Any, times: int = 300) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times
