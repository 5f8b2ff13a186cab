"""Recognises a request that continues a turn: it brings what the model's tools returned.

Asked only when a session may go back from a fallback to its pin, since the whole body has to be parsed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..core.identity import Dialect

_TOOL_ROLES = ("tool", "function")


def continues_turn(dialect: Dialect, body: bytes | None) -> bool:
    """Return whether the last item of a body is a tool's result. A body that cannot be parsed continues
    nothing."""
    if not body:
        return False
    member, is_tool_result = _LAST[dialect]
    try:
        items = json.loads(body).get(member)
        if not isinstance(items, list) or not items:
            return False
        last = items[-1]
        return isinstance(last, dict) and is_tool_result(last)
    except (ValueError, AttributeError, RecursionError):
        return False


def _chat(message: dict[str, Any]) -> bool:
    return message.get("role") in _TOOL_ROLES


def _responses(item: dict[str, Any]) -> bool:
    """Recognise `function_call_output`, and the outputs of OpenAI's own kinds of tools:
    `local_shell_call_output`, `computer_call_output`, …"""
    return str(item.get("type")).endswith("_call_output")


def _messages(message: dict[str, Any]) -> bool:
    """Recognise a user's message with a result in it, also where reminders follow the result, as Claude Code
    sends them."""
    content = message.get("content")
    if message.get("role") != "user" or not isinstance(content, list):
        return False
    return any(isinstance(block, dict) and block.get("type") == "tool_result" for block in content)


_LAST: dict[Dialect, tuple[str, Callable[[dict[str, Any]], bool]]] = {
    Dialect.OPENAI_CHAT: ("messages", _chat),
    Dialect.OPENAI_RESPONSES: ("input", _responses),
    Dialect.ANTHROPIC_MESSAGES: ("messages", _messages),
}
"""By dialect: the member of a body that holds its messages, and the test for its last one."""
