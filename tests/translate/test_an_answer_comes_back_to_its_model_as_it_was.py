"""A chat model's answer goes to a Messages caller, which sends it back in the next request: what the model
gets is what it said, whole or streamed."""

from __future__ import annotations

import json
from typing import Any

from holdfast.translate import read_messages
from holdfast.translate.caps import Caps
from holdfast.translate.context import Caller
from holdfast.translate.events import DONE, Event, fold
from holdfast.translate.from_chat import ChatReader
from holdfast.translate.losses import Losses
from holdfast.translate.names import ToolNames, wire_name
from holdfast.translate.to_messages import MessagesWriter
from tables import rows
from translate.claude_code import text, tool
from translate.messages_to_chat import MARK, SEALER, asking, carried

ASKED = asking(
    tools=[tool("get"), tool("a.b.c", description="A name that chat does not have.")],
    messages=[{"role": "user", "content": "hi"}],
)


def _call(at: str, name: str = "get", arguments: str = '{"a":1}', **members: Any) -> dict[str, Any]:
    return {"id": at, "type": "function", "function": {"name": name, "arguments": arguments}, **members}


SIGNED = {"extra_content": {"google": {"thought_signature": "zz=="}}}
DETAILS = [
    {"type": "reasoning.text", "text": "A.", "signature": "s", "index": 0},
    {"type": "reasoning.encrypted", "data": "zz", "index": 1},
]
ANSWERS: dict[str, dict[str, Any]] = {
    "words": {"content": "a"},
    "thoughts": {"content": "a", "reasoning_content": "A.\n"},
    "a call": {"content": None, "tool_calls": [_call("call_1")]},
    "thoughts and calls": {
        "content": "a",
        "reasoning_content": "A.",
        "tool_calls": [_call("call_1"), _call("functions.get:0", arguments="{}"), _call("call_3", "other")],
    },
    "a call of a tool whose name chat does not take": {
        "content": None,
        "tool_calls": [_call("call_1", wire_name("", "a.b.c"))],
    },
    "signed calls": {"content": None, "tool_calls": [_call("call_1", **SIGNED), _call("call_2", **SIGNED)]},
    "details": {"content": "a", "reasoning_details": DETAILS},
    "details before a call": {"content": None, "reasoning_details": DETAILS, "tool_calls": [_call("call_1")]},
}


def _events(message: dict[str, Any], *, streamed: bool) -> list[Event]:
    reader = ChatReader(Caps(), MARK, "seed", Losses())
    message = {"role": "assistant", **message}
    reason = ("stop", "tool_calls")["tool_calls" in message]
    head = {"id": "chatcmpl-1", "model": "m", "created": 1}
    if not streamed:
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return reader.whole({**head, "object": "chat.completion", "choices": [choice]})
    events: list[Event] = []
    for name, value in message.items():
        items = enumerate(value) if name == "tool_calls" else ()
        deltas = [{name: [{"index": index, **item}]} for index, item in items] or [{name: value}]
        for delta in deltas:
            events += reader.feed({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    events += reader.feed({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    return events + reader.feed(DONE)


def _content(events: list[Event], *, streamed: bool) -> list[dict[str, Any]]:
    """Return the content that a caller of Messages has in the end."""
    losses = Losses()
    request = read_messages.read(ASKED, SEALER, losses)
    names = ToolNames(request.tools, losses)
    caller = Caller(
        request=request, names=names, sealer=SEALER, mark=MARK, now=0.0, seed="seed", losses=losses
    )
    writer = MessagesWriter(caller)
    if not streamed:
        return list(writer.whole(fold(events))["content"])
    return _gathered([written for event in events for written in writer.feed(event)])


def _gathered(stream: list[dict[str, Any]]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for event in stream:
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "partial": ""})
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            (name,) = delta.keys() - {"type"}
            member = {"partial_json": "partial"}.get(name, name)
            blocks[-1][member] = blocks[-1].get(member, "") + delta[name]
    for block in blocks:
        partial = block.pop("partial")
        if block["type"] == "tool_use":
            block["input"] = json.loads(partial or "{}")
    return blocks


@rows("streamed", [False, True], ids=["whole", "streamed"])
@rows("name", ANSWERS)
def test_an_answer_comes_back_to_its_model_as_it_was(name: str, streamed: bool) -> None:
    message = ANSWERS[name]
    content = _content(_events(message, streamed=streamed), streamed=streamed)
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "done"}
        for block in content
        if block["type"] == "tool_use"
    ]
    earlier = [*ASKED["messages"], {"role": "assistant", "content": content}]
    asked = ASKED | {"messages": [*earlier, {"role": "user", "content": [*results, text("go")]}]}
    body, less = carried(asked, reasoning_back=True, effort_off="disabled")
    given = dict(body["messages"][1])
    for made, call in zip(given.get("tool_calls", ()), message.get("tool_calls", ()), strict=True):
        made["id"] = call["id"]
    assert given == {"role": "assistant", **message}
    assert set(less) <= {"reasoning_not_returned"}
