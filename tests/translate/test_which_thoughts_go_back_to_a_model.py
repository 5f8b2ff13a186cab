"""Which thoughts are given back to a model that speaks Messages, and when it may think on."""

from __future__ import annotations

from typing import Any

from chat_requests import (
    ADAPTIVE,
    BUDGET,
    MARK,
    OTHER_MARK,
    SEALER,
    USER,
    call,
    calling,
    result,
    sealed,
    text,
    told,
    translated,
    used,
)
from holdfast.translate import from_messages, to_chat
from holdfast.translate.caps import Caps
from holdfast.translate.context import Caller
from holdfast.translate.envelope import Sealer
from holdfast.translate.events import fold
from holdfast.translate.form import Opaque, Request, Seal, Tool
from holdfast.translate.losses import Losses
from holdfast.translate.names import ToolNames
from tables import rows


def detail(**members: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", **members}


THOUGHTS: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str]] = {
    "a signature beside its text": (
        {
            "reasoning_content": "hm",
            "reasoning_details": [detail(text="hm", signature=sealed(Opaque.SIGNATURE, "s"))],
        },
        [{"type": "thinking", "thinking": "hm", "signature": "s"}],
        "",
    ),
    "a signature alone": (
        {
            "reasoning": "hm",
            "reasoning_details": [{"type": "reasoning.encrypted", "data": sealed(Opaque.SIGNATURE, "s")}],
        },
        [{"type": "thinking", "thinking": "hm", "signature": "s"}],
        "",
    ),
    "a thought that nobody can read": (
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": sealed(Opaque.REDACTED, "r")}]},
        [{"type": "redacted_thinking", "data": "r"}],
        "",
    ),
    "a readable thought and another": (
        {
            "reasoning_content": "hm",
            "reasoning_details": [
                {"data": sealed(Opaque.REDACTED, "r")},
                {"data": sealed(Opaque.SIGNATURE, "s")},
            ],
        },
        [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "r"},
        ],
        "",
    ),
    "a thought of an endpoint that signs none": (
        {"reasoning_content": "hm", "reasoning_details": [{"data": sealed(Opaque.PLAIN)}]},
        [{"type": "thinking", "thinking": "hm", "signature": ""}],
        "",
    ),
    "a thought of another model": (
        {
            "reasoning_content": "hm",
            "reasoning_details": [{"data": sealed(Opaque.SIGNATURE, "s", OTHER_MARK)}],
        },
        [],
        "thinking_of_another_model",
    ),
    "an encrypted item of another dialect": (
        {"reasoning_details": [{"data": sealed(Opaque.ENCRYPTED, "s")}]},
        [],
        "thinking_of_another_model",
    ),
    "several signatures whose texts cannot be told apart": (
        {
            "reasoning_content": "hm",
            "reasoning_details": [
                {"data": sealed(Opaque.SIGNATURE, "s")},
                {"data": sealed(Opaque.SIGNATURE, "t")},
            ],
        },
        [],
        "reasoning_not_returned",
    ),
    "thoughts that are pieces of one text": (
        {
            "reasoning_content": "hmhoho",
            "reasoning_details": [
                {"data": sealed(Opaque.SIGNATURE, "s"), "length": 2},
                {"data": sealed(Opaque.REDACTED, "r"), "length": 0},
                {"data": sealed(Opaque.SIGNATURE, "t"), "length": 4},
            ],
        },
        [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "r"},
            {"type": "thinking", "thinking": "hoho", "signature": "t"},
        ],
        "",
    ),
    "a text that was changed": (
        {
            "reasoning_content": "hm!",
            "reasoning_details": [
                {"data": sealed(Opaque.SIGNATURE, "s"), "length": 2},
                {"data": sealed(Opaque.REDACTED, "r"), "length": 0},
            ],
        },
        [{"type": "redacted_thinking", "data": "r"}],
        "reasoning_not_returned",
    ),
    "seals that hold values of their own endpoints": (
        {
            "reasoning_content": "hm",
            "reasoning_details": [
                {"data": SEALER.seal(Seal(Opaque.DETAILS, [{"data": "x"}], MARK)), "length": True},
                {"data": SEALER.seal(Seal(Opaque.THOUGHT, {"google": {}}, MARK)), "id": 5},
            ],
        },
        [],
        "reasoning_not_returned",
    ),
    "a signature of another home": (
        {
            "reasoning_content": "hm",
            "reasoning_details": [{"data": Sealer(b"other").seal(Seal(Opaque.SIGNATURE, "s", MARK))}],
        },
        [],
        "reasoning_not_returned",
    ),
    "what only looks like a seal": (
        {"reasoning_details": [detail(text="hm", signature="hf1~\ud800.x")]},
        [],
        "reasoning_not_returned",
    ),
    "a genuine signature": (
        {"reasoning_details": [detail(text="hm", signature="genuine")]},
        [],
        "reasoning_not_returned",
    ),
}


@rows("name", THOUGHTS)
def test_thoughts_go_only_to_the_model_that_thought_them(name: str) -> None:
    members, expected, loss = THOUGHTS[name]
    body, losses = translated({"messages": [USER, {"role": "assistant", "content": "a", **members}, USER]})
    assert body["messages"][1] == told("assistant", *expected, text("a"))
    assert losses == tuple(filter(None, [loss]))


THINKS = {"reasoning_content": "hm", "reasoning_details": [{"data": sealed(Opaque.SIGNATURE, "s")}]}


@rows(
    ("messages", "thinks"),
    [
        ([USER, calling(call()), result()], False),
        ([USER, calling(call(), **THINKS), result()], True),
        ([USER, calling(call(), **THINKS), result(), calling(call(at="b")), result(at="b")], True),
        ([USER, calling(call()), result(), {"role": "assistant", "content": "a"}, USER], True),
    ],
)
def test_a_level_of_effort_waits_for_the_end_of_calls_without_thoughts(
    messages: list[dict[str, Any]], thinks: bool
) -> None:
    body, _ = translated({"messages": messages, "reasoning_effort": "medium"}, **BUDGET)
    assert ("thinking" in body) is thinks
    body, _ = translated({"messages": messages, "reasoning_effort": "medium"}, **ADAPTIVE)
    assert body["thinking"] == {"type": "adaptive"}


ANSWERS: dict[str, list[dict[str, Any]]] = {
    "a thought and words": [{"type": "thinking", "thinking": "hm", "signature": "s"}, text("a")],
    "a thought before each call": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        text("a"),
        used({"x": 1}),
        {"type": "thinking", "thinking": "ho", "signature": "t"},
        {"type": "redacted_thinking", "data": "r"},
        used({}, at="b"),
    ],
    "a thought that is not shown": [{"type": "thinking", "thinking": "", "signature": "s"}, used({})],
    "thoughts of an endpoint that signs none": [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        used({}),
        {"type": "thinking", "thinking": "ho", "signature": ""},
        used({}, at="b"),
    ],
}


@rows("name", ANSWERS)
def test_an_answer_comes_back_through_a_chat_as_it_was(name: str) -> None:
    content = ANSWERS[name]
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": content}
    reader = from_messages.MessagesReader(Caps(), MARK, "seed", Losses())
    answer = fold(reader.whole({**body, "stop_reason": "end_turn", "usage": {}}))
    losses = Losses()
    tools = (Tool("f"),)
    caller = Caller(
        request=Request("m", (), tools),
        names=ToolNames(tools, losses),
        sealer=SEALER,
        mark=MARK,
        now=0.0,
        seed="seed",
        losses=losses,
    )
    message = to_chat.ChatWriter(caller).whole(answer)["choices"][0]["message"]
    results = [result(at=block["id"]) for block in content if block["type"] == "tool_use"]
    written, _ = translated({"messages": [USER, message, *results, USER]})
    assert written["messages"][1]["content"] == content
