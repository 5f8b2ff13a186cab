"""What an endpoint that speaks Messages is sent for a Responses request, as Codex and others make them."""

from __future__ import annotations

from typing import Any

import pytest

from chat_requests import IMAGE, MARK, OTHER_MARK, PNG, SEALER, TEXT_ARGUMENT, answered, told, used, wrong
from chat_requests import text as block
from holdfast.translate import read_responses, write_messages
from holdfast.translate.caps import Caps
from holdfast.translate.context import Target
from holdfast.translate.form import Opaque, Request, Result, Role, Seal, Text, Thinking, Turn
from holdfast.translate.losses import Losses, Untranslatable
from holdfast.translate.names import ToolNames
from tables import rows

HI = told("user", block("hi"))
SCHEMA = {"type": "object", "properties": {}}


def translated(body: dict[str, Any], **caps: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    losses = Losses()
    request = read_responses.read({"model": "m", "input": "hi", **body}, SEALER, losses)
    return written(request, losses, **caps)


def written(request: Request, losses: Losses, **caps: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    given = Caps(**{"max_output": 4096, **caps})
    body = write_messages.write(
        request, Target(given, MARK, "claude", ToolNames(request.tools, losses), losses)
    )
    assert wrong(body) == []
    return body, losses.names


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "message",
        "role": "user",
        "content": list(parts) or [{"type": "input_text", "text": "hi"}],
    }


def call(args: str = "{}", at: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": at, "name": "f", "arguments": args, **more}


def output(given: Any = "done", at: str = "a", kind: str = "function_call_output") -> dict[str, Any]:
    return {"type": kind, "call_id": at, "output": given}


def reasoning(text: str, kind: Opaque, value: str = "", mark: str = MARK) -> dict[str, Any]:
    sealed = SEALER.seal(Seal(kind, value, mark))
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": sealed}


INPUTS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], tuple[str, ...]]] = {
    "calls in a row and their outputs": (
        [user(), call('{"x": 1}'), call(at="b"), output("B", "b"), output("A"), user()],
        [
            HI,
            told("assistant", used({"x": 1}), used({}, at="b")),
            told("user", answered("A"), answered("B", "b"), block("hi")),
        ],
        (),
    ),
    "an image in an output": (
        [
            user(),
            call(),
            output([{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PNG}]),
        ],
        [HI, told("assistant", used({})), told("user", answered([block("see"), IMAGE]))],
        (),
    ),
    "a turn that was interrupted": (
        [user(), call(), user()],
        [HI, told("assistant", used({})), told("user", answered("interrupted"), block("hi"))],
        ("fill_missing",),
    ),
    "a call of a custom tool": (
        [
            user(),
            {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": "*** Begin"},
            output(kind="custom_tool_call_output"),
        ],
        [HI, told("assistant", used({"input": "*** Begin"}, "apply_patch")), told("user", answered())],
        (),
    ),
    "a call in a namespace": (
        [user(), call(namespace="mcp"), output()],
        [HI, told("assistant", used({}, "mcp__f")), told("user", answered())],
        (),
    ),
    "words of the developer later": (
        [
            user(),
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "mind"}]},
        ],
        [told("user", block("hi"), block("<system-reminder>\nmind\n</system-reminder>"))],
        ("mid_system",),
    ),
    "a thought of the model": (
        [user(), reasoning("hm", Opaque.SIGNATURE, "s"), call(), output()],
        [
            HI,
            told("assistant", {"type": "thinking", "thinking": "hm", "signature": "s"}, used({})),
            told("user", answered()),
        ],
        (),
    ),
    "a thought that nobody can read": (
        [user(), reasoning("", Opaque.REDACTED, "r"), call(), output()],
        [
            HI,
            told("assistant", {"type": "redacted_thinking", "data": "r"}, used({})),
            told("user", answered()),
        ],
        (),
    ),
    "a thought of another model": (
        [user(), reasoning("hm", Opaque.SIGNATURE, "s", OTHER_MARK), call(), output()],
        [HI, told("assistant", used({})), told("user", answered())],
        ("thinking_of_another_model",),
    ),
    "a thought that OpenAI encrypted": (
        [
            user(),
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
            call(),
            output(),
        ],
        [HI, told("assistant", used({})), told("user", answered())],
        ("thinking_of_another_model",),
    ),
}


@rows("name", INPUTS)
def test_items_become_messages_that_say_the_same(name: str) -> None:
    items, expected, losses = INPUTS[name]
    body, lost = translated({"input": items})
    assert body["messages"] == expected
    assert lost == losses


NAMESPACE = {
    "type": "namespace",
    "name": "mcp",
    "description": "",
    "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
}
SEARCH = {
    "type": "web_search",
    "filters": {"allowed_domains": ["a.example"]},
    "user_location": {"type": "approximate", "city": "Bern"},
}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Patches."}
OWN = {"web_search": "web_search_20250305"}

TOOLS: dict[str, tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]], tuple[str, ...]]] = {
    "a namespace": ([NAMESPACE], {}, [{"name": "mcp__f", "input_schema": SCHEMA}], ("namespace",)),
    "a custom tool": (
        [PATCH],
        {},
        [{"name": "apply_patch", "description": "Patches.", "input_schema": TEXT_ARGUMENT}],
        (),
    ),
    "a search for tools": (
        [{"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": SCHEMA}],
        {},
        [{"name": "tool_search", "description": "Finds.", "input_schema": SCHEMA}],
        ("tool_search",),
    ),
    "search": (
        [SEARCH],
        OWN,
        [
            {
                "type": "web_search_20250305",
                "name": "web_search",
                "allowed_domains": ["a.example"],
                "user_location": {"type": "approximate", "city": "Bern"},
            }
        ],
        (),
    ),
    "search of some extent": (
        [{"type": "web_search", "search_context_size": "high", "filters": None}],
        OWN,
        [{"type": "web_search_20250305", "name": "web_search"}],
        ("web_search",),
    ),
    "search that may not look at the web": (
        [PATCH, {"type": "web_search", "external_web_access": False}],
        OWN,
        [{"name": "apply_patch", "description": "Patches.", "input_schema": TEXT_ARGUMENT}],
        ("web_search",),
    ),
    "search where there is none": (
        [PATCH, SEARCH],
        {},
        [{"name": "apply_patch", "description": "Patches.", "input_schema": TEXT_ARGUMENT}],
        ("web_search",),
    ),
}


@rows("name", TOOLS)
def test_tools_are_offered_as_the_endpoint_takes_them(name: str) -> None:
    tools, caps, expected, losses = TOOLS[name]
    body, lost = translated({"tools": tools}, **caps)
    assert body["tools"] == expected
    assert lost == losses


@rows("caps", [{}, OWN])
@rows("backwards", [False, True])
def test_a_function_hides_a_search_of_the_same_name(caps: dict[str, Any], backwards: bool) -> None:
    function = {"type": "function", "name": "web_search", "parameters": SCHEMA}
    tools = [SEARCH, function][:: -1 if backwards else 1]
    choice = {"type": "function", "name": "web_search"}
    body, lost = translated({"tools": tools, "tool_choice": choice}, **caps)
    assert body["tools"] == [{"name": "web_search", "input_schema": SCHEMA}]
    assert body["tool_choice"] == {"type": "tool", "name": "web_search"}
    assert lost == ("web_search",)


def test_tools_inside_the_input_are_offered() -> None:
    more = {"type": "additional_tools", "role": "developer", "tools": [NAMESPACE]}
    body, _ = translated({"input": [more, user()]})
    assert [tool["name"] for tool in body["tools"]] == ["mcp__f"]


def test_a_tool_of_a_namespace_can_be_demanded() -> None:
    choice = {"type": "function", "name": "f", "namespace": "mcp"}
    body, _ = translated({"tools": [NAMESPACE], "tool_choice": choice})
    assert body["tool_choice"] == {"type": "tool", "name": "mcp__f"}


def test_settings_of_codex_become_those_of_messages() -> None:
    body, lost = translated(
        {
            "instructions": "Be.",
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "medium", "summary": "auto"},
            "text": {"verbosity": "low"},
            "prompt_cache_key": "k",
            "client_metadata": {"a": "b"},
            "max_output_tokens": 4000,
        },
        thinking="adaptive",
        cache_mark=True,
    )
    assert body == {
        "model": "claude",
        "max_tokens": 4000,
        "system": "Be.",
        "messages": [HI],
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "medium"},
        "cache_control": {"type": "ephemeral"},
        "stream": True,
    }
    assert set(lost) == {"client_metadata", "verbosity"}


def test_a_refusal_names_the_member_as_the_caller_wrote_it() -> None:
    with pytest.raises(Untranslatable) as caught:
        translated({}, max_output=None)
    assert caught.value.path == "max_output_tokens"


def test_a_failed_result_says_so() -> None:
    parts = (Text("hi"),)
    call = written_call()
    request = Request(
        "m", (Turn(Role.USER, parts), call, Turn(Role.USER, (Result("a", parts, failed=True),)))
    )
    body, _ = written(request, Losses())
    assert body["messages"][2]["content"] == [{**answered("hi"), "is_error": True}]


def written_call() -> Turn:
    losses = Losses()
    request = read_responses.read({"model": "m", "input": [user(), call(), output()]}, SEALER, losses)
    return request.turns[1]


@rows(("model", "kept"), [("claude", True), ("another", False)])
def test_a_genuine_signature_goes_to_the_same_model_only(model: str, kept: bool) -> None:
    thought = Thinking("hm", Seal(Opaque.SIGNATURE, "s"))
    turns = (
        Turn(Role.USER, (Text("hi"),)),
        Turn(Role.ASSISTANT, (thought, Text("a"))),
        Turn(Role.USER, (Text("hi"),)),
    )
    body, lost = written(Request(model, turns), Losses())
    assert (len(body["messages"][1]["content"]) == 2) is kept
    assert lost == (() if kept else ("thinking_of_another_model",))
