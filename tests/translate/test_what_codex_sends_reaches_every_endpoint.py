"""What Codex sends, as endpoints of chat and of Messages get it; and what programs for those two send, as an
endpoint of Responses gets it."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming

from holdfast.translate.losses import Untranslatable
from responses_requests import PDF, PNG, codex_request, translated
from sdk_types import faults
from tables import rows

CODEX = codex_request()
SCHEMA = {"type": "object", "properties": {}}
TYPES = {
    "chat": (CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming),
    "messages": (MessageCreateParamsNonStreaming, MessageCreateParamsStreaming),
}
CAPS: dict[str, dict[str, Any]] = {
    "chat": {"files": True},
    "messages": {"max_output": 32_000, "thinking": "adaptive"},
}


def _sent(body: dict[str, Any], dialect: str, **caps: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what an endpoint gets of a Responses request, and what is lost. Its SDK must know all of it."""
    request, lost = translated(
        "responses", {"model": "m", "input": "hi"} | body, dialect, **CAPS[dialect] | caps
    )
    assert faults(request, TYPES[dialect][request.get("stream", False)]) == []
    return request, lost


LOST_OF_CODEX = {
    "chat": {"verbosity", "output_moved", "summary"},
    "messages": {"verbosity", "detail"},
}


@rows("dialect", TYPES)
def test_all_that_codex_sends_reaches_an_endpoint(dialect: str) -> None:
    request, lost = _sent(CODEX, dialect)
    assert set(lost) - LOST_OF_CODEX[dialect] == {
        "cache_control", "client_metadata", "defer_loading", "grammar", "namespace", "served_history",
        "thinking_of_another_model", "tool_search", "unknown_member", "web_search",
    }  # fmt: skip
    names = [tool.get("name") or tool["function"]["name"] for tool in request["tools"]]
    assert names == [
        "exec_command", "apply_patch", "tool_search", "collaboration__spawn_agent", "collaboration__wait",
        "mcp__calendar__create_event",
    ]  # fmt: skip
    assert request["stream"] is True


def _turns(request: dict[str, Any]) -> list[str]:
    return [message["role"] for message in request["messages"]]


def test_each_result_follows_its_calls_in_chat() -> None:
    request, _ = _sent(CODEX, "chat")
    assert _turns(request) == [
        "system", "user", "assistant", "tool", "tool", "user", "assistant", "tool", "assistant", "tool",
        "assistant", "user",
    ]  # fmt: skip
    patch = request["messages"][6]["tool_calls"][0]["function"]
    assert patch["name"] == "apply_patch"
    assert patch["arguments"].startswith('{"input": "*** Begin Patch')
    assert request["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"cmd": "ls",  "n": 1.0}'


def test_each_result_follows_its_calls_in_messages() -> None:
    request, _ = _sent(CODEX, "messages")
    assert _turns(request) == ["user", "assistant"] * 4 + ["user"]
    kinds = [block["type"] for block in request["messages"][2]["content"]]
    assert kinds == ["tool_result", "tool_result", "text", "text", "text"]


WORDS = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
CALLED = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'}
ANSWERED = {"type": "function_call_output", "call_id": "c", "output": "C"}
CHAT_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
OTHERS: dict[str, tuple[str, dict[str, Any], dict[str, Any] | str, tuple[str, ...]]] = {
    "chat: the system's words": (
        "chat",
        {"messages": [{"role": "system", "content": "a"}, {"role": "developer", "content": "b"},
                      {"role": "user", "content": "hi"}]},
        {"instructions": "a\n\nb", "input": [WORDS]},
        (),
    ),
    "chat: calls and results": (
        "chat",
        {"messages": [{"role": "user", "content": "hi"},
                      {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
                      {"role": "tool", "tool_call_id": "c", "content": "C"}]},
        {"input": [WORDS, CALLED, ANSWERED]},
        (),
    ),
    "chat: images and documents": (
        "chat",
        {"messages": [{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}]}]},
        {"input": [{"type": "message", "role": "user", "content": [
            {"type": "input_image", "image_url": PNG, "detail": "low"},
            {"type": "input_file", "filename": "a.pdf", "file_data": PDF}]}]},
        (),
    ),
    "chat: a free tool": (
        "chat",
        {"tools": [{"type": "custom", "custom": {"name": "p", "format": {
            "type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}}}}]},
        {"tools": [{"type": "custom", "name": "p",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}}]},
        (),
    ),
    "chat: knobs": (
        "chat",
        {"max_tokens": 25, "temperature": 0.5, "reasoning_effort": "low", "parallel_tool_calls": False,
         "response_format": {"type": "json_object"}},
        {"max_output_tokens": 25, "temperature": 0.5, "reasoning": {"effort": "low"},
         "parallel_tool_calls": False, "text": {"format": {"type": "json_object"}}},
        (),
    ),
    "chat: seeds and penalties": (
        "chat", {"seed": 1, "presence_penalty": 0.5, "frequency_penalty": 0.5}, {}, ("seed", "penalties")),
    "chat: texts to stop at": ("chat", {"stop": ["x"]}, "stop", ()),
    "chat: several answers": ("chat", {"n": 2}, "n", ()),
    "messages: calls and results": (
        "messages",
        {"system": "a", "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "b"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c", "content": "C", "is_error": True},
                {"type": "text", "text": "hi"}]}]},
        {"instructions": "a", "input": [
            WORDS, {"type": "message", "role": "assistant", "content": "b"},
            CALLED | {"arguments": '{"a":1}'}, ANSWERED | {"output": "[error] C"}, WORDS]},
        ("error_flag",),
    ),
    "messages: thoughts of its own model": (
        "messages",
        {"messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "sig"},
                                              {"type": "text", "text": "b"}]},
            {"role": "user", "content": "hi"}]},
        {"input": [WORDS, {"type": "message", "role": "assistant", "content": "b"}, WORDS]},
        ("thinking_of_another_model",),
    ),
    "messages: knobs": (
        "messages",
        {"max_tokens": 25, "tools": [{"name": "f", "input_schema": SCHEMA, "strict": True}],
         "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
        {"max_output_tokens": 25, "tool_choice": "required", "parallel_tool_calls": False,
         "tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}]},
        (),
    ),
    "messages: hints": (
        "messages",
        {"top_k": 5, "metadata": {"user_id": "u"}},
        {},
        ("user", "top_k"),
    ),
    "messages: a search by the provider": (
        "messages",
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.example"]},
                   {"name": "f", "input_schema": SCHEMA}]},
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.example"]}},
                   {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}]},
        (),
    ),
    "messages: texts to stop at": ("messages", {"stop_sequences": ["x"]}, "stop_sequences", ()),
}  # fmt: skip


@rows("case", OTHERS)
def test_a_feature_of_another_dialect_has_its_counterpart_in_responses(case: str) -> None:
    dialect, members, expected, losses = OTHERS[case]
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | members
    if dialect == "messages":
        body = {"max_tokens": 20} | body
    if isinstance(expected, str):
        with pytest.raises(Untranslatable) as refused:
            translated(dialect, body, "responses", web_search="web_search")
        assert refused.value.path == expected
        return
    request, lost = translated(dialect, body, "responses", web_search="web_search")
    assert faults(request, ResponseCreateParamsNonStreaming) == []
    assert {name: request[name] for name in expected} == expected
    assert lost == losses
