"""Tools that load later, come and go in a conversation, or run at Anthropic: which of them chat sees."""

from __future__ import annotations

from typing import Any

from tables import rows
from translate.claude_code import call, result, text
from translate.messages_to_chat import asking, carried
from translate.odd_answers import CHAT, MESSAGES, RESPONSES, asked

HI = {"role": "user", "content": "hi"}
WRITTEN_HI = {"role": "user", "content": "hi"}


def tool(name: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": {"type": "object", "properties": {}}, **members}


def later(name: str) -> dict[str, Any]:
    return tool(name, defer_loading=True)


def found(*names: str) -> list[dict[str, Any]]:
    """Return the messages in which a search finds tools."""
    references = [{"type": "tool_reference", "tool_name": name} for name in names]
    call_ = {"role": "assistant", "content": [call(1, "ToolSearch")]}
    return [HI, call_, {"role": "user", "content": [result(1, references)]}]


def changes(*blocks: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages in which the system adds or removes tools."""
    content = [{"type": f"tool_{kind}", "tool": value} for kind, value in blocks]
    return [HI, {"role": "system", "content": content}]


def named(name: str) -> dict[str, Any]:
    return {"type": "tool_reference", "name": name}


A, B = tool("a"), later("b")
SERVED_SEARCH = {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"}
SERVER = {"type": "mcp_toolset_reference", "server_name": "s"}
PLACEHOLDER = tool("DeferredToolPlaceholder")

# Tools, messages, the names that are offered, and what is lost.
OFFERED: dict[str, tuple[list[Any], list[Any], list[str], set[str]]] = {
    "later": ([A, B], [HI], ["a"], {"defer_loading"}),
    "found": ([A, B, later("c")], found("b"), ["a", "b"], {"defer_loading"}),
    "found but unknown": ([A], found("x"), ["a"], set()),
    "not searched by the caller": (
        [A, B, SERVED_SEARCH],
        [HI],
        ["a", "b"],
        {"defer_loading", "served_tools"},
    ),
    "placeholder": ([A, PLACEHOLDER], [HI], ["a"], set()),
    "added": ([A, B], changes(("addition", named("b"))), ["a", "b"], {"defer_loading"}),
    "removed": ([A, tool("b")], changes(("removal", named("b"))), ["a"], set()),
    "removed and added": (
        [A, tool("b")],
        changes(("removal", named("b")), ("addition", named("b"))),
        ["a", "b"],
        {"defer_loading"},
    ),
    "added by its definition": (
        [A],
        changes(("addition", {"type": "tool_definition", "definition": tool("n")})),
        ["a", "n"],
        {"defer_loading"},
    ),
    "added from a server": ([A], changes(("addition", SERVER)), ["a"], {"defer_loading", "served_tools"}),
    "removed with a server": ([A], changes(("removal", SERVER)), ["a"], {"served_tools"}),
    "found before a summary": (
        [A, B],
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "compaction",
                        "content": "We met.",
                        "tool_changes": [{"type": "tool_addition", "tool": named("b")}],
                    }
                ],
            }
        ],
        ["a", "b"],
        {"defer_loading", "served_history"},
    ),
    "run at Anthropic": (
        [
            A,
            {"type": "web_search_20250305", "name": "web_search"},
            {"type": "advisor_20260301", "name": "advisor"},
        ],
        [HI],
        ["a"],
        {"web_search", "served_tools"},
    ),
    "called by programs there": (
        [tool("a", allowed_callers=["code_execution_20260120"])],
        [HI],
        ["a"],
        {"served_tools"},
    ),
    "called by the model": ([tool("a", allowed_callers=["direct"])], [HI], ["a"], set()),
    "with examples": ([tool("a", input_examples=[{}])], [HI], ["a"], {"examples"}),
    "to be cached": ([tool("a", cache_control={"type": "ephemeral"})], [HI], ["a"], {"cache_control"}),
    "streamed eagerly": ([tool("a", eager_input_streaming=True)], [HI], ["a"], set()),
    "twice": ([A, A], [HI], ["a"], set()),
}


@rows("name", OFFERED)
def test_a_tool_is_offered_if_it_can_be_called_now(name: str) -> None:
    tools, messages, names, less = OFFERED[name]
    body, lost = carried(asking(tools=tools, messages=messages))
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert set(lost) - {"mid_system"} == less


def test_a_tool_that_loads_later_is_offered_if_it_is_chosen() -> None:
    body, _ = carried(asking(tools=[A, B], tool_choice={"type": "tool", "name": "b"}))
    assert body["tool_choice"] == {"type": "function", "function": {"name": "b"}}
    assert len(body["tools"]) == 2


def test_a_name_that_is_no_function_s_is_shortened_in_the_history_too() -> None:
    name = "mcp__server.of.mine__" + "x" * 60
    messages = [
        HI,
        {"role": "assistant", "content": [call(1, name)]},
        {"role": "user", "content": [result(1, "done")]},
    ]
    body, _ = carried(asking(tools=[tool(name)], messages=messages))
    written = body["tools"][0]["function"]["name"]
    assert len(written) <= 64
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == written


def test_arguments_are_forced_into_their_schema_where_the_endpoint_can() -> None:
    strict = asking(tools=[tool("a", strict=True)])
    assert carried(strict).body["tools"][0]["function"]["strict"] is True
    body, less = carried(strict, strict=False)
    assert "strict" not in body["tools"][0]["function"]
    assert less == ("strict",)
    assert "strict" not in carried(asking(tools=[tool("a", strict=False)])).body["tools"][0]["function"]


def test_a_tool_without_parameters_has_an_empty_schema() -> None:
    body, _ = carried(asking(tools=[{"name": "a"}]))
    assert body["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}}


def served(kind: str, name: str, **members: Any) -> dict[str, Any]:
    return {"type": kind, "id": "srv", "name": name, "input": {"q": "x"}, **members}


def gave(kind: str, content: Any, **members: Any) -> dict[str, Any]:
    return {"type": kind, "tool_use_id": "srv", "content": content, **members}


FOUND_PAGE = {"type": "web_search_result", "title": "T", "url": "https://a.test", "encrypted_content": "zz"}

# What a tool at Anthropic was asked and gave, and the words about it.
HISTORY: dict[str, tuple[list[Any], str, str]] = {
    "web_search": (
        [served("server_tool_use", "web_search"), gave("web_search_tool_result", [FOUND_PAGE])],
        '[web_search was called with {"q":"x"}]',
        '[it gave: [{"type":"web_search_result","title":"T","url":"https://a.test"}]]',
    ),
    "web_fetch": (
        [
            served("server_tool_use", "web_fetch"),
            gave("web_fetch_tool_result", {"url": "https://a.test", "content": {"source": {"data": "A."}}}),
        ],
        '[web_fetch was called with {"q":"x"}]',
        '[it gave: {"url":"https://a.test","content":{"source":{"data":"A."}}}]',
    ),
    "mcp": (
        [served("mcp_tool_use", "get", server_name="s"), gave("mcp_tool_result", "done", is_error=False)],
        '[get was called with {"q":"x"}]',
        "[it gave: done]",
    ),
    "an empty result": (
        [served("server_tool_use", "web_search"), gave("web_search_tool_result", [])],
        '[web_search was called with {"q":"x"}]',
        "[it gave: nothing]",
    ),
}


@rows("name", HISTORY)
def test_what_a_tool_at_anthropic_gave_is_put_into_words(name: str) -> None:
    blocks, asked, given = HISTORY[name]
    body, less = carried(asking(messages=[HI, {"role": "assistant", "content": blocks}, HI]))
    words = f"{asked}\n\n{given}"
    assert body["messages"] == [WRITTEN_HI, {"role": "assistant", "content": words}, WRITTEN_HI]
    assert less == ("served_history",)


def test_a_tool_that_a_search_at_anthropic_found_is_offered() -> None:
    content = {"tool_references": [{"type": "tool_reference", "tool_name": "b"}]}
    blocks = [served("server_tool_use", "tool_search_tool_regex"), gave("tool_search_tool_result", content)]
    body, _ = carried(asking(tools=[A, B], messages=[HI, {"role": "assistant", "content": blocks}, HI]))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["a", "b"]


def test_a_call_that_a_program_at_anthropic_made_is_a_call_all_the_same() -> None:
    made = {**call(1, "a"), "caller": {"type": "code_execution_20260120", "tool_id": "t"}}
    messages = [
        HI,
        {"role": "assistant", "content": [made]},
        {"role": "user", "content": [result(1, "done")]},
    ]
    body, less = carried(asking(tools=[A], messages=messages))
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == "a"
    assert less == ("served_history",)


def test_a_mark_between_the_words_of_two_models_is_not_shown() -> None:
    mark = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}
    body, less = carried(asking(messages=[HI, {"role": "assistant", "content": [text("a"), mark]}, HI]))
    assert body["messages"][1]["content"] == "a"
    assert not less


HELD: dict[str, Any] = {"properties": {"a": {"type": ["string", "null"]}}}
BY_NAME: dict[str, Any] = {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", **HELD}}}
SCHEMAS: dict[str, tuple[Any, Any]] = {
    "as it should be": ({"type": "object", **HELD}, {"type": "object", **HELD}),
    "nothing": ({}, {"type": "object", "properties": {}}),
    "null": (None, {"type": "object", "properties": {}}),
    "no properties": ({"type": "object"}, {"type": "object", "properties": {}}),
    "properties that are null": (
        {"type": "object", "properties": None, "required": None},
        {"type": "object", "properties": {}},
    ),
    "no type": (HELD, {"type": "object", **HELD}),
    "a type that is null": ({"type": None, **HELD}, {"type": "object", **HELD}),
    "null or an object": ({"type": ["object", "null"], **HELD}, {"type": "object", **HELD}),
    "a reference": (BY_NAME, {"type": "object", **BY_NAME}),
}


@rows(("schema", "offered"), SCHEMAS.values(), ids=[*SCHEMAS])
def test_the_arguments_of_a_tool_are_an_object_for_every_endpoint(schema: Any, offered: Any) -> None:
    of_chat = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    of_messages = [{"name": "f", "input_schema": schema}]
    assert asked(CHAT, MESSAGES, tools=of_chat).body["tools"][0]["input_schema"] == offered
    assert asked(CHAT, RESPONSES, tools=of_chat).body["tools"][0]["parameters"] == offered
    assert asked(MESSAGES, CHAT, tools=of_messages).body["tools"][0]["function"]["parameters"] == offered
