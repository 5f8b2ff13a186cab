"""What an endpoint that speaks Messages is sent for a chat request: each row of the table of features."""

from __future__ import annotations

from typing import Any

from chat_requests import (
    ADAPTIVE,
    BUDGET,
    FREE,
    HI,
    TEXT_ARGUMENT,
    TOOL,
    TOOL_WRITTEN,
    text,
    told,
    translated,
)
from tables import rows

SAME: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing but a message": ({}, {}),
    "a limit of output": ({"max_tokens": 7}, {"max_tokens": 7}),
    "the newer limit of output": ({"max_completion_tokens": 7, "max_tokens": 9}, {"max_tokens": 7}),
    "a stream": ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    "members that ask for nothing": (
        {"n": 1, "modalities": ["text"], "store": False, "logprobs": None, "logit_bias": {}, "user": ""},
        {},
    ),
    "stop as a text": ({"stop": "END"}, {"stop_sequences": ["END"]}),
    "stop as a list": ({"stop": ["a", "b"]}, {"stop_sequences": ["a", "b"]}),
    "temperature": ({"temperature": 0.5}, {"temperature": 0.5}),
    "temperature and top_p of 1": ({"temperature": 1, "top_p": 1.0}, {}),
    "top_p": ({"top_p": 0.5}, {"top_p": 0.5}),
    "tools": ({"tools": [TOOL]}, {"tools": [TOOL_WRITTEN]}),
    "a tool twice": ({"tools": [TOOL, TOOL]}, {"tools": [TOOL_WRITTEN]}),
    "a tool without parameters": (
        {"tools": [{"type": "function", "function": {"name": "f", "description": "F."}}]},
        {"tools": [{**TOOL_WRITTEN, "description": "F."}]},
    ),
    "a strict tool": (
        {"tools": [{"type": "function", "function": {**TOOL["function"], "strict": True}}]},
        {"tools": [{**TOOL_WRITTEN, "strict": True}]},
    ),
    "a free tool": (
        {"tools": [FREE]},
        {"tools": [{"name": "patch", "description": "Patch.", "input_schema": TEXT_ARGUMENT}]},
    ),
    "tool_choice auto": ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL_WRITTEN]}),
    "tool_choice none": (
        {"tools": [TOOL], "tool_choice": "none", "parallel_tool_calls": False},
        {"tools": [TOOL_WRITTEN], "tool_choice": {"type": "none"}},
    ),
    "tool_choice required": (
        {"tools": [TOOL], "tool_choice": "required"},
        {"tools": [TOOL_WRITTEN], "tool_choice": {"type": "any"}},
    ),
    "tool_choice any, as Mistral calls it": (
        {"tools": [TOOL], "tool_choice": "any"},
        {"tools": [TOOL_WRITTEN], "tool_choice": {"type": "any"}},
    ),
    "tool_choice of a tool": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tools": [TOOL_WRITTEN], "tool_choice": {"type": "tool", "name": "f"}},
    ),
    "tool_choice of some tools": (
        {
            "tools": [TOOL, FREE],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        },
        {"tools": [TOOL_WRITTEN], "tool_choice": {"type": "any"}},
    ),
    "tool_choice without tools": ({"tool_choice": "auto", "parallel_tool_calls": False}, {}),
    "one call at a time": (
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"tools": [TOOL_WRITTEN], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    ),
    "a schema of the answer": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}},
            }
        },
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
    ),
    "an answer in text": ({"response_format": {"type": "text"}}, {}),
}


@rows("name", SAME)
def test_what_has_a_counterpart_is_the_same(name: str) -> None:
    body, expected = SAME[name]
    base = {"model": "claude", "max_tokens": 4096, "messages": [told("user", text("hi"))]}
    assert translated(body) == ({**base, **expected}, ())


LESS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "seed": ({"seed": 1}, {}, {}, "seed"),
    "penalties": ({"frequency_penalty": 0.5}, {}, {}, "penalties"),
    "verbosity": ({"verbosity": "low"}, {}, {}, "verbosity"),
    "the end user": ({"user": "ann"}, {}, {}, "user"),
    "the end user's other name": ({"safety_identifier": "ann"}, {}, {}, "user"),
    "notes": ({"metadata": {"a": "b"}}, {}, {}, "client_metadata"),
    "an unknown member": ({"later": 1}, {}, {}, "unknown_member"),
    "a key of the cache": ({"prompt_cache_key": "k"}, {}, {}, "cache_control"),
    "how long to cache": ({"prompt_cache_retention": "24h"}, {}, {}, "cache_control"),
    "a class of service": ({"service_tier": "flex"}, {"tier": True}, {}, "service_tier"),
    "too long an answer": ({"max_tokens": 9999}, {}, {"max_tokens": 4096}, "max_tokens"),
    "too high a temperature": ({"temperature": 1.5}, {}, {"temperature": 1}, "temperature"),
    "temperature where none is taken": ({"temperature": 0.5}, {"temperature": False}, {}, "temperature"),
    "top_p beside temperature": ({"temperature": 0, "top_p": 0.9}, {}, {"temperature": 0}, "temperature"),
    "top_p where none is taken": ({"top_p": 0.5}, {"temperature": False}, {}, "temperature"),
    "top_k": ({"top_k": 5}, {}, {}, "top_k"),
    "one call at a time": (
        {"tools": [TOOL], "parallel_tool_calls": False},
        {"parallel_flag": False},
        {"tools": [TOOL_WRITTEN]},
        "parallel",
    ),
    "a strict tool": (
        {"tools": [{"type": "function", "function": {**TOOL["function"], "strict": True}}]},
        {"strict": False},
        {"tools": [TOOL_WRITTEN]},
        "strict",
    ),
    "a grammar": (
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "p",
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "lark", "definition": "start: A"},
                        },
                    },
                }
            ]
        },
        {},
        {
            "tools": [
                {
                    "name": "p",
                    "description": "The input must follow this grammar:\nstart: A",
                    "input_schema": TEXT_ARGUMENT,
                }
            ]
        },
        "grammar",
    ),
    "a choice of schemas": (
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"anyOf": [{"required": ["a"]}]}},
                }
            ]
        },
        {},
        {
            "tools": [
                {
                    "name": "f",
                    "description": 'The arguments must also fit {"anyOf": [{"required": ["a"]}]}',
                    "input_schema": {"type": "object"},
                }
            ]
        },
        "strict",
    ),
    "search beside another tool": (
        {"tools": [TOOL, {"type": "web_search"}]},
        {},
        {"tools": [TOOL_WRITTEN]},
        "web_search",
    ),
    "another tool of a provider": (
        {"tools": [TOOL, {"type": "code_interpreter"}]},
        {},
        {"tools": [TOOL_WRITTEN]},
        "served_tools",
    ),
    "a schema's description": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {}, "description": "d"},
            }
        },
        {},
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        "unknown_member",
    ),
    "effort where none is known": ({"reasoning_effort": "high"}, {}, {}, "effort"),
    "effort as a budget": (
        {"reasoning_effort": "medium"},
        BUDGET,
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        "effort",
    ),
    "effort that is too little for a budget": (
        {"reasoning_effort": "high", "max_tokens": 9},
        BUDGET,
        {"max_tokens": 9},
        "effort",
    ),
    "too small a budget": (
        {"thinking": {"type": "enabled", "budget_tokens": 10}},
        BUDGET,
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        "effort",
    ),
    "effort beside a tool that must be called": (
        {"reasoning_effort": "high", "tools": [TOOL], "tool_choice": "required"},
        ADAPTIVE,
        {"tools": [TOOL_WRITTEN], "tool_choice": {"type": "any"}},
        "effort",
    ),
    "a level that is not known": (
        {"reasoning_effort": "max"},
        ADAPTIVE,
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
        "effort",
    ),
    "a level that nobody knows": (
        {"reasoning_effort": "extreme"},
        ADAPTIVE,
        {"thinking": {"type": "adaptive"}},
        "effort",
    ),
    "a budget as a level": (
        {"thinking": {"type": "enabled", "budget_tokens": 4000}},
        ADAPTIVE,
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        "effort",
    ),
    "no thinking where it cannot be turned off": ({"reasoning_effort": "none"}, ADAPTIVE, {}, "effort"),
    "a summary of no thinking": ({"reasoning": {"exclude": False}}, BUDGET, {}, "summary"),
    "temperature beside thinking": (
        {"reasoning_effort": "low", "temperature": 0.5},
        ADAPTIVE,
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        "temperature",
    ),
}


@rows("name", LESS)
def test_a_hint_without_a_counterpart_is_named(name: str) -> None:
    body, caps, expected, loss = LESS[name]
    base = {"model": "claude", "max_tokens": 4096, "messages": [HI]}
    assert translated(body, **caps) == ({**base, **expected}, (loss,))


ABLE: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "top_k": ({"top_k": 5}, {"top_k": True}, {"top_k": 5}),
    "a key of the cache": (
        {"prompt_cache_key": "k"},
        {"cache_mark": True},
        {"cache_control": {"type": "ephemeral"}},
    ),
    "the usual class of service": (
        {"service_tier": "default"},
        {"tier": True},
        {"service_tier": "standard_only"},
    ),
    "the usual class of service, not asked for": ({"service_tier": "auto"}, {}, {}),
    "search": (
        {"tools": [{"type": "web_search", "max_uses": 3, "web_search": {}}]},
        {"web_search": "web_search_20250305"},
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]},
    ),
    "effort": (
        {"reasoning": {"effort": "low"}},
        ADAPTIVE,
        {
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "low"},
        },
    ),
    "a budget": (
        {"reasoning": {"max_tokens": 2000, "exclude": True}},
        BUDGET,
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    "thinking without a budget": (
        {"thinking": {"type": "enabled"}},
        ADAPTIVE,
        {"thinking": {"type": "adaptive", "display": "summarized"}},
    ),
    "no thinking": (
        {"thinking": {"type": "disabled"}},
        {**ADAPTIVE, "effort_off": "disabled"},
        {"thinking": {"type": "disabled"}},
    ),
    "no thinking where there is none": ({"reasoning": {"enabled": False}}, BUDGET, {}),
    "temperature without thinking": (
        {"reasoning_effort": "none", "temperature": 0.5},
        {**ADAPTIVE, "effort_off": "disabled"},
        {"thinking": {"type": "disabled"}, "temperature": 0.5},
    ),
}


@rows("name", ABLE)
def test_an_able_endpoint_is_asked_for_more(name: str) -> None:
    body, caps, expected = ABLE[name]
    base = {"model": "claude", "max_tokens": 4096, "messages": [HI]}
    assert translated(body, **caps) == ({**base, **expected}, ())
