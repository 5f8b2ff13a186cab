"""Chat requests that an endpoint of Messages cannot be asked: refused with the path of what stops them."""

from __future__ import annotations

from typing import Any

import pytest

from chat_requests import BUDGET, SEALER, TOOL, USER, call, calling, result, translated
from holdfast.translate import read_chat
from holdfast.translate.losses import Losses, Untranslatable
from tables import rows


def history(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [USER, *parts], **more}


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "several choices": ({"n": 2}, {}, "n", "only 1 choice"),
    "probabilities": ({"logprobs": True}, {}, "logprobs", "probabilities of tokens"),
    "the most probable": ({"top_logprobs": 3}, {}, "top_logprobs", "probabilities of tokens"),
    "a bias": ({"logit_bias": {"1": 2}}, {}, "logit_bias", "a bias of tokens"),
    "speech": ({"modalities": ["text", "audio"]}, {}, "modalities", "only \\[.text.\\]"),
    "a voice": ({"audio": {"voice": "x"}}, {}, "audio", "spoken answers"),
    "a prediction": ({"prediction": {"type": "content"}}, {}, "prediction", "predicted output"),
    "search by the provider": ({"web_search_options": {"a": 1}}, {}, "web_search_options", "not offered"),
    "storing": ({"store": True}, {}, "store", "cannot be stored"),
    "functions": ({"functions": [{"name": "f"}]}, {}, "functions", "older way"),
    "a check": ({"moderation": {"model": "m"}}, {}, "moderation", "check of the input"),
    "JSON of any form": (
        {"response_format": {"type": "json_object"}},
        {},
        "response_format",
        "without a schema",
    ),
    "an unknown form": ({"response_format": {"type": "grammar"}}, {}, "response_format.type", "'grammar'"),
    "a form without a schema": (
        {"response_format": {"type": "json_schema"}},
        {},
        "response_format.json_schema",
        "is missing",
    ),
    "a form whose schema is missing": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
        {},
        "response_format.json_schema.schema",
        "is missing",
    ),
    "a schema where none is taken": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
        {"schema": False},
        "response_format",
        "cannot be held to a schema",
    ),
    "no limit of output": ({}, {"max_output": None}, "max_tokens", "how long an answer"),
    "a limit of 0": ({"max_tokens": 0}, {}, "max_tokens", "must be 1 or more"),
    "a limit below 0": ({"max_tokens": -1}, {}, "max_tokens", "must be"),
    "a stop where none is taken": ({"stop": "x"}, {"stop_limit": 0}, "stop", "stops at no text"),
    "a blank stop": ({"stop": ["\n"]}, {}, "stop", "no blank text"),
    "an empty stop": ({"stop": ["a", ""]}, {}, "stop[1]", "must be a text"),
    "no messages": ({"messages": []}, {}, "messages", "is missing"),
    "nothing to answer": (
        {"messages": [{"role": "user", "content": " "}]},
        {},
        "messages",
        "nothing to answer",
    ),
    "a beginning of the answer": (
        history({"role": "assistant", "content": "I"}),
        {},
        "messages[1]",
        "does not continue",
    ),
    "an unknown role": (history({"role": "critic", "content": "x"}), {}, "messages[1].role", "'critic'"),
    "the role of functions": (history({"role": "function"}), {}, "messages[1].role", "results of functions"),
    "an older call": (
        history({"role": "assistant", "function_call": {"name": "f"}}),
        {},
        "messages[1].function_call",
        "older way",
    ),
    "a spoken answer": (
        history({"role": "assistant", "audio": {"id": "x"}}),
        {},
        "messages[1].audio",
        "spoken",
    ),
    "no content": (history({"role": "user"}), {}, "messages[1].content", "is missing"),
    "spoken words": (
        history({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}),
        {},
        "messages[1].content[0].type",
        "'input_audio'",
    ),
    "a part without a type": (
        history({"role": "user", "content": [{}]}),
        {},
        "messages[1].content[0].type",
        "is missing",
    ),
    "an image of the system": (
        history({"role": "system", "content": [{"type": "image_url"}]}),
        {},
        "messages[1].content[0].type",
        "'image_url'",
    ),
    "an image from nowhere": (
        history({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}),
        {},
        "messages[1].content[0].image_url.url",
        "must be https://",
    ),
    "an image by address where none is fetched": (
        history({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b"}}]}),
        {"image_urls": False},
        "messages[1].content[0]",
        "fetches no images",
    ),
    "an image of a rare type": (
        history(
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,a"}}],
            }
        ),
        {},
        "messages[1].content[0]",
        "'image/tiff'",
    ),
    "a file at the provider": (
        history({"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]}),
        {},
        "messages[1].content[0].file.file_id",
        "another provider",
    ),
    "a file of unknown type": (
        history(
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "aaaa", "filename": "a"}}]}
        ),
        {},
        "messages[1].content[0].file.file_data",
        "must be data:application/pdf",
    ),
    "a file of a rare type": (
        history(
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:a/b;base64,aaaa"}}]}
        ),
        {},
        "messages[1].content[0]",
        "'a/b'",
    ),
    "a text that is none": (
        history(
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "/", "filename": "a.txt"}}]}
        ),
        {},
        "messages[1].content[0]",
        "no base64",
    ),
    "arguments that are no JSON": (
        history(calling(call("{x")), result()),
        {},
        "messages[1].tool_calls[0]",
        "no JSON object",
    ),
    "arguments that are no object": (
        history(calling(call("[1]")), result()),
        {},
        "messages[1].tool_calls[0]",
        "no JSON object",
    ),
    "arguments with a number that is none": (
        history(calling(call('{"x": NaN}')), result()),
        {},
        "messages[1].tool_calls[0]",
        "no JSON object",
    ),
    "arguments with too great a number": (
        history(calling(call('{"x": 1e999}')), result()),
        {},
        "messages[1].tool_calls[0]",
        "no JSON object",
    ),
    "arguments of great depth": (
        history(calling(call('{"x":' + "[" * 100_000)), result()),
        {},
        "messages[1].tool_calls[0]",
        "no JSON object",
    ),
    "an unknown kind of call": (
        history({"role": "assistant", "tool_calls": [{"id": "a", "type": "mcp"}]}),
        {},
        "messages[1].tool_calls[0].type",
        "'mcp'",
    ),
    "an orphan result": (history(result()), {}, "messages[1]", "no call before it"),
    "a call without a result": (
        history(calling(call()), USER),
        {"fill_missing": False},
        "messages[1].tool_calls[0]",
        "has no result",
    ),
    "an unknown form of a free tool's text": (
        {"tools": [{"type": "custom", "custom": {"name": "p", "format": {"type": "poem"}}}]},
        {},
        "tools[0].custom.format.type",
        "'poem'",
    ),
    "a grammar without its text": (
        {
            "tools": [
                {"type": "custom", "custom": {"name": "p", "format": {"type": "grammar", "grammar": {}}}}
            ]
        },
        {},
        "tools[0].custom.format.grammar.definition",
        "is missing",
    ),
    "an unknown kind of tool": ({"tools": [{"type": "mcp"}]}, {}, "tools[0].type", "'mcp'"),
    "a tool without a name": (
        {"tools": [{"type": "function", "function": {"name": ""}}]},
        {},
        "tools[0].function.name",
        "empty",
    ),
    "two tools with one name": (
        {"tools": [{"type": "function", "function": {"name": name}} for name in ("a__b", "a__b")]}
        | {"tool_choice": {"type": "function", "function": {"name": "c"}}},
        {},
        "tool_choice",
        "no tool is called 'c'",
    ),
    "nothing but search": ({"tools": [{"type": "web_search"}]}, {}, "tools[0]", "runs at a provider"),
    "search that must be called": (
        {
            "tools": [TOOL, {"type": "web_search"}],
            "tool_choice": {"type": "function", "function": {"name": "web_search"}},
        },
        {},
        "tools[1]",
        "runs at a provider",
    ),
    "a tool that must be called and is not there": (
        {"tool_choice": "required"},
        {},
        "tool_choice",
        "none is offered",
    ),
    "a choice where there is none": (
        {"tools": [TOOL], "tool_choice": "required"},
        {"tool_choice": False},
        "tool_choice",
        "lets no one say",
    ),
    "an unknown choice": ({"tools": [TOOL], "tool_choice": "some"}, {}, "tool_choice", "'some'"),
    "an unknown kind of choice": ({"tool_choice": {"type": "mcp"}}, {}, "tool_choice.type", "'mcp'"),
    "a choice among tools that are not there": (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"name": "x"}]},
            }
        },
        {},
        "tool_choice.allowed_tools.tools[0]",
        "no tool is called 'x'",
    ),
    "a budget in the middle of calls": (
        history(calling(call()), result(), thinking={"type": "enabled", "budget_tokens": 2000}),
        BUDGET,
        "thinking",
        "did not come back",
    ),
}


@rows("name", REFUSED)
def test_a_constraint_without_a_counterpart_is_refused(name: str) -> None:
    body, caps, path, why = REFUSED[name]
    with pytest.raises(Untranslatable, match=why) as caught:
        translated(body, **caps)
    assert caught.value.path == path


def test_a_missing_limit_is_repaired_by_a_row_of_the_model() -> None:
    with pytest.raises(Untranslatable) as caught:
        translated({}, max_output=None)
    assert 'models = [{ id = "claude", output = N }]' in caught.value.next_step


def test_what_one_may_take_away_is_refused_where_all_must_be_exact() -> None:
    with pytest.raises(Untranslatable, match="seed was left out"):
        read_chat.read({"messages": [USER], "seed": 1}, SEALER, Losses(exact=True))


def test_a_refusal_names_the_member_that_the_caller_wrote() -> None:
    body = history(calling(call()), result(), reasoning={"max_tokens": 2000})
    with pytest.raises(Untranslatable) as caught:
        translated(body, **BUDGET)
    assert caught.value.path == "reasoning.max_tokens"


def test_a_schema_that_is_too_deep_to_tell_is_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    tool = {"type": "function", "function": {"name": "f", "parameters": {"anyOf": deep}}}
    with pytest.raises(Untranslatable, match="too deep"):
        translated({"tools": [tool]})
    while deep:  # else it is freed at once, deeper than a stack may be
        deep = deep[0]
