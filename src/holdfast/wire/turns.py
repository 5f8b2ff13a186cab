"""Whether a request goes on with a turn that an earlier one began: it brings what the model's tools returned.
Asked only when a session may leave the rung that stands in for its choice, since to look means to read the
whole body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..core.identity import Dialect

_TOOL_ROLES = ("tool", "function")


def continues_turn(dialect: Dialect, body: bytes | None) -> bool:
    """Whether the last thing that a body says is a tool's result. A body that nobody can read continues
    nothing."""
    if not body:
        return False
    where, brings_result = _LAST[dialect]
    try:
        said = json.loads(body).get(where)
        return (
            isinstance(said, list) and bool(said) and isinstance(said[-1], dict) and brings_result(said[-1])
        )
    except (ValueError, AttributeError, RecursionError):
        return False


def _chat(message: dict[str, Any]) -> bool:
    return message.get("role") in _TOOL_ROLES


def _responses(item: dict[str, Any]) -> bool:
    """`function_call_output`, and what the tools of OpenAI's own kinds return: `local_shell_call_output`,
    `computer_call_output`, …"""
    return str(item.get("type")).endswith("_call_output")


def _messages(message: dict[str, Any]) -> bool:
    """A user's message with a result in it, also where reminders follow the result, as Claude Code sends
    them."""
    content = message.get("content")
    return (
        message.get("role") == "user"
        and isinstance(content, list)
        and any(isinstance(one, dict) and one.get("type") == "tool_result" for one in content)
    )


_LAST: dict[Dialect, tuple[str, Callable[[dict[str, Any]], bool]]] = {
    Dialect.OPENAI_CHAT: ("messages", _chat),
    Dialect.OPENAI_RESPONSES: ("input", _responses),
    Dialect.ANTHROPIC_MESSAGES: ("messages", _messages),
}
