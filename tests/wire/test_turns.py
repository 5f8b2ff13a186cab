"""Where a turn begins and where it goes on, in each dialect."""

from __future__ import annotations

import json
from typing import Any

from holdfast.core.identity import Dialect
from holdfast.wire.turns import continues_turn
from tables import rows

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
USER: dict[str, Any] = {"role": "user", "content": "Where were we?"}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t1", "content": "3 files"}
REMINDER: dict[str, Any] = {"type": "text", "text": "<system-reminder>be brief</system-reminder>"}


@rows(
    ("dialect", "content", "continues"),
    [
        (CHAT, [USER], False),
        (
            CHAT,
            [
                USER,
                {"role": "assistant", "tool_calls": []},
                {"role": "tool", "tool_call_id": "t1", "content": "3 files"},
            ],
            True,
        ),
        (CHAT, [USER, {"role": "function", "name": "ls", "content": "3 files"}], True),
        (
            CHAT,
            [{"role": "tool", "content": "3 files"}, {"role": "assistant", "content": "Done."}, USER],
            False,
        ),
        (CHAT, [USER, {"role": "assistant", "content": "Once upon"}], False),
        (RESPONSES, [USER], False),
        (
            RESPONSES,
            [
                USER,
                {"type": "function_call"},
                {"type": "function_call_output", "call_id": "c1", "output": "3 files"},
            ],
            True,
        ),
        (RESPONSES, [USER, {"type": "local_shell_call_output"}], True),
        (
            RESPONSES,
            [{"type": "function_call_output"}, {"type": "message", "role": "user", "content": "And now?"}],
            False,
        ),
        (RESPONSES, "Where were we?", False),
        (MESSAGES, [USER], False),
        (MESSAGES, [USER, {"role": "assistant", "content": []}, {"role": "user", "content": [RESULT]}], True),
        (MESSAGES, [{"role": "user", "content": [RESULT, REMINDER]}], True),
        (
            MESSAGES,
            [{"role": "user", "content": [RESULT]}, {"role": "assistant", "content": "Done."}, USER],
            False,
        ),
        (MESSAGES, [{"role": "user", "content": [REMINDER, {"type": "text", "text": "And now?"}]}], False),
        (MESSAGES, [{"role": "user", "content": ["tool_result"]}], False),
        (CHAT, [], False),
        (CHAT, ["tool"], False),
        (CHAT, {"role": "tool"}, False),
    ],
)
def test_a_request_that_brings_a_tools_result_goes_on_with_a_turn(
    dialect: Dialect, content: Any, continues: bool
) -> None:
    where = "input" if dialect is RESPONSES else "messages"
    assert (
        continues_turn(dialect, json.dumps({"model": "m1", where: content, "tools": []}).encode())
        is continues
    )


@rows("dialect", list(Dialect))
@rows("body", [None, b"", b"no json", b"[1]", b"3", b"\xff\xfe", b'{"messages": ' + b"[" * 100_000, b"{}"])
def test_an_unreadable_body_continues_no_turn(dialect: Dialect, body: bytes | None) -> None:
    assert not continues_turn(dialect, body)
