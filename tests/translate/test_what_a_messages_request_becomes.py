"""What a chat endpoint is sent for a request of the Messages API: a row for each member and kind of block."""

from __future__ import annotations

from typing import Any

from holdfast.translate.losses import LESS
from tables import rows
from translate.claude_code import PIXEL, TOOLS, call, claude_code_request, result, text
from translate.messages_to_chat import MODEL, asking, carried

PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
URL_PICTURE = {"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
GET = {"name": "get", "description": "Get it.", "input_schema": SCHEMA}
WRITTEN_GET = {
    "type": "function",
    "function": {"name": "get", "description": "Get it.", "parameters": SCHEMA},
}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def system(content: Any, **members: Any) -> dict[str, Any]:
    return {"role": "system", "content": content, **members}


HI = user(text("hi"))
WRITTEN_HI = {"role": "user", "content": "hi"}


# Members of a request: what is asked, what is written beside the model and the words, and what is lost.
MEMBERS: dict[str, tuple[dict[str, Any], dict[str, Any], set[str], dict[str, Any]]] = {
    "stream": ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}, set(), {}),
    "stream of an old server": ({"stream": True}, {"stream": True}, set(), {"usage_asked": False}),
    "no stream": ({"stream": False}, {}, set(), {}),
    "max_tokens by another name": (
        {"max_tokens": 5},
        {"max_tokens": None, "max_completion_tokens": 5},
        set(),
        {"max_tokens": "max_completion_tokens"},
    ),
    "max_tokens above the limit": (
        {"max_tokens": 64000},
        {"max_tokens": 8192},
        {"max_tokens"},
        {"max_output": 8192},
    ),
    "max_tokens at the limit": ({"max_tokens": 8192}, {"max_tokens": 8192}, set(), {"max_output": 8192}),
    "stop": ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}, set(), {}),
    "temperature": ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}, set(), {}),
    "temperature where there is none": ({"temperature": 0.5}, {}, {"temperature"}, {"temperature": False}),
    "temperature of 1": ({"temperature": 1, "top_p": 1.0}, {}, set(), {"temperature": False}),
    "top_k": ({"top_k": 3}, {}, {"top_k"}, {}),
    "top_k where it is taken": ({"top_k": 3}, {"top_k": 3}, set(), {"top_k": True}),
    "tools": ({"tools": [GET]}, {"tools": [WRITTEN_GET]}, set(), {}),
    "tool of the type custom": ({"tools": [{**GET, "type": "custom"}]}, {"tools": [WRITTEN_GET]}, set(), {}),
    "any tool": (
        {"tools": [GET], "tool_choice": {"type": "any"}},
        {"tools": [WRITTEN_GET], "tool_choice": "required"},
        set(),
        {},
    ),
    "no tool": (
        {"tools": [GET], "tool_choice": {"type": "none"}},
        {"tools": [WRITTEN_GET], "tool_choice": "none"},
        set(),
        {},
    ),
    "no tool, where that cannot be said": (
        {"tools": [GET], "tool_choice": {"type": "none"}},
        {},
        set(),
        {"tool_choice": False},
    ),
    "auto, where that cannot be said": (
        {"tools": [GET], "tool_choice": {"type": "auto"}},
        {"tools": [WRITTEN_GET]},
        set(),
        {"tool_choice": False},
    ),
    "auto without tools": ({"tool_choice": {"type": "auto"}}, {}, set(), {}),
    "the tool that is named": (
        {"tools": [GET], "tool_choice": {"type": "tool", "name": "get"}},
        {"tools": [WRITTEN_GET], "tool_choice": {"type": "function", "function": {"name": "get"}}},
        set(),
        {},
    ),
    "one call at a time": (
        {"tools": [GET], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tools": [WRITTEN_GET], "parallel_tool_calls": False},
        set(),
        {},
    ),
    "one call at a time, where that cannot be said": (
        {"tools": [GET], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        {"tools": [WRITTEN_GET]},
        {"parallel"},
        {"parallel_flag": False},
    ),
    "several calls at a time": (
        {"tools": [GET], "tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
        {"tools": [WRITTEN_GET]},
        set(),
        {},
    ),
    "an answer by a schema": (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            }
        },
        set(),
        {},
    ),
    "an answer by a schema, as it was asked for at first": (
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            }
        },
        set(),
        {},
    ),
    "effort": ({"output_config": {"effort": "high"}}, {"reasoning_effort": "high"}, set(), {}),
    "effort beyond the endpoint's": (
        {"output_config": {"effort": "max"}},
        {"reasoning_effort": "high"},
        {"effort"},
        {},
    ),
    "effort where there is none": ({"output_config": {"effort": "high"}}, {}, {"effort"}, {"efforts": ()}),
    "effort of no known level": ({"output_config": {"effort": "mild"}}, {}, {"effort"}, {}),
    "a budget of the whole task": ({"output_config": {"task_budget": {"total": 9}}}, {}, {"effort"}, {}),
    "adaptive thinking": ({"thinking": {"type": "adaptive", "display": "omitted"}}, {}, set(), {}),
    "adaptive thinking to read": (
        {"thinking": {"type": "adaptive", "display": "summarized"}},
        {},
        {"summary"},
        {},
    ),
    "thinking between tools": ({"thinking": {"type": "between_tools"}}, {}, set(), {}),
    "a small budget": (
        {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2999}},
        {"max_tokens": 9000, "reasoning_effort": "low"},
        {"effort", "summary"},
        {},
    ),
    "a middling budget": (
        {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 3000}},
        {"max_tokens": 9000, "reasoning_effort": "medium"},
        {"effort", "summary"},
        {},
    ),
    "a large budget": (
        {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8999}},
        {"max_tokens": 9000, "reasoning_effort": "high"},
        {"effort", "summary"},
        {},
    ),
    "a budget of nobody knows what": (
        {"max_tokens": None, "thinking": {"type": "enabled", "budget_tokens": 99}},
        {"max_tokens": None, "reasoning_effort": "medium"},
        {"effort", "summary"},
        {},
    ),
    "a budget and a level": (
        {"thinking": {"type": "enabled", "budget_tokens": 99}, "output_config": {"effort": "low"}},
        {"reasoning_effort": "low"},
        {"summary"},
        {},
    ),
    "no thinking": ({"thinking": {"type": "disabled"}}, {}, {"effort"}, {}),
    "no thinking, as a level": (
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
        {"reasoning_effort": "none"},
        set(),
        {"effort_off": "none"},
    ),
    "no thinking, as the lowest level": (
        {"thinking": {"type": "disabled"}},
        {"reasoning_effort": "minimal"},
        {"effort"},
        {"effort_off": "minimal"},
    ),
    "no thinking, as an object": (
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "disabled"}},
        set(),
        {"effort_off": "disabled"},
    ),
    "the usual class of service": ({"service_tier": "auto", "speed": "standard"}, {}, set(), {}),
    "the standard class of service": ({"service_tier": "standard_only"}, {}, {"service_tier"}, {}),
    "the standard class of service, where it is known": (
        {"service_tier": "standard_only"},
        {"service_tier": "default"},
        set(),
        {"tier": True},
    ),
    "speed": ({"speed": "fast"}, {}, {"service_tier"}, {}),
    "any country": ({"inference_geo": "global"}, {}, set(), {}),
    "metadata": ({"metadata": {"user_id": "u"}}, {}, {"user"}, {}),
    "cache": ({"cache_control": {"type": "ephemeral"}}, {}, {"cache_control"}, {}),
    "edits of the context": (
        {"context_management": {"edits": [{"type": "x"}]}},
        {},
        {"context_management"},
        {},
    ),
    "other models": ({"fallbacks": [{"model": "x"}]}, {}, {"fallbacks"}, {}),
    "betas": ({"betas": ["a"], "anthropic_beta": ["b"], "anthropic_version": "c"}, {}, set(), {}),
    "nothing": ({"metadata": {}, "mcp_servers": [], "container": None, "new": False}, {}, set(), {}),
    "a member that nobody knows": ({"new": {"a": 1}}, {}, {"unknown_member"}, {}),
}


@rows("name", MEMBERS)
def test_a_member_of_a_request_has_its_counterpart_or_a_loss(name: str) -> None:
    asked, written, less, caps = MEMBERS[name]
    body, names = carried(asking(**asked), **caps)
    assert set(names) == less <= LESS.keys()
    expected = {"model": MODEL, "messages": [WRITTEN_HI], "max_tokens": 100} | written
    assert body == {member: value for member, value in expected.items() if value is not None}


def test_a_request_of_claude_code_passes_whole() -> None:
    body, less = carried(claude_code_request())
    assert set(less) == {
        *("cache_control", "client_metadata", "context_management", "defer_loading", "error_flag"),
        *("mid_system", "output_moved", "thinking_of_another_model", "user"),
    }
    assert [tool["function"]["name"] for tool in body["tools"]] == [*TOOLS, "mcp__jira__search"]
    assert [message["role"] for message in body["messages"]] == (
        "system user assistant tool tool user assistant tool user".split()
    )
    assert body["messages"][0]["content"].startswith("You are Claude Code.\n\nBe careful")
    assert body["messages"][1]["content"].endswith(
        "tickets.\n\n<system-reminder>\nThe user opened the file a.py.\n</system-reminder>"
    )
    assert body["reasoning_effort"] == "high"


def _messages(
    *messages: Any, caps: dict[str, Any] | None = None, **members: Any
) -> tuple[list[Any], set[str]]:
    body, less = carried(asking(messages=list(messages), **members), **(caps or {}))
    return body["messages"], set(less)


# What users say, in a message's content: what is written of it, and what is lost.
CONTENT: dict[str, tuple[Any, Any, set[str], dict[str, Any]]] = {
    "a text": ("hi\n", "hi\n", set(), {}),
    "texts": ([text("a"), text(" \n"), text("b")], "a\n\nb", set(), {}),
    "a text to cache": ([text("a", cache_control={"type": "ephemeral"})], "a", {"cache_control"}, {}),
    "a text with its sources": ([text("a", citations=[{"type": "x"}])], "a", {"citations"}, {}),
    "an unknown member": ([text("a", new=1)], "a", {"unknown_member"}, {}),
    "an image": (
        [text("look"), PICTURE],
        [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ],
        set(),
        {},
    ),
    "an image by its address": (
        [URL_PICTURE],
        [{"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}],
        set(),
        {},
    ),
    "a file": (
        [{"type": "document", "source": PDF, "title": "a.pdf"}],
        [
            {
                "type": "file",
                "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
            }
        ],
        set(),
        {"files": True},
    ),
    "a file without a name, with a word about it": (
        [{"type": "document", "source": PDF, "context": "Read it."}],
        [
            {"type": "text", "text": "Read it."},
            {
                "type": "file",
                "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
            },
        ],
        set(),
        {"files": True},
    ),
    "a document as text": (
        [
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "A."},
                "title": "T",
            }
        ],
        "T\nA.",
        set(),
        {},
    ),
    "a document as blocks": (
        [{"type": "document", "source": {"type": "content", "content": [text("A."), text("B.")]}}],
        "A.\n\nB.",
        set(),
        {},
    ),
    "a document as content": (
        [
            {
                "type": "document",
                "source": {"type": "content", "content": "A."},
                "citations": {"enabled": False},
            }
        ],
        "A.",
        set(),
        {},
    ),
    "a document to cite": (
        [
            {
                "type": "document",
                "source": {"type": "content", "content": "A."},
                "citations": {"enabled": True},
            }
        ],
        "A.",
        {"citations"},
        {},
    ),
    "a result of a search": (
        [
            {
                "type": "search_result",
                "source": "https://a.test",
                "title": "T",
                "content": [text("A."), text("B.")],
            }
        ],
        "T\nhttps://a.test\nA.\nB.",
        {"citations"},
        {},
    ),
    "a summary": (
        [{"type": "compaction", "content": "We met."}, text("go on")],
        "[summary of the conversation so far]\nWe met.\n\ngo on",
        {"served_history"},
        {},
    ),
    "a summary that failed": ([{"type": "compaction", "content": None}, text("go on")], "go on", set(), {}),
    "a list of tools": (
        [{"type": "mcp_tool_listing", "mcp_server_name": "s", "tools": [{"name": "t"}]}, text("go")],
        "go",
        {"served_tools"},
        {},
    ),
}


@rows("name", CONTENT)
def test_what_a_user_says_is_written_or_told_as_a_loss(name: str) -> None:
    content, written, less, caps = CONTENT[name]
    messages, names = _messages({"role": "user", "content": content}, caps=caps)
    assert (messages, names) == ([{"role": "user", "content": written}], less)


def _calls(*calls: tuple[int, str, str]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"toolu_{number:020}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for number, name, arguments in calls
    ]


def _tool(number: int, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"toolu_{number:020}", "content": content}


ONE_CALL = assistant(call(1, "get", a="é"))
WRITTEN_CALL = {"role": "assistant", "content": None, "tool_calls": _calls((1, "get", '{"a":"é"}'))}

# Results of a call, as a user's message has them: what is written after the call, and what is lost.
RESULTS: dict[str, tuple[list[Any], list[Any], set[str]]] = {
    "a text": ([result(1, "done")], [_tool(1, "done")], set()),
    "nothing": ([result(1)], [_tool(1, "")], set()),
    "texts": ([result(1, [text("a"), text("b")])], [_tool(1, "a\nb")], set()),
    "an error": ([result(1, "no", is_error=True)], [_tool(1, "[error] no")], {"error_flag"}),
    "words before it": (
        [text("wait"), result(1, "done"), text("go")],
        [_tool(1, "done"), {"role": "user", "content": "wait\n\ngo"}],
        set(),
    ),
    "an image": (
        [result(1, [text("look"), URL_PICTURE]), text("go")],
        [
            _tool(1, "look"),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": f"[content of toolu_{1:020}]"},
                    {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}},
                    {"type": "text", "text": "go"},
                ],
            },
        ],
        {"output_moved"},
    ),
    "an image and nothing else": (
        [result(1, [URL_PICTURE])],
        [
            _tool(1, f"[content of toolu_{1:020} follows]"),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": f"[content of toolu_{1:020}]"},
                    {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}},
                ],
            },
        ],
        {"output_moved"},
    ),
    "a tool that was found": (
        [result(1, [{"type": "tool_reference", "tool_name": "t"}])],
        [_tool(1, "[the tool t can be called now]")],
        set(),
    ),
}


@rows("name", RESULTS)
def test_a_result_comes_directly_after_its_call(name: str) -> None:
    blocks, written, less = RESULTS[name]
    messages, names = _messages(HI, ONE_CALL, user(*blocks))
    assert (messages, names) == ([WRITTEN_HI, WRITTEN_CALL, *written], less)


def test_results_are_in_the_order_of_their_calls() -> None:
    calls = assistant(call(1, "get"), text("and"), call(2, "get"), call(3, "put"))
    messages, _ = _messages(HI, calls, user(result(3, "c"), text("hm"), result(1, "a")), user(result(2, "b")))
    assert messages[1]["content"] == "and"
    assert messages[1]["tool_calls"] == _calls((1, "get", "{}"), (2, "get", "{}"), (3, "put", "{}"))
    assert messages[2:] == [_tool(1, "a"), _tool(2, "b"), _tool(3, "c"), {"role": "user", "content": "hm"}]


def test_two_messages_of_an_assistant_are_one() -> None:
    messages, _ = _messages(HI, assistant(text("a")), ONE_CALL, user(result(1, "x")))
    assert messages[1] == {**WRITTEN_CALL, "content": "a"}


def test_ids_are_such_as_the_endpoint_takes() -> None:
    messages, _ = _messages(HI, ONE_CALL, user(result(1, "x")), caps={"call_id": "mistral"})
    made = messages[1]["tool_calls"][0]["id"]
    assert len(made) == 9
    assert made.isalnum()
    assert messages[2]["tool_call_id"] == made


def test_an_id_that_comes_again_is_made_unique() -> None:
    messages, _ = _messages(HI, ONE_CALL, user(result(1, "x")), ONE_CALL, user(result(1, "y")))
    first, second = (message["tool_calls"][0]["id"] for message in messages if "tool_calls" in message)
    assert first != second
    assert [message["tool_call_id"] for message in messages if message["role"] == "tool"] == [first, second]


def test_words_of_the_system_are_one_message_at_the_beginning() -> None:
    messages, less = _messages(system("c"), HI, system=[text("a"), text("b")])
    assert messages == [{"role": "system", "content": "a\n\nb\n\nc"}, WRITTEN_HI]
    assert not less
    messages, _ = _messages(HI, system="a", caps={"developer": True})
    assert messages[0] == {"role": "developer", "content": "a"}


def test_later_words_of_the_system_stay_where_they_are() -> None:
    given = (HI, system([text("mind")]), assistant(text("yes")), HI)
    messages, less = _messages(*given)
    assert messages[0]["content"] == "hi\n\n<system-reminder>\nmind\n</system-reminder>"
    assert less == {"mid_system"}
    messages, less = _messages(*given, caps={"mid_system": True})
    assert messages[:2] == [WRITTEN_HI, {"role": "system", "content": "mind"}]
    assert not less


def test_words_of_the_system_between_call_and_result_come_after_the_result() -> None:
    messages, _ = _messages(HI, ONE_CALL, system("mind"), user(result(1, "x")), caps={"mid_system": True})
    assert messages[1:] == [WRITTEN_CALL, _tool(1, "x"), {"role": "system", "content": "mind"}]


def test_words_of_the_system_for_one_turn_are_gone_in_the_next() -> None:
    fleeting = system("now", clear_at="next_user_message")
    messages, less = _messages(HI, fleeting, assistant(text("yes")), HI, caps={"mid_system": True})
    assert [message["content"] for message in messages] == ["hi", "yes", "hi"]
    assert not less
    messages, _ = _messages(HI, fleeting, caps={"mid_system": True})
    assert messages[-1] == {"role": "system", "content": "now"}


LOW = {"output_config": {"effort": "low"}}


@rows(
    ("messages", "effort"),
    [
        ([HI, system([], **LOW)], "low"),
        ([system([], **LOW), HI], "low"),
        ([HI, system("mind", **LOW), assistant(text("yes")), HI], "low"),
        ([HI, assistant(text("yes")), system([], **LOW), HI], "low"),
        ([HI, ONE_CALL, user(result(1, "x")), system([], **LOW)], "high"),
        ([HI, ONE_CALL, user(result(1, "x"), text("new")), system([], **LOW)], "low"),
        ([HI, system([], **LOW), system([], output_config={"effort": "medium"})], "medium"),
    ],
)
def test_a_message_changes_the_effort_from_the_next_new_words_on(messages: list[Any], effort: str) -> None:
    body, _ = carried(asking(messages=messages, output_config={"effort": "high"}))
    assert body["reasoning_effort"] == effort


def test_an_answer_that_was_only_thought_is_no_message() -> None:
    messages, less = _messages(HI, assistant({"type": "thinking", "thinking": "A."}), HI)
    assert messages == [{"role": "user", "content": "hi\n\nhi"}]
    assert less == {"reasoning_not_returned"}
    image = {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}
    messages, _ = _messages(user(URL_PICTURE), assistant({"type": "thinking", "thinking": "A."}), HI)
    assert messages == [{"role": "user", "content": [image, {"type": "text", "text": "hi"}]}]
