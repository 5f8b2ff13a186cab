"""Requests as an endpoint that speaks Responses gets them: each feature, by what the endpoint takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)

from holdfast.translate.form import (
    Call,
    Choice,
    Choose,
    Effort,
    File,
    Flag,
    Image,
    Limits,
    Opaque,
    Part,
    Refusal,
    Request,
    Result,
    Role,
    Seal,
    Shape,
    Text,
    Thinking,
    Tool,
    ToolKind,
    Turn,
)
from holdfast.translate.losses import Losses, Untranslatable
from responses_requests import MARK, OTHER_MARK, written
from sdk_types import faults
from tables import rows

SYSTEM, USER, ASSISTANT = Role.SYSTEM, Role.USER, Role.ASSISTANT
SCHEMA = {"type": "object", "properties": {}}
JSON_SCHEMA = {"type": "json_schema", "schema": SCHEMA}
HI = Turn(USER, (Text("hi"),))
HI_ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
BODY = {
    "model": "gpt",
    "input": [HI_ITEM],
    "store": False,
    "include": ["reasoning.encrypted_content"],
}
F = Tool("f", schema=SCHEMA)
F_WRITTEN = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}
NEAR = {"type": "approximate"}
RAW = {"type": "web_search_20250305", "name": "web_search"}
SEARCH = Tool("web_search", ToolKind.SERVED, served="web_search", raw=RAW)
CALL = Call("c", "f", "{}")
CALL_ITEM = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = Result("c", (Text("C"),))
RESULT_ITEM = {"type": "function_call_output", "call_id": "c", "output": "C"}


def _request(*turns: Turn, **members: Any) -> Request:
    return Request(model="m", turns=turns or (HI,), **members)


def _judged(request: Request, caps: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what an endpoint gets and what is lost; the SDK's types must know all of it."""
    losses = Losses()
    body = written(request, losses, **caps)
    hint = ResponseCreateParamsNonStreaming
    if request.stream:
        hint = ResponseCreateParamsStreaming
    assert faults(body, hint) == []
    return body, losses.names


def _user(*content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(content)}


def _model(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text}


def _asked(*answer: Part, then: Turn = HI) -> list[Turn]:
    return [HI, Turn(ASSISTANT, answer), then]


TURNS: dict[str, tuple[list[Turn], dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "a text": ([HI], {}, {}, ()),
    "leading words of the system": (
        [Turn(SYSTEM, (Text("a"), Text(" "))), Turn(SYSTEM, (Text("b"),)), HI],
        {},
        {"instructions": "a\n\nb"},
        (),
    ),
    "nothing but words of the system": (
        [Turn(SYSTEM, (Text("a"),)), Turn(SYSTEM, (Text("b"),))],
        {"mid_system": True},
        {
            "instructions": "a",
            "input": [
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "b"}]}
            ],
        },
        (),
    ),
    "later words of the system in place": (
        [HI, Turn(SYSTEM, (Text("s"),))],
        {"mid_system": True},
        {
            "input": [
                HI_ITEM,
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "s"}]},
            ]
        },
        (),
    ),
    "later words of the system as the user's": (
        [HI, Turn(SYSTEM, (Text("s"),))],
        {},
        {
            "input": [
                _user(
                    {"type": "input_text", "text": "hi"},
                    {"type": "input_text", "text": "<system-reminder>\ns\n</system-reminder>"},
                )
            ]
        },
        ("mid_system",),
    ),
    "images and documents": (
        [
            Turn(
                USER,
                (
                    Image(data="aaaa", media="image/png"),
                    Image(url="https://e.example/a.png", detail="low"),
                    File(data="aaaa", media="application/pdf", name="a.pdf"),
                    File(data="aaaa", media="application/pdf"),
                    File(url="https://e.example/a.pdf", name="a.pdf"),
                ),
            )
        ],
        {},
        {
            "input": [
                _user(
                    {"type": "input_image", "image_url": "data:image/png;base64,aaaa", "detail": "auto"},
                    {"type": "input_image", "image_url": "https://e.example/a.png", "detail": "low"},
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,aaaa",
                    },
                    {
                        "type": "input_file",
                        "filename": "document.pdf",
                        "file_data": "data:application/pdf;base64,aaaa",
                    },
                    {"type": "input_file", "file_url": "https://e.example/a.pdf"},
                )
            ]
        },
        (),
    ),
    "calls and their results, in the order of the calls": (
        [
            *_asked(Text("a"), Text(" "), CALL, Call("d", "g", "", ToolKind.FREE)),
            Turn(USER, (Result("d", (Text("D"),)), RESULT)),
        ],
        {},
        {
            "input": [
                HI_ITEM,
                _model("a"),
                CALL_ITEM,
                {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": ""},
                RESULT_ITEM,
                {"type": "custom_tool_call_output", "call_id": "d", "output": "D"},
                HI_ITEM,
            ]
        },
        (),
    ),
    "a tool of a namespace, called without arguments": (
        _asked(Call("c", "f", "", group="g"), then=Turn(USER, (RESULT,))),
        {},
        {"input": [HI_ITEM, CALL_ITEM | {"name": "g__f"}, RESULT_ITEM]},
        (),
    ),
    "results of several parts": (
        _asked(
            CALL,
            Call("d", "f", "{}"),
            then=Turn(
                USER,
                (
                    Result("c", (Text("a"), Text("b"))),
                    Result("d", (Text("a"), Image(data="aaaa", media="image/png"))),
                ),
            ),
        ),
        {},
        {
            "input": [
                HI_ITEM,
                CALL_ITEM,
                CALL_ITEM | {"call_id": "d"},
                RESULT_ITEM | {"output": "a\nb"},
                RESULT_ITEM
                | {
                    "call_id": "d",
                    "output": [
                        {"type": "input_text", "text": "a"},
                        {
                            "type": "input_image",
                            "image_url": "data:image/png;base64,aaaa",
                            "detail": "auto",
                        },
                    ],
                },
            ]
        },
        (),
    ),
    "results that failed": (
        _asked(
            CALL,
            Call("d", "f", "{}"),
            then=Turn(USER, (replace(RESULT, failed=True), Result("d", (), failed=True))),
        ),
        {},
        {
            "input": [
                HI_ITEM,
                CALL_ITEM,
                CALL_ITEM | {"call_id": "d"},
                RESULT_ITEM | {"output": "[error] C"},
                RESULT_ITEM | {"call_id": "d", "output": "[error]"},
            ]
        },
        ("error_flag",),
    ),
    "the seal of another model's call": (
        _asked(replace(CALL, seal=Seal(Opaque.THOUGHT, "v")), then=Turn(USER, (RESULT,))),
        {},
        {"input": [HI_ITEM, CALL_ITEM, RESULT_ITEM]},
        ("thinking_of_another_model",),
    ),
    "a result that is not there": (
        _asked(CALL),
        {},
        {"input": [HI_ITEM, CALL_ITEM, RESULT_ITEM | {"output": "interrupted"}, HI_ITEM]},
        ("fill_missing",),
    ),
    "the answer's beginning": (
        [HI, Turn(ASSISTANT, (Text("a"),))],
        {"prefill": True},
        {"input": [HI_ITEM, _model("a")]},
        (),
    ),
}


@rows("case", TURNS)
def test_turns_become_items_of_an_input(case: str) -> None:
    turns, caps, expected, losses = TURNS[case]
    assert _judged(_request(*turns), caps) == (BODY | expected, losses)


def test_a_refusal_stays_a_refusal() -> None:
    body = written(_request(*_asked(Refusal("no"))))
    assert body["input"][1]["content"] == [{"type": "refusal", "refusal": "no"}]
    assert body["input"][1]["id"].startswith("msg_")


ENCRYPTED = Seal(Opaque.ENCRYPTED, "v", MARK, "rs_1")
THOUGHTS: dict[str, tuple[Thinking, dict[str, Any], dict[str, Any] | None, tuple[str, ...]]] = {
    "encrypted by this model": (
        Thinking("t", ENCRYPTED),
        {},
        {"id": "rs_1", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": "v"},
        (),
    ),
    "encrypted by this model, without a summary": (
        Thinking("", ENCRYPTED),
        {},
        {"id": "rs_1", "summary": [], "encrypted_content": "v"},
        (),
    ),
    "in plain words of this model": (
        Thinking("t", Seal(Opaque.PLAIN, mark=MARK, item="rs_1")),
        {},
        {"id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
        (),
    ),
    "of another model": (
        Thinking("t", replace(ENCRYPTED, mark=OTHER_MARK)),
        {},
        None,
        ("thinking_of_another_model",),
    ),
    "of another vendor": (
        Thinking("t", Seal(Opaque.SIGNATURE, "v")),
        {},
        None,
        ("thinking_of_another_model",),
    ),
    "of a kind that has no place": (
        Thinking("t", replace(ENCRYPTED, kind=Opaque.DETAILS)),
        {},
        None,
        ("reasoning_not_returned",),
    ),
    "without a sign": (Thinking("t"), {}, None, ("reasoning_not_returned",)),
}


@rows("case", THOUGHTS)
def test_a_thought_goes_back_to_its_own_model_only(case: str) -> None:
    thought, caps, expected, losses = THOUGHTS[case]
    body, lost = _judged(_request(*_asked(thought, Text("a"))), caps)
    items = [item for item in body["input"] if item["type"] == "reasoning"]
    assert items == ([] if expected is None else [{"type": "reasoning"} | expected])
    assert lost == losses


def test_a_thought_without_a_sign_goes_where_plain_thoughts_are_wanted() -> None:
    body, _ = _judged(_request(*_asked(Thinking("t"), CALL)), {"reasoning_back": True})
    thought = body["input"][1]
    assert thought["content"] == [{"type": "reasoning_text", "text": "t"}]
    assert thought["id"].startswith("rs_")


def test_a_thought_that_nothing_follows_is_left_out() -> None:
    body, lost = _judged(_request(*_asked(Text("a"), Thinking("t", ENCRYPTED))), {})
    assert body["input"] == [HI_ITEM, _model("a"), HI_ITEM]
    assert lost == ("reasoning_not_returned",)


ONE = {"tools": (F,)}
MEMBERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ({"stream": True}, {}, {"stream": True}, ()),
    (ONE, {}, {"tools": [F_WRITTEN]}, ()),
    (
        {"tools": (Tool("f", description="F.", group="g", strict=Flag.ON),)},
        {},
        {"tools": [F_WRITTEN | {"name": "g__f", "description": "F.", "strict": True}]},
        ("namespace",),
    ),
    ({"tools": (replace(F, strict=Flag.ON),)}, {"strict": False}, {"tools": [F_WRITTEN]}, ("strict",)),
    (
        {"tools": (Tool("p", ToolKind.FREE, description="P.", grammar="a+", syntax="regex"),)},
        {},
        {
            "tools": [
                {
                    "type": "custom",
                    "name": "p",
                    "description": "P.",
                    "format": {"type": "grammar", "syntax": "regex", "definition": "a+"},
                }
            ]
        },
        (),
    ),
    ({"tools": (Tool("p", ToolKind.FREE),)}, {}, {"tools": [{"type": "custom", "name": "p"}]}, ()),
    ({"tools": (F, SEARCH)}, {}, {"tools": [F_WRITTEN]}, ("web_search",)),
    (
        {"tools": (F, SEARCH)},
        {"web_search": "web_search"},
        {"tools": [F_WRITTEN, {"type": "web_search"}]},
        (),
    ),
    (
        {"tools": (replace(SEARCH, raw=RAW | {"allowed_domains": ["a.example"], "user_location": NEAR}),)},
        {"web_search": "web_search"},
        {
            "tools": [
                {
                    "type": "web_search",
                    "filters": {"allowed_domains": ["a.example"]},
                    "user_location": NEAR,
                }
            ]
        },
        (),
    ),
    (
        {"tools": (F, replace(SEARCH, raw=RAW | {"blocked_domains": ["a.example"]}))},
        {"web_search": "web_search"},
        {"tools": [F_WRITTEN]},
        ("web_search",),
    ),
    (ONE | {"choice": Choice(Choose.NONE)}, {}, {"tools": [F_WRITTEN], "tool_choice": "none"}, ()),
    (ONE | {"choice": Choice(Choose.ANY)}, {}, {"tools": [F_WRITTEN], "tool_choice": "required"}, ()),
    (
        ONE | {"choice": Choice(Choose.ONE, "f")},
        {},
        {"tools": [F_WRITTEN], "tool_choice": {"type": "function", "name": "f"}},
        (),
    ),
    (
        {"tools": (Tool("p", ToolKind.FREE),), "choice": Choice(Choose.ONE, "p")},
        {},
        {"tools": [{"type": "custom", "name": "p"}], "tool_choice": {"type": "custom", "name": "p"}},
        (),
    ),
    (ONE | {"parallel": Flag.OFF}, {}, {"tools": [F_WRITTEN], "parallel_tool_calls": False}, ()),
    (ONE | {"parallel": Flag.ON}, {}, {"tools": [F_WRITTEN], "parallel_tool_calls": True}, ()),
    (ONE | {"parallel": Flag.OFF}, {"parallel_flag": False}, {"tools": [F_WRITTEN]}, ("parallel",)),
    (
        {"limits": Limits(100, temperature=0.5, top_p=0.1)},
        {"max_output": 100},
        {"max_output_tokens": 100, "temperature": 0.5, "top_p": 0.1},
        (),
    ),
    ({"limits": Limits(101)}, {"max_output": 100}, {"max_output_tokens": 100}, ("max_tokens",)),
    ({"limits": Limits(1)}, {"max_output": 100}, {"max_output_tokens": 16}, ("max_tokens",)),
    ({"limits": Limits(16)}, {}, {"max_output_tokens": 16}, ()),
    ({"limits": Limits(temperature=1, top_p=0.5)}, {"temperature": False}, {}, ("temperature",)),
    ({"limits": Limits(top_k=5)}, {}, {}, ("top_k",)),
    ({"effort": Effort("low")}, {}, {"reasoning": {"effort": "low"}}, ()),
    (
        {"effort": Effort("max", shown=True)},
        {},
        {"reasoning": {"effort": "high", "summary": "auto"}},
        ("effort",),
    ),
    ({"effort": Effort("none")}, {"effort_off": "disabled"}, {}, ("effort",)),
    ({"effort": Effort("none")}, {"effort_off": "none"}, {"reasoning": {"effort": "none"}}, ()),
    ({"effort": Effort("high", shown=True)}, {"efforts": ()}, {"include": None}, ("effort",)),
    (
        {"effort": Effort(budget=900), "limits": Limits(1000)},
        {},
        {"reasoning": {"effort": "high"}, "max_output_tokens": 1000},
        ("effort",),
    ),
    ({"effort": Effort(budget=900)}, {}, {"reasoning": {"effort": "medium"}}, ("effort",)),
    ({"shape": Shape()}, {}, {"text": {"format": {"type": "json_object"}}}, ()),
    (
        {"shape": Shape(SCHEMA, "n", Flag.ON, "d")},
        {},
        {"text": {"format": JSON_SCHEMA | {"name": "n", "description": "d", "strict": True}}},
        (),
    ),
    (
        {"shape": Shape(SCHEMA)},
        {},
        {"text": {"format": JSON_SCHEMA | {"name": "answer"}}},
        (),
    ),
    ({"verbosity": "low"}, {"verbosity": True}, {"text": {"verbosity": "low"}}, ()),
    ({"verbosity": "low"}, {}, {}, ("verbosity",)),
    ({"cache_key": "k"}, {"cache_key": True}, {"prompt_cache_key": "k"}, ()),
    ({"cache_key": "k"}, {}, {}, ("cache_control",)),
    ({"tier": "flex"}, {"tier": True}, {"service_tier": "flex"}, ()),
    ({"tier": "flex"}, {}, {}, ("service_tier",)),
    ({"tier": "auto"}, {}, {}, ()),
]  # fmt: skip


@rows("index", range(len(MEMBERS)))
def test_members_of_a_request_are_written(index: int) -> None:
    members, caps, expected, losses = MEMBERS[index]
    body = {name: value for name, value in (BODY | expected).items() if value is not None}
    assert _judged(_request(**members), caps) == (body, losses)


REFUSED: dict[str, tuple[Request, dict[str, Any], str]] = {
    "no turns": (Request("m", ()), {}, "messages: there is nothing to answer"),
    "an answer's beginning": (_request(HI, Turn(ASSISTANT, (Text("a"),), "m[1]")), {}, "m[1]: the endpoint"),
    "nothing but blank words": (_request(Turn(USER, (Text(" "),))), {}, "messages: there is nothing"),
    "an answer's beginning, and nothing": (
        _request(*_asked(Text("a", "m[1]"), then=Turn(USER, (Text(" "),), "m[2]"))),
        {},
        "m[2]: the endpoint",
    ),
    "texts to stop at": (_request(limits=Limits(stop=("a",))), {}, "stop: the endpoint takes no texts"),
    "an image of the model": (_request(*_asked(Image("u", at="m[1]"))), {}, "m[1]: a message of the"),
    "a thought of the user": (_request(Turn(USER, (Thinking("t", at="m[1]"),))), {}, "m[1]: this belongs"),
    "an image by its address": (
        _request(Turn(USER, (Image("https://e.example/a.png", at="m[1]"),))),
        {"image_urls": False},
        "m[1]: the endpoint takes no images by their address",
    ),
    "a result without a call": (_request(Turn(USER, (Result("c", (), at="m[1]"),))), {}, "m[1]: no call"),
    "a form that is not taken": (_request(shape=Shape(SCHEMA)), {"schema": False}, "response_format: the"),
    "only a tool at a provider": (_request(tools=(replace(SEARCH, at="tools[0]"),)), {}, "tools[0]: "),
}  # fmt: skip


@rows("case", REFUSED)
def test_what_an_endpoint_cannot_be_asked_is_refused(case: str) -> None:
    request, caps, message = REFUSED[case]
    with pytest.raises(Untranslatable) as refused:
        written(request, **caps)
    assert str(refused.value).startswith(message)


def test_a_search_at_the_provider_may_be_demanded_where_there_is_one() -> None:
    request = _request(tools=(F, SEARCH), choice=Choice(Choose.ONE, "web_search"))
    assert written(request, web_search="web_search")["tool_choice"] == {"type": "web_search"}
