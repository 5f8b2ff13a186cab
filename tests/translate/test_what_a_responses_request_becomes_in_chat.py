"""What a chat endpoint is sent for a request of OpenAI's Responses, such as Codex sends."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.translate import read_responses
from holdfast.translate.form import Image, Request, Role, Text, Turn
from holdfast.translate.losses import Losses, Untranslatable
from tables import rows
from translate.messages_to_chat import MODEL, SEALER, Written, write

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
TEXT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}


def carried(members: dict[str, Any], *, session: str = "", **caps: Any) -> Written:
    losses = Losses()
    body = {"model": "gpt", "input": "hi"} | members
    return write(read_responses.read(body, SEALER, losses), losses, session=session, **caps)


def function(name: str, parameters: Any = SCHEMA, **members: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": parameters, **members}


def written(name: str, parameters: Any = SCHEMA, **members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **members}}


PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Patch.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"},
}
PLAIN = {"type": "custom", "name": "exec", "description": "Run."}
GROUP = {"type": "namespace", "name": "jira", "description": "-", "tools": [function("get")]}
ABOUT = "(About all tools of jira: -)"
SHAPE = {"type": "json_schema", "name": "n", "schema": SCHEMA}

# Members, what is written beside the model and the words, what is lost, and caps.
MEMBERS: dict[str, tuple[dict[str, Any], dict[str, Any], set[str], dict[str, Any]]] = {
    "max_output_tokens": ({"max_output_tokens": 5}, {"max_tokens": 5}, set(), {}),
    "effort": ({"reasoning": {"effort": "xhigh"}}, {"reasoning_effort": "high"}, {"effort"}, {}),
    "summary": (
        {"reasoning": {"effort": "low", "summary": "auto"}},
        {"reasoning_effort": "low"},
        {"summary"},
        {},
    ),
    "verbosity": ({"text": {"verbosity": "low"}}, {}, {"verbosity"}, {}),
    "verbosity, where it is known": (
        {"text": {"verbosity": "low"}},
        {"verbosity": "low"},
        set(),
        {"verbosity": True},
    ),
    "cache key": ({"prompt_cache_key": "k"}, {}, {"cache_control"}, {}),
    "cache key, where it is known": (
        {"prompt_cache_key": "k"},
        {"prompt_cache_key": "k"},
        set(),
        {"cache_key": True},
    ),
    "schema": (
        {"text": {"format": SHAPE}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
        set(),
        {},
    ),
    "schema, not to the letter": (
        {"text": {"format": {**SHAPE, "strict": False, "description": "d"}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": SCHEMA, "description": "d", "strict": False},
            }
        },
        set(),
        {},
    ),
    "any JSON": (
        {"text": {"format": {"type": "json_object"}}},
        {"response_format": {"type": "json_object"}},
        set(),
        {},
    ),
    "class of service": ({"service_tier": "flex"}, {}, {"service_tier"}, {}),
    "class of service, where it is known": (
        {"service_tier": "flex"},
        {"service_tier": "flex"},
        set(),
        {"tier": True},
    ),
    "functions": (
        {"tools": [function("get", strict=False, description="Get it.")], "parallel_tool_calls": True},
        {"tools": [written("get", description="Get it.")], "parallel_tool_calls": True},
        set(),
        {},
    ),
    "one call at a time": (
        {"tools": [function("get")], "parallel_tool_calls": False},
        {"tools": [written("get")], "parallel_tool_calls": False},
        set(),
        {},
    ),
    "several calls, where that cannot be said": (
        {"tools": [function("get")], "parallel_tool_calls": True},
        {"tools": [written("get")]},
        set(),
        {"parallel_flag": False},
    ),
    "a group of tools": (
        {"tools": [GROUP]},
        {"tools": [written("jira__get", description=ABOUT)]},
        {"namespace"},
        {},
    ),
    "a tool that takes a text": (
        {"tools": [PLAIN]},
        {"tools": [written("exec", TEXT, description="Run.")]},
        set(),
        {},
    ),
    "a tool that takes a text by a grammar": (
        {"tools": [PATCH]},
        {
            "tools": [
                written(
                    "apply_patch",
                    TEXT,
                    description="Patch.\n\nThe input must follow this grammar:\nstart: /a/",
                )
            ]
        },
        {"grammar"},
        {},
    ),
    "search by the provider": (
        {"tools": [function("get"), {"type": "web_search"}]},
        {"tools": [written("get")]},
        {"web_search"},
        {},
    ),
    "search that only another dialect would have": (
        {"tools": [function("get"), {"type": "web_search"}]},
        {"tools": [written("get")]},
        {"web_search"},
        {"web_search": "web_search"},
    ),
    "a tool of a group is chosen": (
        {"tools": [function("get"), PLAIN], "tool_choice": {"type": "custom", "name": "exec"}},
        {
            "tools": [written("get"), written("exec", TEXT, description="Run.")],
            "tool_choice": {"type": "function", "function": {"name": "exec"}},
        },
        set(),
        {},
    ),
}


@rows("name", MEMBERS)
def test_a_member_of_a_responses_request_has_its_counterpart_or_a_loss(name: str) -> None:
    members, expected, less, caps = MEMBERS[name]
    body, names = carried(members, **caps)
    assert body == {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]} | expected
    assert set(names) == less


def test_the_session_has_a_key_of_its_own_for_the_cache() -> None:
    asked = {"prompt_cache_key": "k"}
    assert carried(asked, session="s", cache_key=True).body["prompt_cache_key"] == "s"
    assert carried({}, session="s", cache_key=True).body["prompt_cache_key"] == "s"
    assert carried({}, session="s") == carried({})


def item(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": kind, **members}


def say(role: str, words: str) -> dict[str, Any]:
    kind = ("input_text", "output_text")[role == "assistant"]
    return item("message", role=role, content=[{"type": kind, "text": words}])


def call(number: int, name: str = "get", **members: Any) -> dict[str, Any]:
    return item("function_call", call_id=f"call_{number}", name=name, arguments="{}", **members)


def output(number: int, words: Any = "done") -> dict[str, Any]:
    return item("function_call_output", call_id=f"call_{number}", output=words)


def tool(number: int, words: str = "done") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": words}


def calls(*functions: tuple[int, str, str]) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, name, arguments in functions
    ]


def document(media: str, data: str) -> dict[str, Any]:
    return {"type": "input_file", "filename": "a.txt", "file_data": f"data:{media};base64,{data}"}


HI = {"role": "user", "content": "hi"}
PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,aaaa"}

# Items, the messages that are written, and what is lost.
ITEMS: dict[str, tuple[list[Any], list[Any], set[str]]] = {
    "words of the developer": (
        [say("developer", "a"), say("system", "b"), say("user", "hi")],
        [{"role": "system", "content": "a\n\nb"}, HI],
        set(),
    ),
    "later words of the developer": (
        [say("user", "hi"), say("developer", "a")],
        [{"role": "user", "content": "hi\n\n<system-reminder>\na\n</system-reminder>"}],
        {"mid_system"},
    ),
    "words of the developer alone": (
        [say("developer", "a"), say("system", "b")],
        [
            {"role": "system", "content": "a"},
            {"role": "user", "content": "<system-reminder>\nb\n</system-reminder>"},
        ],
        {"mid_system"},
    ),
    "calls after words": (
        [say("user", "hi"), say("assistant", "a"), call(1), call(2, "put"), output(2), output(1, "x")],
        [
            HI,
            {"role": "assistant", "content": "a", "tool_calls": calls((1, "get", "{}"), (2, "put", "{}"))},
            tool(1, "x"),
            tool(2),
        ],
        set(),
    ),
    "an interrupted call": (
        [say("user", "hi"), call(1), say("user", "stop")],
        [
            HI,
            {"role": "assistant", "content": None, "tool_calls": calls((1, "get", "{}"))},
            tool(1, "interrupted"),
            {"role": "user", "content": "stop"},
        ],
        {"fill_missing"},
    ),
    "a call of a tool of a group": (
        [say("user", "hi"), call(1, namespace="jira"), output(1)],
        [HI, {"role": "assistant", "content": None, "tool_calls": calls((1, "jira__get", "{}"))}, tool(1)],
        set(),
    ),
    "a call with a text": (
        [
            say("user", "hi"),
            item("custom_tool_call", call_id="call_1", name="exec", input='say "é"\n'),
            item("custom_tool_call_output", call_id="call_1", output="done"),
        ],
        [
            HI,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": calls((1, "exec", '{"input": "say \\"é\\"\\n"}')),
            },
            tool(1),
        ],
        set(),
    ),
    "an image in an output": (
        [say("user", "hi"), call(1), output(1, [{"type": "input_text", "text": "look"}, PICTURE])],
        [
            HI,
            {"role": "assistant", "content": None, "tool_calls": calls((1, "get", "{}"))},
            tool(1, "look"),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "[content of call_1]"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}},
                ],
            },
        ],
        {"output_moved"},
    ),
    "an image, looked at closely": (
        [item("message", role="user", content=[{**PICTURE, "detail": "high"}])],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:image/png;base64,aaaa", "detail": "high"},
                    }
                ],
            }
        ],
        set(),
    ),
    "a document that is a text": (
        [item("message", role="user", content=[document("text/plain", "SGk=")])],
        [{"role": "user", "content": [{"type": "text", "text": "a.txt\nHi"}]}],
        set(),
    ),
    "nothing but a thought between the user's words": (
        [say("user", "hi"), item("reasoning", summary=[]), say("user", "there")],
        [{"role": "user", "content": "hi\n\nthere"}],
        set(),
    ),
    "nothing but a thought between the user's image and words": (
        [
            item("message", role="user", content=[PICTURE]),
            item("reasoning", summary=[]),
            say("user", "there"),
        ],
        [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,aaaa"}},
                    {"type": "text", "text": "there"},
                ],
            }
        ],
        set(),
    ),
    "a refusal": (
        [
            say("user", "hi"),
            item("message", role="assistant", content=[{"type": "refusal", "refusal": "No."}]),
            say("user", "hi"),
        ],
        [HI, {"role": "assistant", "content": "No."}, HI],
        set(),
    ),
}


@rows("name", ITEMS)
def test_items_become_messages_in_the_order_that_chat_wants(name: str) -> None:
    items, messages, less = ITEMS[name]
    body, names = carried({"input": items})
    assert body["messages"] == messages
    assert set(names) == less


def test_a_thought_goes_back_where_the_model_wants_it() -> None:
    thought = item("reasoning", summary=[], content=[{"type": "reasoning_text", "text": "A."}])
    items = [say("user", "hi"), thought, call(1), output(1)]
    body, less = carried({"input": items}, reasoning_back=True)
    assert body["messages"][1]["reasoning_content"] == "A."
    assert not less


AT_CONTENT = "input[0].content[0]"


@rows(
    ("members", "caps", "path"),
    [
        ({"text": {"format": {"type": "json_object"}}}, {"json_object": False}, "text.format"),
        ({"text": {"format": SHAPE}}, {"schema": False}, "text.format"),
        ({"input": [say("user", "hi"), output(1)]}, {}, "input[1]"),
        ({"input": [say("user", "hi"), call(1)]}, {"fill_missing": False}, "input[1]"),
        ({"input": [say("user", "hi"), say("assistant", "The")]}, {}, "input[1]"),
        ({"input": []}, {}, "input"),
        ({"input": [item("message", role="user", content=[document("a/b", "SGk=")])]}, {}, AT_CONTENT),
        ({"input": [item("message", role="user", content=[document("text/a", "??")])]}, {}, AT_CONTENT),
    ],
)
def test_a_request_of_codex_that_chat_cannot_carry_is_refused(
    members: dict[str, Any], caps: dict[str, Any], path: str
) -> None:
    with pytest.raises(Untranslatable) as refusal:
        carried(members, **caps)
    assert refusal.value.path == path


def test_an_image_is_refused_where_a_message_holds_texts_only() -> None:
    turns = (
        Turn(Role.USER, (Text("draw"),)),
        Turn(Role.ASSISTANT, (Image(url="https://a.test", at="input[1]"),)),
    )
    with pytest.raises(Untranslatable, match="a message of the assistant holds texts only") as refusal:
        write(Request("m", turns), Losses())
    assert refusal.value.path == "input[1]"
