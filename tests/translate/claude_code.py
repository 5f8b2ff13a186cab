"""A request as Claude Code 2.1 sends it in the middle of its work, made from what it was seen to send."""

from __future__ import annotations

from typing import Any

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CACHED = {"type": "ephemeral"}
TOOLS = """
    Agent AskUserQuestion Bash BashOutput CronCreate CronDelete CronList Edit EnterPlanMode ExitPlanMode Glob
    Grep KillShell NotebookEdit Read SendMessage Skill TaskCreate TaskList TaskUpdate TodoWrite ToolSearch
    WebFetch Write
""".split()


def text(words: str, **members: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **members}


def tool(name: str, **members: Any) -> dict[str, Any]:
    """Return a tool with a description as long as Claude Code's are on the average."""
    properties = {
        "path": {"type": "string", "description": "The absolute path. " * 8},
        "limit": {"type": "number", "description": "At most so many. " * 8},
        "mode": {"type": "string", "enum": ["fast", "slow"], "description": "How to do it. " * 8},
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": ["path"],
        "additionalProperties": False,
    }
    described = f"Use {name} when it helps. " * 80
    return {"name": name, "description": described, "input_schema": schema, **members}


def call(number: int, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{number:020}", "name": name, "input": arguments}


def result(number: int, content: Any = None, **members: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number:020}", "content": content, **members}


def claude_code_request() -> dict[str, Any]:
    """Return a request of about 78 KB with 24 tools."""
    deferred = tool("mcp__jira__search", defer_loading=True)
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    messages = [
        {
            "role": "user",
            "content": [
                text("<system-reminder>\nToday is Monday.\n</system-reminder>"),
                text("Look at the two files, then search the tickets.", cache_control=CACHED),
            ],
        },
        {"role": "system", "content": "The user opened the file a.py."},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Two files.", "signature": "EqQBCgIYAg=="},
                text("I read both."),
                call(1, "Read", path="/a.py"),
                {**call(2, "Read", path="/b.png"), "caller": {"type": "direct"}},
            ],
        },
        {
            "role": "user",
            "content": [
                result(2, [text("a picture"), picture]),
                result(1, "File does not exist.", is_error=True),
                text("And hurry."),
            ],
        },
        {"role": "system", "content": [text("Two tool calls are left.")], "clear_at": "next_user_message"},
        {"role": "assistant", "content": [call(3, "ToolSearch", query="tickets")]},
        {
            "role": "user",
            "content": [result(3, [{"type": "tool_reference", "tool_name": "mcp__jira__search"}])],
        },
        {"role": "system", "content": "One tool call is left."},
    ]
    placeholder = {"name": "DeferredToolPlaceholder", "description": "-", "input_schema": {"type": "object"}}
    return {
        "model": "claude-opus-5-5",
        "max_tokens": 32000,
        "messages": messages,
        "system": [
            text("x-anthropic-billing-header: cc_version=2.1.332; cc_entrypoint=cli; cch=0a1b2;"),
            text("You are Claude Code.", cache_control=CACHED),
            text("Be careful with the user's files. " * 300, cache_control={**CACHED, "ttl": "1h"}),
        ],
        "tools": [*map(tool, TOOLS), deferred, tool("mcp__jira__delete", defer_loading=True), placeholder],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "metadata": {"user_id": "user_0_account__session_1"},
        "stream": True,
    }
