"""An answer that is too large to be held is judged by its beginning."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from holdfast.core.faults import Flaw
from holdfast.wire.answer_shape import AnswerKind
from holdfast.wire.long_answers import judge_answer
from wire.test_answer_shape import CALL, GEMINI, HI, MODELS, TEXT, VECTOR, chat, message, response

CHAT, MESSAGE, RESPONSE = AnswerKind.CHAT, AnswerKind.MESSAGE, AnswerKind.RESPONSE
COMPLETION, EMBEDDINGS = AnswerKind.COMPLETION, AnswerKind.EMBEDDINGS
TOKENS, OTHER = AnswerKind.TOKEN_COUNT, AnswerKind.OTHER
MEGABYTE = 1024 * 1024
LONG = "word " * (MEGABYTE // 5 * 2)
LONG_CONTENT = {"content": LONG}
LONG_ITEM = {"type": "message", "content": [{"type": "output_text", "text": LONG}]}
LONG_TEXT = {"type": "text", "text": LONG}
VECTORS = {"object": "list", "data": [{**VECTOR, "embedding": [0.125] * 300_000}]}
PAGE = "<!doctype html><html><title>Sign in</title>" + LONG


def echoed(*output: Any, **more: Any) -> dict[str, Any]:
    """A response that repeats the caller's instructions before its output."""
    return {
        "id": "r",
        "object": "response",
        "status": "completed",
        "instructions": LONG,
        **more,
        "output": output,
    }


@pytest.mark.parametrize(
    ("kind", "document", "flaw"),
    [
        (CHAT, chat(LONG_CONTENT), None),
        (CHAT, chat({**CALL, "reasoning": LONG}), None),
        (CHAT, {"error": None, **chat(LONG_CONTENT)}, None),
        (CHAT, {"citations": [LONG], "object": "chat.completion", **chat(HI)}, Flaw.OTHER),
        (CHAT, {"object": "chat.completion", "search_results": [LONG], **chat(HI)}, None),
        (COMPLETION, {"choices": [{"text": LONG}]}, None),
        (MESSAGE, message(LONG_TEXT), None),
        (MESSAGE, {"type": "message", "model": LONG, **message(TEXT)}, None),
        (RESPONSE, response(LONG_ITEM), None),
        (RESPONSE, echoed(LONG_ITEM), None),
        (EMBEDDINGS, VECTORS, None),
        (EMBEDDINGS, {"model": "m", "note": " " * 2000, **VECTORS}, None),
        (OTHER, {"created": 1, "data": [{"b64_json": "A" * len(LONG)}]}, None),
        (OTHER, {"error": None, "data": LONG}, None),
        (CHAT, {"error": {"message": LONG, "code": "invalid_api_key"}}, Flaw.OTHER),
        (CHAT, {"error": {"code": 500}, "choices": [], "trace": LONG}, Flaw.OTHER),
        (CHAT, {"error": LONG}, Flaw.OTHER),
        (CHAT, {"detail": LONG}, Flaw.OTHER),
        (CHAT, {"base_resp": {"status_code": 1008}, "choices": None, "x": LONG}, Flaw.OTHER),
        (CHAT, {"success": False, "errors": [{"message": LONG}]}, Flaw.OTHER),
        (CHAT, {"object": "error", "message": LONG, "code": 400}, Flaw.OTHER),
        (CHAT, {"choices": [], "object": "chat.completion", "x": LONG}, Flaw.OTHER),
        (CHAT, {"choices": LONG}, Flaw.OTHER),
        (CHAT, [{"error": {"message": LONG}}], Flaw.OTHER),
        (CHAT, LONG, Flaw.OTHER),
        (CHAT, {"message": 'the member "choices": [{' + LONG}, Flaw.OTHER),
        (CHAT, {"a": {"choices": [{"message": HI}]}, "b": LONG}, Flaw.OTHER),
        (CHAT, message(LONG_TEXT), Flaw.FOREIGN),
        (CHAT, {**MODELS, "x": LONG}, Flaw.FOREIGN),
        (CHAT, {"candidates": [{"content": {"parts": [{"text": LONG}]}}]}, Flaw.FOREIGN),
        (CHAT, {**GEMINI, "x": LONG}, Flaw.FOREIGN),
        (MESSAGE, chat(LONG_CONTENT), Flaw.FOREIGN),
        (MESSAGE, {"type": "error", "error": {"type": "overloaded_error", "message": LONG}}, Flaw.OTHER),
        (RESPONSE, {**response(status="failed"), "error": {"message": LONG}}, Flaw.OTHER),
        (RESPONSE, echoed(LONG_ITEM, status="failed"), Flaw.OTHER),
        (EMBEDDINGS, chat(LONG_CONTENT), Flaw.FOREIGN),
        (TOKENS, {"input_tokens": 3, "x": LONG}, Flaw.OTHER),
        (OTHER, {"error": {"message": LONG}}, Flaw.OTHER),
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_long_answer_is_judged_by_its_first_members(
    kind: AnswerKind, document: Any, flaw: Flaw | None, indent: int | None
) -> None:
    body = json.dumps(document, indent=indent).encode()[: MEGABYTE + 1]
    assert judge_answer(kind, body, whole=False).flaw is flaw


@pytest.mark.parametrize(
    ("kind", "start", "flaw"),
    [
        (CHAT, PAGE, Flaw.OTHER),
        (OTHER, PAGE, Flaw.OTHER),
        (CHAT, "upstream connect error " + LONG, Flaw.OTHER),
        (OTHER, "ID3 sound " + LONG, None),
        (CHAT, "\ufeff\r\n" + json.dumps(chat(LONG_CONTENT)), None),
        (CHAT, 'data: {"choices":[{"delta":{"content":"' + LONG, Flaw.UNASKED),
        (CHAT, ": comment\n\n" + LONG, Flaw.UNASKED),
        (CHAT, "{" + " " * 2 * MEGABYTE, Flaw.OTHER),
        (CHAT, '{"object":"chat.completion"' + " " * 2 * MEGABYTE, Flaw.OTHER),
        (CHAT, '{"a":' * 200_000, Flaw.OTHER),
        (CHAT, '{"a":1 ,' * 200_000, Flaw.OTHER),
        (CHAT, "{[1]:2}" + LONG, Flaw.OTHER),
        (CHAT, "[" * MEGABYTE, Flaw.OTHER),
        (CHAT, '{"choices":' + "[" * MEGABYTE, Flaw.OTHER),
    ],
)
def test_what_begins_as_no_answer_is_none_however_long_it_is(
    kind: AnswerKind, start: str, flaw: Flaw | None
) -> None:
    assert judge_answer(kind, start.encode()[: MEGABYTE + 1], whole=False).flaw is flaw


def test_a_whole_body_is_judged_as_a_whole() -> None:
    judgement = judge_answer(CHAT, json.dumps(chat(HI)).encode(), whole=True)
    assert judgement.flaw is None
    assert judgement.document is not None


def test_no_beginning_costs_more_than_a_few_parses_of_it() -> None:
    members = ",".join(f'"k{number}":[{{"a":1.5}}]' for number in range(60_000))
    starts = [
        f"{{{members}",
        '{"a":"' + '\\"' * 500_000,
        '{"a":[' + "1.25," * 200_000,
        '{"' + "\\u006d" * 170_000,
    ]
    for start in starts:
        began = time.process_time()
        judge_answer(CHAT, start.encode(), whole=False)
        assert time.process_time() - began < 3.0
