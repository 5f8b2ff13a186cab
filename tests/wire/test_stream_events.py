"""What the first events of a stream say: output, nothing yet, a failure, or another API."""

from __future__ import annotations

from typing import Any

from holdfast.core.identity import Dialect
from holdfast.wire.stream_events import EventSign, judge_event
from tables import rows
from wire.test_answer_shape import CALL, HI, ITEM, NOTHING, SOME, STOPPED, TEXT, ZERO, message, response


def chunk(delta: Any = None, finish: str | None = None, *, choice: Any = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish} | (choice or {})], **more}


C, M, R = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES


@rows(
    ("dialect", "name", "event", "sign"),
    [
        (C, "", {}, EventSign.NOTHING),
        (C, "", chunk({"role": "assistant", "content": ""}), EventSign.NOTHING),
        (C, "", {"choices": [], "prompt_filter_results": [{}]}, EventSign.NOTHING),
        (C, "", {"choices": None, "usage": ZERO}, EventSign.NOTHING),
        (C, "", {"choices": [], "usage": SOME}, EventSign.OUTPUT),
        (C, "", chunk({"role": "assistant"}, usage=SOME), EventSign.NOTHING),
        (C, "ping", {"type": "ping"}, EventSign.NOTHING),
        (C, "", {"status": "processing"}, EventSign.NOTHING),
        (C, "", chunk(HI), EventSign.OUTPUT),
        (C, "", chunk(CALL), EventSign.OUTPUT),
        (C, "", chunk({"reasoning": "hm"}), EventSign.OUTPUT),
        (C, "", {"choices": [{"text": "hi"}]}, EventSign.OUTPUT),
        (C, "", {"choices": [{"text": "", "finish_reason": "stop"}]}, EventSign.OUTPUT),
        (C, "", chunk(NOTHING, "stop"), EventSign.NOTHING),
        (C, "", chunk(NOTHING, ""), EventSign.NOTHING),
        *((C, "", chunk(NOTHING, "stop", choice=more), EventSign.OUTPUT) for more in STOPPED),
        (C, "", chunk(NOTHING, "stop", usage=SOME), EventSign.OUTPUT),
        (C, "", chunk(NOTHING, "length"), EventSign.OUTPUT),
        (C, "", chunk(NOTHING, "content_filter"), EventSign.OUTPUT),
        (C, "", chunk(HI, "error"), EventSign.FAILURE),
        (C, "", {"choices": [{"delta": {}, "error": {"code": 502}}]}, EventSign.FAILURE),
        (C, "", {"error": {"message": "no"}}, EventSign.FAILURE),
        (C, "", chunk(HI, error={"code": 502}), EventSign.FAILURE),
        (C, "error", {"message": "no"}, EventSign.FAILURE),
        (C, "", {"base_resp": {"status_code": 1008}}, EventSign.FAILURE),
        (C, "", {"code": "1301", "msg": "no"}, EventSign.FAILURE),
        (C, "", {"detail": "no"}, EventSign.FAILURE),
        (C, "", {"success": False}, EventSign.FAILURE),
        (C, "", {"errors": [{"message": "no"}]}, EventSign.FAILURE),
        (C, "", {"code": 0, "msg": "ok"}, EventSign.NOTHING),
        (C, "", chunk(HI, code=7, message="no", detail="no"), EventSign.OUTPUT),
        (C, "", chunk(HI, base_resp={"status_code": 0}), EventSign.OUTPUT),
        (C, "message_start", {"type": "message_start", "message": {}}, EventSign.FOREIGN),
        (C, "response.created", {"type": "response.created"}, EventSign.FOREIGN),
        (M, "message_start", {"message": message(out=1)}, EventSign.NOTHING),
        (M, "ping", {}, EventSign.NOTHING),
        (M, "unheard_of", {"type": "unheard_of"}, EventSign.NOTHING),
        (M, "content_block_start", {"content_block": TEXT}, EventSign.OUTPUT),
        (M, "message_delta", {"delta": {"stop_reason": "end_turn"}}, EventSign.NOTHING),
        (M, "message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": ZERO}, EventSign.NOTHING),
        (M, "message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": SOME}, EventSign.OUTPUT),
        (M, "message_delta", {"delta": {"stop_reason": "refusal"}}, EventSign.OUTPUT),
        (M, "message_delta", {"delta": None}, EventSign.NOTHING),
        (M, "message_stop", {}, EventSign.NOTHING),
        (M, "error", {"error": {"type": "overloaded_error"}}, EventSign.FAILURE),
        (M, "", {"base_resp": {"status_code": 1004}}, EventSign.FAILURE),
        (M, "", chunk(HI), EventSign.FOREIGN),
        (M, "response.created", {}, EventSign.FOREIGN),
        (R, "response.created", {"response": response(status="in_progress")}, EventSign.NOTHING),
        (R, "codex.rate_limits", {}, EventSign.NOTHING),
        (R, "response.output_text.delta", {"delta": "hi"}, EventSign.OUTPUT),
        (R, "response.completed", {"response": response(ITEM)}, EventSign.OUTPUT),
        (R, "response.completed", {"response": response()}, EventSign.NOTHING),
        (R, "response.completed", {"response": None}, EventSign.NOTHING),
        (R, "response.incomplete", {"response": response(status="incomplete")}, EventSign.OUTPUT),
        (R, "response.failed", {"response": response(status="failed")}, EventSign.FAILURE),
        (R, "", chunk(HI), EventSign.FOREIGN),
        (R, "message_start", {"message": message()}, EventSign.FOREIGN),
    ],
)
def test_an_event_says_whether_the_output_has_begun(
    dialect: Dialect, name: str, event: dict[str, Any], sign: EventSign
) -> None:
    assert judge_event(dialect, name, event) is sign
