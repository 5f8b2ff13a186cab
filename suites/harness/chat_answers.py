"""Streams of a provider whose model thinks, and calls the tools of a program: of chat, and of Messages."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from holdfast.fake_provider import Behaviour, status

_numbers = itertools.count(1)
QUOTA = status(429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
FULL = status(
    400,
    {
        "error": {
            "message": "This model's maximum context length is 150000 tokens. However, your messages "
            "resulted in 160000 tokens.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    },
)

Tool = tuple[str, dict[str, Any]]
_SHELLS = {
    "claude": "Bash",
    "kimi": "Bash",
    "pi": "bash",
    "opencode": "bash",
    "copilot": "bash",
    "hermes": "terminal",
}


def shell(program: str, command: str) -> Tool:
    """A call of the program's tool that runs a command."""
    if program == "codex":
        return "exec_command", {"cmd": command}
    if program in ("pi", "kimi", "hermes"):
        return _SHELLS[program], {"command": command}
    return _SHELLS[program], {"command": command, "description": "Run it"}


def answer(
    *calls: Tool,
    text: str = "",
    thought: str = "",
    whole: bool = True,
    finish: str = "",
    model: str = "good-model",
) -> Behaviour:
    """A streamed answer with these calls; without its last pieces where it is not `whole`."""
    number = next(_numbers)
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in _pieces(thought)]
    deltas += [{"content": piece} for piece in _pieces(text)]
    for index, (name, arguments) in enumerate(calls):
        head = {"index": index, "id": f"call_{number}_{index}", "type": "function"}
        deltas.append({"tool_calls": [head | {"function": {"name": name, "arguments": ""}}]})
        for piece in _pieces(json.dumps(arguments)):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    common = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1, "model": model}
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    finish = finish or ("tool_calls" if calls else "stop")
    ends = [
        common | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        common | {"choices": [], "usage": usage},
    ]
    chunks = [common | {"choices": each} for each in choices]
    lines = [json.dumps(chunk) for chunk in ([*chunks, *ends] if whole else chunks[:-1])]
    if whole:
        lines.append("[DONE]")
    body = "".join(f"data: {line}\n\n" for line in lines).encode()
    return status(200, body, {"content-type": "text/event-stream"})


def messages_answer(*calls: Tool, text: str = "", model: str = "other-model") -> Behaviour:
    """A streamed answer of Messages with these calls."""
    number = next(_numbers)
    blocks: list[tuple[dict[str, Any], dict[str, Any]]] = []
    if text:
        blocks.append(({"type": "text", "text": ""}, {"type": "text_delta", "text": text}))
    for index, (name, arguments) in enumerate(calls):
        block = {"type": "tool_use", "id": f"toolu_{number}_{index}", "name": name, "input": {}}
        blocks.append((block, {"type": "input_json_delta", "partial_json": json.dumps(arguments)}))
    message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model, "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, (block, delta) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    reason = "tool_use" if calls else "end_turn"
    end = {"stop_reason": reason, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 20}})
    events.append({"type": "message_stop"})
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
    return status(200, body, {"content-type": "text/event-stream"})


def _pieces(text: str) -> Iterator[str]:
    half = len(text) // 2
    return filter(None, (text[:half], text[half:]))
