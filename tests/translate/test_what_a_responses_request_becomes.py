"""A request of Responses without its dialect: what Codex sends, and each kind of item and of tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast.translate.envelope import Sealer
from holdfast.translate.form import (
    Call,
    Choice,
    Choose,
    Effort,
    Flag,
    Image,
    Opaque,
    Request,
    Result,
    Role,
    Seal,
    Text,
    Thinking,
    ToolKind,
    Turn,
)
from holdfast.translate.losses import Losses
from holdfast.translate.read_responses import read

CODEX = Path(__file__).parents[1] / "data" / "translate" / "codex-request.json"
SEALER = Sealer(b"secret")
SYSTEM, USER, ASSISTANT = Role.SYSTEM, Role.USER, Role.ASSISTANT
FUNCTION, FREE, SEARCH = ToolKind.FUNCTION, ToolKind.FREE, ToolKind.SEARCH


def _read(**members: Any) -> tuple[Request, tuple[str, ...]]:
    losses = Losses()
    return read({"model": "m", "input": "hi"} | members, SEALER, losses), losses.names


def test_all_that_codex_sends_is_understood() -> None:
    losses = Losses()
    request = read(json.loads(CODEX.read_text()), SEALER, losses)
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
        Turn(ASSISTANT, (Call("call_4", "tool_search", '{"query":"calendar"}', SEARCH),)),
        Turn(
            USER,
            (Result("call_4", (Text("Tools that can be called now: mcp__calendar__create_event"),)),),
        ),
        Turn(ASSISTANT, (Text('[web_search_call: {"action":{"type":"search","query":"svg title"}}]'),)),
        Turn(USER, (Text("Go on."),)),
    )
    assert [(tool.group, tool.name, tool.kind) for tool in request.tools] == [
        ("", "exec_command", FUNCTION),
        ("", "apply_patch", FREE),
        ("", "tool_search", SEARCH),
        ("", "web_search", ToolKind.SERVED),
        ("collaboration", "spawn_agent", FUNCTION),
        ("collaboration", "wait", FUNCTION),
        ("mcp__calendar", "create_event", FUNCTION),
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
