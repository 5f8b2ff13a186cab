"""A request of Responses without its dialect: what Codex sends, and each kind of item and of tool."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.translate.envelope import Sealer
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
    Refusal,
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
from holdfast.translate.read_responses import read
from responses_requests import CUSTOM, FUNCTION, MARK, PDF, PNG, SEALER, SEARCH, codex_request, understood
from tables import rows

SYSTEM, USER, ASSISTANT = Role.SYSTEM, Role.USER, Role.ASSISTANT
FREE, SERVED = ToolKind.FREE, ToolKind.SERVED
SCHEMA = {"type": "object", "properties": {}}
OF_CALL = Seal(Opaque.THOUGHT, {"google": {"thought_signature": "s"}}, MARK, "c")
OF_NO_CALL = Seal(Opaque.THOUGHT, "v", MARK, "d")
IMAGE = Image(data="aaaa", media="image/png")


def test_all_that_codex_sends_is_understood() -> None:
    losses = Losses()
    request = read(codex_request(), SEALER, losses)
    assert request.turns == (
        Turn(SYSTEM, (Text("You are a coding agent."),)),
        Turn(SYSTEM, (Text("<permissions>Ask before writing.</permissions>"),)),
        Turn(USER, (Text("<environment_context>cwd: /project</environment_context>"),)),
        Turn(
            USER,
            (
                Text("Make the picture's title larger."),
                Image(data="aGVsbG8=", media="image/png", detail="high"),
            ),
        ),
        Turn(
            ASSISTANT,
            (
                Thinking(
                    "Look at the files\n\nthen edit",
                    Seal(Opaque.ENCRYPTED, "opaque-of-another-provider", item="rs_1"),
                ),
                Text("I look at the files first."),
                Call("call_1", "exec_command", '{"cmd": "ls",  "n": 1.0}'),
                Call("call_2", "spawn_agent", '{"message":"Count the lines."}', group="collaboration"),
            ),
        ),
        Turn(
            USER,
            (
                Result("call_1", (Text("a.svg\nb.svg"),)),
                Result("call_2", (Text("agent 1 started"), Image(data="aGVsbG8=", media="image/png"))),
            ),
        ),
        Turn(
            USER,
            (
                Text("Message from /lead/counter to /lead:"),
                Text("Message Type: MESSAGE"),
                Text("There are 12 lines."),
            ),
        ),
        Turn(
            ASSISTANT,
            (
                Call(
                    "call_3",
                    "apply_patch",
                    "*** Begin Patch\n*** Update File: a.svg\n-<title>a</title>\n+<title>A</title>\n"
                    "*** End Patch\n",
                    FREE,
                ),
            ),
        ),
        Turn(USER, (Result("call_3", (Text("Success."),)),)),
        Turn(ASSISTANT, (Call("call_4", "tool_search", '{"query":"calendar"}', ToolKind.SEARCH),)),
        Turn(
            USER,
            (Result("call_4", (Text("Tools that can be called now: mcp__calendar__create_event"),)),),
        ),
        Turn(ASSISTANT, (Text('[web_search_call: {"action":{"type":"search","query":"svg title"}}]'),)),
        Turn(USER, (Text("Go on."),)),
    )
    assert [(tool.group, tool.name, tool.kind) for tool in request.tools] == [
        ("", "exec_command", ToolKind.FUNCTION),
        ("", "apply_patch", FREE),
        ("", "tool_search", ToolKind.SEARCH),
        ("", "web_search", SERVED),
        ("collaboration", "spawn_agent", ToolKind.FUNCTION),
        ("collaboration", "wait", ToolKind.FUNCTION),
        ("mcp__calendar", "create_event", ToolKind.FUNCTION),
    ]
    assert (request.choice, request.parallel) == (Choice(Choose.AUTO, at="tool_choice"), Flag.OFF)
    assert request.effort == Effort("medium", shown=True)
    assert (request.cache_key, request.verbosity, request.stream) == ("0199a2b4-thread", "low", True)
    assert losses.names == (
        "client_metadata",
        "tool_search",
        "namespace",
        "unknown_member",
        "served_history",
        "defer_loading",
    )


def _message(role: str, *content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content)}


def _call(**members: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"} | members


def _text(text: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": kind, "text": text}


def _sealed(kind: Opaque, value: Any = "v", home: Sealer = SEALER) -> str:
    return home.seal(Seal(kind, value, MARK))


ITEMS: dict[str, tuple[list[Any], list[tuple[Role, list[Any]]], tuple[str, ...]]] = {
    "a message without a type": ([{"role": "user", "content": "hi"}], [(USER, [Text("hi")])], ()),
    "messages of the user stay apart": (
        [_message("user", _text("a")), _message("user", _text("b"))],
        [(USER, [Text("a")]), (USER, [Text("b")])],
        (),
    ),
    "a message of the system": (
        [_message("system", _text("a")), {"role": "developer", "content": "b"}],
        [(SYSTEM, [Text("a")]), (SYSTEM, [Text("b")])],
        (),
    ),
    "a refusal": (
        [_message("assistant", _text("a", "output_text"), {"type": "refusal", "refusal": "no"})],
        [(ASSISTANT, [Text("a"), Refusal("no")])],
        (),
    ),
    "citations": (
        [_message("assistant", _text("a", "output_text") | {"annotations": [{"type": "url_citation"}]})],
        [(ASSISTANT, [Text("a")])],
        ("citations",),
    ),
    "a message without content": ([_message("user"), _message("assistant")], [], ()),
    "images and documents": (
        [
            _message(
                "user",
                {"type": "input_image", "image_url": PNG, "detail": "original"},
                {"type": "input_image", "image_url": "https://e.example/a.png", "detail": "low"},
                {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
                {"type": "input_file", "file_url": "https://e.example/a.pdf", "filename": "a.pdf"},
                {"type": "input_file", "file_data": "aaaa", "filename": "a.txt", "detail": "high"},
            )
        ],
        [
            (
                USER,
                [
                    Image(data="aaaa", media="image/png", detail="high"),
                    Image(url="https://e.example/a.png", detail="low"),
                    File(data="aaaa", media="application/pdf", name="a.pdf"),
                    File(url="https://e.example/a.pdf", name="a.pdf"),
                    File(data="aaaa", media="text/plain", name="a.txt"),
                ],
            )
        ],
        ("detail",),
    ),
    "all that a model said is one turn": (
        [
            {"type": "reasoning", "id": "rs", "summary": []},
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "s"}],
             "content": [{"type": "reasoning_text", "text": "t"}], "encrypted_content": None},
            _message("assistant", _text("a", "output_text")),
            _call(),
            _call(call_id="d", namespace="g"),
            {"type": "function_call_output", "call_id": "d", "output": "D"},
            {"type": "function_call_output", "call_id": "c", "output": [_text("C"),
             {"type": "input_image", "image_url": PNG}]},
            _message("user", _text("b")),
        ],
        [
            (ASSISTANT, [Thinking("t"), Text("a"), Call("c", "f", "{}"), Call("d", "f", "{}", group="g")]),
            (USER, [Result("d", (Text("D"),)), Result("c", (Text("C"), IMAGE))]),
            (USER, [Text("b")]),
        ],
        (),
    ),
    "arguments stay as they were": (
        [_call(arguments='{"a": 1.0,\n"a":2}'), _call(call_id="d", arguments="")],
        [(ASSISTANT, [Call("c", "f", '{"a": 1.0,\n"a":2}'), Call("d", "f", "")])],
        (),
    ),
    "our seal is opened": (
        [{"type": "reasoning", "summary": [], "encrypted_content": _sealed(Opaque.SIGNATURE)}],
        [(ASSISTANT, [Thinking("", Seal(Opaque.SIGNATURE, "v", MARK))])],
        (),
    ),
    "the seal of another home is left": (
        [{"type": "reasoning", "summary": [], "encrypted_content": _sealed(Opaque.PLAIN, home=Sealer(b"x"))}],
        [],
        ("thinking_of_another_model",),
    ),
    "the seal of a call goes to its call": (
        [
            _call(),
            {"type": "reasoning", "summary": [], "encrypted_content": SEALER.seal(OF_CALL)},
            {"type": "reasoning", "summary": [], "encrypted_content": SEALER.seal(OF_NO_CALL)},
            {"role": "user", "content": "a"},
            {"type": "reasoning", "summary": [], "encrypted_content": SEALER.seal(OF_NO_CALL)},
        ],
        [(ASSISTANT, [Call("c", "f", "{}", seal=OF_CALL)]), (USER, [Text("a")])],
        ("reasoning_not_returned",),
    ),
    "a search for tools that found none": (
        [
            {"type": "tool_search_call", "call_id": "c", "arguments": '{"a":1}'},
            {"type": "tool_search_output", "call_id": "c", "tools": []},
        ],
        [
            (ASSISTANT, [Call("c", "tool_search", '{"a":1}', ToolKind.SEARCH)]),
            (USER, [Result("c", (Text("No tools were found."),))]),
        ],
        (),
    ),
    "a search for tools by the provider": (
        [
            {"type": "tool_search_call", "execution": "server", "arguments": {"paths": ["crm"]}},
            {"type": "tool_search_output", "execution": "server", "tools": [FUNCTION]},
        ],
        [
            (
                ASSISTANT,
                [
                    Text('[tool_search_call: {"execution":"server","arguments":{"paths":["crm"]}}]'),
                    Text("Tools that can be called now: f"),
                ],
            )
        ],
        ("served_history",),
    ),
    "a message of an agent without content": (
        [{"type": "agent_message", "author": "/a", "recipient": "/b", "content": None}],
        [(USER, [Text("Message from /a to /b:")])],
        (),
    ),
    "what an agent wrote as a result": (
        [
            _call(),
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "encrypted_content", "encrypted_content": "12 lines"}],
            },
        ],
        [(ASSISTANT, [Call("c", "f", "{}")]), (USER, [Result("c", (Text("12 lines"),))])],
        (),
    ),
    "an image that a provider made": (
        [{"type": "image_generation_call", "id": "ig", "result": "aaaa", "revised_prompt": "a cat"},
         {"type": "image_generation_call", "id": "ig", "result": None}],
        [
            (ASSISTANT, [Text("[image_generation_call: a cat]")]),
            (USER, [Text("[the image that was generated]"), IMAGE]),
            (ASSISTANT, [Text("[image_generation_call: ]")]),
        ],
        ("served_history", "output_moved"),
    ),
    "members that are not known": (
        [_message("user", _text("a") | {"x": 1}) | {"phase": "x"}, _call(x=[]), _call(call_id="d", x=1)],
        [(USER, [Text("a")]), (ASSISTANT, [Call("c", "f", "{}"), Call("d", "f", "{}")])],
        ("unknown_member",),
    ),
}  # fmt: skip


@rows("case", ITEMS)
def test_items_of_an_input_become_turns(case: str) -> None:
    items, turns, losses = ITEMS[case]
    request, lost = understood(input=items)
    assert request.turns == tuple(Turn(role, tuple(parts)) for role, parts in turns)
    assert lost == losses


TOOLS: dict[str, tuple[dict[str, Any], list[Tool], tuple[str, ...]]] = {
    "a function": (
        {"tools": [FUNCTION | {"strict": True, "description": "F."}]},
        [Tool("f", description="F.", schema=SCHEMA, strict=Flag.ON)],
        (),
    ),
    "a function without parameters": (
        {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": None}]},
        [Tool("f")],
        (),
    ),
    "a free tool": (
        {"tools": [CUSTOM, CUSTOM | {"name": "b", "format": {"type": "text"}}]},
        [Tool("patch", FREE, description="Patch."), Tool("b", FREE, description="Patch.")],
        (),
    ),
    "a free tool with a grammar": (
        {"tools": [CUSTOM | {"format": {"type": "grammar", "syntax": "regex", "definition": "a+"}}]},
        [Tool("patch", FREE, description="Patch.", grammar="a+", syntax="regex")],
        (),
    ),
    "a namespace": (
        {"tools": [{"type": "namespace", "name": "g", "description": "G.", "tools": [FUNCTION, CUSTOM]}]},
        [
            Tool("f", group="g", description="(About all tools of g: G.)", schema=SCHEMA),
            Tool("patch", FREE, "g", "Patch."),
        ],
        ("namespace",),
    ),
    "more tools in the input": (
        {"tools": [FUNCTION],
         "input": [{"type": "additional_tools", "role": "developer", "tools": [CUSTOM]}]},
        [Tool("f", schema=SCHEMA), Tool("patch", FREE, description="Patch.")],
        (),
    ),
    "a later definition replaces an earlier one": (
        {"tools": [FUNCTION, CUSTOM],
         "input": [{"type": "additional_tools", "tools": [FUNCTION | {"strict": True}]}]},
        [Tool("f", schema=SCHEMA, strict=Flag.ON), Tool("patch", FREE, description="Patch.")],
        (),
    ),
    "tools that load later are offered where nobody finds them": (
        {"tools": [FUNCTION | {"defer_loading": True}, {"type": "tool_search"}]},
        [Tool("f", schema=SCHEMA), Tool("tool_search", SERVED, served="tool_search")],
        ("defer_loading",),
    ),
    "tools that load later are kept back while the caller can find them": (
        {"tools": [FUNCTION | {"defer_loading": True}, SEARCH]},
        [Tool("tool_search", ToolKind.SEARCH, description="Find.")],
        ("tool_search", "defer_loading"),
    ),
    "tools that were found or called are offered": (
        {
            "tools": [FUNCTION | {"defer_loading": True}, SEARCH],
            "input": [
                {"type": "tool_search_output", "call_id": "x", "tools": [CUSTOM | {"defer_loading": True}]},
                _call(),
            ],
        },
        [
            Tool("f", schema=SCHEMA),
            Tool("tool_search", ToolKind.SEARCH, description="Find."),
            Tool("patch", FREE, description="Patch."),
        ],
        ("tool_search",),
    ),
    "tools at a provider": (
        {"tools": [{"type": kind} for kind in ("web_search_preview_2025_03_11", "mcp", "code_interpreter")]},
        [Tool(kind, SERVED, served=kind) for kind in ("web_search", "mcp", "code_interpreter")],
        (),
    ),
    "a function called as a tool at a provider is": (
        {
            "tools": [FUNCTION | {"name": "web_search"}, {"type": "web_search"}],
            "tool_choice": {"type": "allowed_tools", "mode": "auto",
                            "tools": [{"type": "function", "name": "web_search"}]},
        },
        [Tool("web_search", schema=SCHEMA)],
        (),
    ),
    "only the tools that are allowed": (
        {
            "tools": [FUNCTION, CUSTOM, {"type": "web_search"},
                      {"type": "namespace", "name": "g", "tools": [FUNCTION, CUSTOM]}],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [
                {"type": "custom", "name": "patch", "namespace": "g"}, {"type": "web_search"},
                {"type": "function", "name": "f"}]},
        },
        [
            Tool("f", schema=SCHEMA),
            Tool("web_search", SERVED, served="web_search"),
            Tool("patch", FREE, "g", "Patch."),
        ],
        ("namespace",),
    ),
    "all tools of a namespace that is allowed": (
        {
            "tools": [CUSTOM, {"type": "namespace", "name": "g", "tools": [FUNCTION]}],
            "tool_choice": {"type": "allowed_tools", "mode": "auto",
                            "tools": [{"type": "namespace", "name": "g"}]},
        },
        [Tool("f", group="g", schema=SCHEMA)],
        ("namespace",),
    ),
}  # fmt: skip


@rows("case", TOOLS)
def test_tools_are_offered_wherever_they_are(case: str) -> None:
    members, tools, losses = TOOLS[case]
    request, lost = understood(**members)
    assert request.tools == tuple(tools)
    assert lost == losses


MEMBERS: list[tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = [
    ({"input": "hi"}, {"turns": (Turn(USER, (Text("hi"),)),)}, ()),
    (
        {"instructions": "be"},
        {"turns": (Turn(SYSTEM, (Text("be"),)), Turn(USER, (Text("hi"),)))},
        (),
    ),
    ({"tool_choice": "none"}, {"choice": Choice(Choose.NONE)}, ()),
    ({"tool_choice": "required"}, {"choice": Choice(Choose.ANY)}, ()),
    (
        {
            "tools": [FUNCTION, CUSTOM],
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [FUNCTION]},
        },
        {"tools": (Tool("f", schema=SCHEMA),), "choice": Choice(Choose.ANY)},
        (),
    ),
    (
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}},
        {"choice": Choice(Choose.ONE, "f")},
        (),
    ),
    (
        {
            "tools": [{"type": "namespace", "name": "g", "tools": [FUNCTION]}],
            "tool_choice": {"type": "function", "name": "f"},
        },
        {"choice": Choice(Choose.ONE, "f", "g")},
        ("namespace",),
    ),
    (
        {"max_output_tokens": 100, "temperature": 0.5, "top_p": 1},
        {"limits": Limits(max_output=100, temperature=0.5, top_p=1)},
        (),
    ),
    ({"reasoning": {"effort": "xhigh"}}, {"effort": Effort("xhigh")}, ()),
    ({"reasoning": {"summary": "none"}}, {"effort": Effort()}, ()),
    ({"reasoning": {"generate_summary": "concise"}}, {"effort": Effort(shown=True)}, ()),
    ({"text": {"format": {"type": "text"}}}, {"shape": None}, ()),
    ({"text": {"format": {"type": "json_object"}}}, {"shape": Shape()}, ()),
    (
        {"text": {"verbosity": "high", "format": {
            "type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True, "description": "d"}}},
        {"shape": Shape(SCHEMA, "n", Flag.ON, "d"), "verbosity": "high"},
        (),
    ),
    ({"service_tier": "flex", "prompt_cache_key": "k"}, {"tier": "flex", "cache_key": "k"}, ()),
    ({"stream": True, "stream_options": {"include_obfuscation": False}}, {"stream": True}, ()),
    ({"parallel_tool_calls": False}, {"parallel": Flag.OFF}, ()),
    ({"metadata": {"a": "b"}, "user": "u"}, {}, ("client_metadata", "user")),
    ({"safety_identifier": "u", "prompt_cache_retention": "24h"}, {}, ("user", "cache_control")),
    ({"max_tool_calls": 3}, {}, ("served_tools",)),
    ({"context_management": [{"type": "compaction"}]}, {}, ("context_management",)),
    ({"truncation": "auto"}, {}, ("context_management",)),
    ({"include": ["web_search_call.action.sources"]}, {}, ("unknown_member",)),
    ({"never_heard_of": 1}, {}, ("unknown_member",)),
    (
        {"store": False, "background": False, "previous_response_id": None, "prompt": None,
         "truncation": "disabled", "never_heard_of": None, "include": ["reasoning.encrypted_content"]},
        {},
        (),
    ),
]  # fmt: skip


@rows("index", range(len(MEMBERS)))
def test_members_of_a_request_are_understood(index: int) -> None:
    members, expected, losses = MEMBERS[index]
    request, lost = understood(**members)
    assert {name: getattr(request, name) for name in expected} == expected
    assert lost == losses


def _input(*items: Any) -> dict[str, Any]:
    return {"input": list(items)}


CODEX = "holdfast models --harness codex"
SHELL = "codex -c features.unified_exec=true"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"previous_response_id": "resp_1"}, "previous_response_id", CODEX),
    ({"conversation": "conv_1"}, "conversation", CODEX),
    ({"background": True}, "background", CODEX),
    ({"prompt": {"id": "pmpt_1"}}, "prompt", CODEX),
    ({"store": True}, "store", CODEX),
    ({"top_logprobs": 2}, "top_logprobs", CODEX),
    ({"moderation": {"model": "m"}}, "moderation", CODEX),
    ({"include": ["message.output_text.logprobs"]}, "include", CODEX),
    ({"input": None}, "input", ""),
    ({"model": None}, "model", ""),
    ({"truncation": "some"}, "truncation", ""),
    ({"max_output_tokens": 0}, "max_output_tokens", ""),
    ({"text": {"format": {"type": "grammar"}}}, "text.format.type", ""),
    ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema", ""),
    ({"tools": [{"type": "local_shell"}]}, "tools[0]", SHELL),
    ({"tools": [{"type": "shell"}]}, "tools[0]", SHELL),
    ({"tools": [{"type": "apply_patch"}]}, "tools[0]", CODEX),
    ({"tools": [{"type": "telepathy"}]}, "tools[0].type", CODEX),
    ({"tools": [{"type": "function", "name": ""}]}, "tools[0].name", ""),
    (
        {"tools": [{"type": "namespace", "name": "g", "tools": [{"type": "mcp"}]}]},
        "tools[0].tools[0].type",
        "",
    ),
    ({"tools": [CUSTOM | {"format": {"type": "poem"}}]}, "tools[0].format.type", ""),
    ({"tool_choice": "some"}, "tool_choice", ""),
    ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice", ""),
    ({"tool_choice": {"type": "web_search"}, "tools": [{"type": "web_search"}]}, "tool_choice", CODEX),
    (
        {"tool_choice": {"type": "allowed_tools", "mode": "some", "tools": []}},
        "tool_choice.mode",
        "",
    ),
    (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            }
        },
        "tool_choice.tools[0]",
        "",
    ),
    (_input({"type": "item_reference", "id": "msg_1"}), "input[0]", CODEX),
    (_input({"id": "msg_1"}), "input[0]", CODEX),
    (_input({"content": "x"}), "input[0].type", ""),
    (_input({"type": "compaction", "encrypted_content": "x"}), "input[0]", CODEX),
    (_input({"type": "compaction_trigger"}), "input[0]", CODEX),
    (_input({"type": "local_shell_call", "call_id": "c"}), "input[0]", SHELL),
    (_input({"type": "dream"}), "input[0].type", CODEX),
    (_input({"role": "tool", "content": "x"}), "input[0].role", ""),
    (_input({"role": "user", "content": None}), "input[0].content", ""),
    (_input({"role": "user", "content": [{"type": "input_audio"}]}), "input[0].content[0].type", ""),
    (_input({"role": "assistant", "content": [{"type": "input_image"}]}), "input[0].content[0].type", ""),
    (
        _input(_message("user", {"type": "input_image", "file_id": "file_1"})),
        "input[0].content[0].file_id",
        CODEX,
    ),
    (
        _input(_message("user", {"type": "input_file", "file_id": "file_1"})),
        "input[0].content[0].file_id",
        CODEX,
    ),
    (
        _input(_message("user", {"type": "input_image", "image_url": "data:image/png,x"})),
        "input[0].content[0].image_url",
        "",
    ),
    (
        _input(_message("user", {"type": "input_file", "file_data": "aaaa"})),
        "input[0].content[0].file_data",
        "",
    ),
    (_input(_call(call_id=None)), "input[0].call_id", ""),
    (_input(_call(arguments={})), "input[0].arguments", ""),
    (
        _input(
            {
                "type": "agent_message",
                "content": [{"type": "encrypted_content", "encrypted_content": "gAAAAABx"}],
            }
        ),
        "input[0].content[0]",
        CODEX,
    ),
    (
        _input({"type": "reasoning", "summary": [{"type": "poem", "text": "x"}]}),
        "input[0].summary[0].type",
        "",
    ),
]


@rows(("members", "path", "next_step"), REFUSED)
def test_what_cannot_be_carried_is_refused_with_its_path(
    members: dict[str, Any], path: str, next_step: str
) -> None:
    with pytest.raises(Untranslatable) as refused:
        understood(**members)
    assert refused.value.path == path
    assert refused.value.next_step.partition("   ")[0] == next_step


def test_a_search_with_deep_arguments_is_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Untranslatable, match="nested too deeply"):
        understood(input=[{"type": "tool_search_call", "call_id": "c", "arguments": deep}])
