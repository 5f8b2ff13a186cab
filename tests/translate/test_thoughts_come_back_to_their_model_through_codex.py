"""What a model thought, through a caller of Responses that echoes it, and a home that was started anew: its
own model gets it back as it was, another one does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.translate.caps import Caps
from holdfast.translate.context import Caller, Target
from holdfast.translate.envelope import Sealer
from holdfast.translate.events import AnswerReader, fold
from holdfast.translate.from_chat import ChatReader
from holdfast.translate.from_messages import MessagesReader
from holdfast.translate.losses import Losses
from holdfast.translate.names import ToolNames
from holdfast.translate.read_responses import read
from holdfast.translate.to_responses import ResponsesWriter
from responses_requests import FUNCTION, MARK, OTHER_MARK, USER, WRITERS
from tables import rows

KEY = b"key of a home"
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SIGNED = CALL | {"extra_content": {"google": {"thought_signature": "S"}}}
DETAILS = [
    {"type": "reasoning.text", "text": "t", "signature": "s", "id": "1"},
    {"type": "reasoning.encrypted", "data": "z"},
]
BLOCKS = [
    {"type": "thinking", "thinking": "t", "signature": "s"},
    {"type": "redacted_thinking", "data": "z"},
    {"type": "tool_use", "id": "c", "name": "f", "input": {}},
]


def _chat(**members: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]} | members
    return {
        "id": "x",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }


MESSAGE = {
    "id": "x",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": BLOCKS,
    "stop_reason": "tool_use",
}
_Reader = Callable[[Caps, str, str], AnswerReader]
BACK = Caps(reasoning_back=True, effort_off="none")
ANSWERS: dict[str, tuple[str, _Reader, dict[str, Any], Caps, dict[str, Any]]] = {
    "in plain words": ("chat", ChatReader, _chat(reasoning_content="t"), BACK, {"reasoning_content": "t"}),
    "with details": (
        "chat",
        ChatReader,
        _chat(reasoning="t", reasoning_details=DETAILS),
        Caps(),
        {"reasoning_details": DETAILS},
    ),
    "with a signature beside the call": (
        "chat",
        ChatReader,
        _chat(tool_calls=[SIGNED]),
        Caps(),
        {"tool_calls": [SIGNED]},
    ),
    "with signed blocks": (
        "messages",
        MessagesReader,
        MESSAGE,
        Caps(max_output=99, thinking="adaptive"),
        {"content": BLOCKS},
    ),
}


@rows("case", ANSWERS)
def test_a_thought_comes_back_to_its_own_model_as_it_was(case: str) -> None:
    _, _, _, _, expected = ANSWERS[case]
    message, lost = _next_request(case, MARK)
    assert {name: message[name] for name in expected} == expected
    assert set(lost) <= {"summary"}


@rows("case", ANSWERS)
def test_a_thought_comes_to_no_other_model(case: str) -> None:
    message, lost = _next_request(case, OTHER_MARK)
    assert not {"reasoning_content", "reasoning_details"} & message.keys()
    assert "signature" not in str(message)
    assert "thinking" not in str(message)
    assert set(lost) & {"thinking_of_another_model", "reasoning_not_returned"}


def _next_request(case: str, mark: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the model's message in the request that follows an answer, and what is lost."""
    dialect, reader, document, caps, _ = ANSWERS[case]
    body = {"model": "m", "input": [USER], "tools": [FUNCTION], "reasoning": {"summary": "auto"}}
    losses = Losses()
    request = read(body, Sealer(KEY), losses)
    caller = Caller(
        request=request,
        names=ToolNames(request.tools, losses),
        sealer=Sealer(KEY),
        mark=MARK,
        now=0.0,
        seed="s",
        losses=losses,
    )
    answer = fold(reader(caps, MARK, "s", losses).whole(document))
    output = ResponsesWriter(caller).whole(answer)["output"]
    result = {"type": "function_call_output", "call_id": "c", "output": "C"}
    losses = Losses()
    request = read(body | {"input": [USER, *output, result]}, Sealer(KEY), losses)
    target = Target(caps, mark, "m", ToolNames(request.tools, losses), losses)
    return WRITERS[dialect](request, target)["messages"][1], losses.names
