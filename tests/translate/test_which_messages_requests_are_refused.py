"""What a request of the Messages API may not ask of a chat endpoint, and what it may not look like: a path
says where, before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.translate.losses import Untranslatable
from tables import rows
from translate.claude_code import call, claude_code_request, result, text
from translate.messages_to_chat import asking, carried

SCHEMA = {"type": "object", "properties": {}}
GET = {"name": "get", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
SERVER = {"type": "url", "url": "https://mcp.test", "name": "s"}
HI = {"role": "user", "content": "hi"}


def said(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def answered(*blocks: Any, then: Any = HI) -> dict[str, Any]:
    return {"messages": [HI, {"role": "assistant", "content": list(blocks)}, then]}


def served(result_type: str, content: Any) -> dict[str, Any]:
    use = {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}
    return answered(use, {"type": result_type, "tool_use_id": "srv", "content": content})


def change(**tool: Any) -> dict[str, Any]:
    block = {"type": "tool_addition", "tool": tool}
    return {"messages": [HI, {"role": "system", "content": [block]}]}


FIRST = "messages[0].content[0]"
SECOND = "messages[1].content[0]"

# Members, the path of the refusal, and words of it.
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "container": ({"container": "c"}, "container", "only Anthropic"),
    "compaction": ({"compaction": {"type": "summarize"}}, "compaction", "only Anthropic"),
    "thread": ({"thread": {"id": "t"}}, "thread", "only Anthropic"),
    "billing_policy": ({"billing_policy": {"bill_to": "x"}}, "billing_policy", "bill"),
    "inference_geo": ({"inference_geo": "us"}, "inference_geo", "compute where"),
    "a cache only": ({"max_tokens": 0}, "max_tokens", "cache"),
    "too many stops": ({"stop_sequences": list("abcde")}, "stop_sequences", "4 stop sequences, not 5"),
    "no model": ({"model": None}, "model", "is missing"),
    "no message": ({"messages": []}, "messages", "no message"),
    "only blank words of the system": ({"messages": [], "system": " "}, "messages", "no message"),
    "blank words": (said(text(" ")), "messages", "no message"),
    "an unknown role": ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role", "'tool'"),
    "no content": ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "is missing"),
    "content of a wrong type": (
        {"messages": [{"role": "user", "content": 5}]},
        "messages[0].content",
        "a list",
    ),
    "a number for a string": ({"system": [{**text(""), "text": 5}]}, "system[0].text", "must be a string"),
    "a string for a number": ({"max_tokens": "5"}, "max_tokens", "must be a number"),
    "a stop of a wrong type": ({"stop_sequences": ["a", 5]}, "stop_sequences[1]", "must be a string"),
    "an unknown block": (said({"type": "hologram"}), f"{FIRST}.type", "'hologram'"),
    "a block of the other side": (said(call(1, "get")), f"{FIRST}.type", "a user's message"),
    "a result of nothing": (said(result(1, "a")), FIRST, "no call"),
    "a second result": (
        answered(call(1, "get"), then={"role": "user", "content": [result(1, "a"), result(1, "b")]}),
        "messages[2].content[1]",
        "has a result already",
    ),
    "no result": (answered(call(1, "get")), SECOND, "has no result"),
    "no result before the next answer": (
        {"messages": [*answered(call(1, "get"))["messages"], {"role": "assistant", "content": "a"}]},
        SECOND,
        "has no result",
    ),
    "arguments that are no object": (
        answered({**call(1, "get"), "input": []}),
        f"{SECOND}.input",
        "an object",
    ),
    "no arguments": (answered({**call(1, "get"), "input": None}), f"{SECOND}.input", "is missing"),
    "arguments beyond JSON": (answered(call(1, "get", a=float("nan"))), f"{SECOND}.input", "a number"),
    "a file by its id": (
        said({"type": "image", "source": {"type": "file", "file_id": "f"}}),
        f"{FIRST}.source.file_id",
        "only Anthropic",
    ),
    "a document of an unknown kind": (
        said({"type": "document", "source": {"type": "tape"}}),
        f"{FIRST}.source.type",
        "'tape'",
    ),
    "an image without a source": (said({"type": "image"}), f"{FIRST}.source", "is missing"),
    "a file for a container": (
        said({"type": "container_upload", "file_id": "f"}),
        f"{FIRST}.file_id",
        "Anthropic",
    ),
    "a file": (
        said({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": ""}}),
        FIRST,
        "takes no files",
    ),
    "a file by its address": (
        said({"type": "document", "source": {"type": "url", "url": "https://a.test/b.pdf"}}),
        FIRST,
        "by their address",
    ),
    "a summary that is sealed": (
        said({"type": "compaction", "content": None, "encrypted_content": "x"}),
        f"{FIRST}.encrypted_content",
        "only Anthropic",
    ),
    "a served call without a result": (
        answered({"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}),
        SECOND,
        "has no result",
    ),
    "a served result that is sealed": (
        served("advisor_tool_result", {"type": "advisor_redacted_result", "encrypted_content": "x"}),
        "messages[1].content[1].content",
        "only Anthropic",
    ),
    "output that is sealed": (
        served("code_execution_tool_result", {"encrypted_stdout": "x", "stderr": "a"}),
        "messages[1].content[1].content",
        "into words",
    ),
    "a document that was fetched": (
        served("web_fetch_tool_result", {"content": {"source": {"type": "base64", "data": "x"}}}),
        "messages[1].content[1].content",
        "into words",
    ),
    "an unknown tool": ({"tools": [GET, {"type": "hammer_20260101"}]}, "tools[1].type", "'hammer_20260101'"),
    "a tool without a name": ({"tools": [{"input_schema": SCHEMA}]}, "tools[0].name", "is missing"),
    "the only tool is served": ({"tools": [SEARCH]}, "tools[0]", "runs at a provider"),
    "the only tools are of a server": ({"mcp_servers": [SERVER]}, "mcp_servers", "no other tools"),
    "the only tools are those of a server": (
        {"mcp_servers": [SERVER], "tools": [{"type": "mcp_toolset", "mcp_server_name": "s"}]},
        "tools[0]",
        "runs at a provider",
    ),
    "a screen": (
        {"tools": [GET, {"type": "computer_20251124", "name": "computer", "display_width_px": 9}]},
        "tools[1].type",
        "only Anthropic's models",
    ),
    "a browser": ({"tools": [GET, {"type": "browser_toolset_20260801"}]}, "tools[1].type", "only Anthropic"),
    "a served tool is chosen": (
        {"tools": [GET, SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
        "tools[1]",
        "runs at a provider",
    ),
    "a tool that is not there is chosen": (
        {"tools": [GET], "tool_choice": {"type": "tool", "name": "put"}},
        "tool_choice",
        "'put'",
    ),
    "any of no tools": ({"tool_choice": {"type": "any"}}, "tool_choice", "none is offered"),
    "an unknown choice": ({"tool_choice": {"type": "some"}}, "tool_choice.type", "'some'"),
    "an unknown change of the tools": (
        change(type="tool_wish", name="get"),
        "messages[1].content[0].tool.type",
        "'tool_wish'",
    ),
    "an unknown way to think": ({"thinking": {"type": "deep"}}, "thinking.type", "'deep'"),
    "an unknown form": ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type", "'xml'"),
    "a form without a schema": (
        {"output_config": {"format": {"type": "json_schema"}}},
        "output_config.format.schema",
        "is missing",
    ),
    "the beginning of an answer": (
        {"messages": [HI, {"role": "assistant", "content": "The"}]},
        "messages[1]",
        "beginning of an answer",
    ),
}


@rows("name", REFUSED)
def test_a_request_that_cannot_be_carried_is_refused_with_its_path(name: str) -> None:
    members, path, words = REFUSED[name]
    with pytest.raises(Untranslatable) as refusal:
        carried(asking(**members))
    assert refusal.value.path == path
    assert words in refusal.value.why


# What an endpoint does not take, by its caps.
BY_CAPS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a schema": (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"schema": False},
        "output_config.format",
    ),
    "one more stop": ({"stop_sequences": ["a", "b"]}, {"stop_limit": 1}, "stop_sequences"),
    "an image by its address": (
        said({"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}}),
        {"image_urls": False},
        FIRST,
    ),
    "a choice": (
        {"tools": [GET], "tool_choice": {"type": "any"}},
        {"tool_choice": False},
        "tool_choice",
    ),
}


@rows("name", BY_CAPS)
def test_a_constraint_that_the_endpoint_does_not_take_is_refused(name: str) -> None:
    members, caps, path = BY_CAPS[name]
    with pytest.raises(Untranslatable) as refusal:
        carried(asking(**members), **caps)
    assert refusal.value.path == path


def test_an_answer_is_gone_on_with_where_the_endpoint_can() -> None:
    begun = {"messages": [HI, {"role": "assistant", "content": "The"}]}
    body, _ = carried(asking(**begun), prefill=True)
    assert body["messages"][-1] == {"role": "assistant", "content": "The"}


def test_nothing_may_be_lost_where_the_user_says_exact() -> None:
    with pytest.raises(Untranslatable, match="exact"):
        carried(claude_code_request(), exact=True)
    assert not carried(asking(), exact=True).less


def test_a_request_that_is_nested_too_deeply_is_refused() -> None:
    value: Any = "x"
    for _ in range(100_000):
        value = {"a": value}
    with pytest.raises(Untranslatable, match="nested too deeply"):
        carried(asking(**answered(call(1, "get", a=value))))
