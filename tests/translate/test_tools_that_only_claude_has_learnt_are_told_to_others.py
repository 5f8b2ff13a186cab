"""Tools that a program runs and that Anthropic's models call without being told their arguments."""

from __future__ import annotations

from typing import Any, get_args

from anthropic.types.beta import beta_memory_tool_20250818_command as published

from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.exchange import CallerRequest, Destination, Translation
from tables import rows
from translate.messages_to_chat import SEALER, asking

MEMORY = {"type": "memory_20250818", "name": "memory"}


def _carried(*tools: Any, to: Dialect = Dialect.OPENAI_CHAT, messages: Any = None) -> Translation:
    body = asking(tools=list(tools), **({"messages": messages} if messages else {}))
    request = CallerRequest(Dialect.ANTHROPIC_MESSAGES, body, SEALER, seed="s", now=0.0)
    return request.to(Destination(to, "https://here.test", "m", Caps()))


def _schema(tool: Any) -> Any:
    return _carried(tool).body["tools"][0]["function"]["parameters"]


EDITOR = ("command", "file_text", "insert_line", "insert_text", "new_str", "old_str", "path", "view_range")
OLD_EDITOR = tuple(name for name in EDITOR if name != "insert_text")


@rows(
    ("kind", "name", "arguments", "commands"),
    [
        ("bash_20241022", "bash", ("command", "restart"), ()),
        ("bash_20250124", "bash", ("command", "restart"), ()),
        ("text_editor_20241022", "str_replace_editor", OLD_EDITOR, "undo_edit"),
        ("text_editor_20250124", "str_replace_editor", OLD_EDITOR, "undo_edit"),
        ("text_editor_20250728", "str_replace_based_edit_tool", EDITOR, "insert"),
        ("text_editor_20990101", "str_replace_based_edit_tool", EDITOR, "insert"),
        ("memory_20250818", "memory", (*EDITOR, "new_path", "old_path"), "rename"),
    ],
)
def test_a_tool_of_the_callers_is_offered_with_its_arguments(
    kind: str, name: str, arguments: tuple[str, ...], commands: str
) -> None:
    translation = _carried({"type": kind, "name": name, "max_characters": 9})
    (tool,) = translation.body["tools"]
    function = tool["function"]
    assert (function["name"], sorted(function["parameters"]["properties"])) == (name, sorted(arguments))
    assert function["parameters"]["properties"]["command"].get("enum", [()])[-1] == commands
    assert function["description"]
    assert translation.less == ("anthropic_tools",)


def test_the_arguments_of_the_memory_are_those_that_anthropic_publishes() -> None:
    commands = get_args(get_args(published.BetaMemoryTool20250818Command)[0])
    members = {name for command in commands for name in command.model_fields}
    names = [get_args(command.model_fields["command"].annotation)[0] for command in commands]
    properties = _schema(MEMORY)["properties"]
    assert members == properties.keys()
    assert sorted(names) == sorted(properties["command"]["enum"])


def test_what_else_is_said_of_such_a_tool_is_told() -> None:
    marks = {"cache_control": {"type": "ephemeral"}, "strict": True, "input_examples": [{}], "new": 1}
    assert set(_carried(MEMORY | marks).less) == {
        *("anthropic_tools", "cache_control", "strict", "examples", "unknown_member")
    }


def test_a_call_of_such_a_tool_comes_back_as_its_program_knows_it() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "memory", "arguments": '{"command":"view"}'}}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "tool_calls": [call]}}
    answer = _carried(MEMORY).whole({"id": "x", "choices": [choice]})
    assert answer["stop_reason"] == "tool_use"
    assert answer["content"] == [
        {
            "type": "tool_use",
            "id": "c",
            "name": "memory",
            "input": {"command": "view"},
            "caller": {"type": "direct"},
        }
    ]
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "empty"}]},
    ]
    body = _carried(MEMORY, messages=messages, to=Dialect.OPENAI_RESPONSES).body
    assert [item.get("type") for item in body["input"]] == [
        *("message", "function_call", "function_call_output")
    ]
