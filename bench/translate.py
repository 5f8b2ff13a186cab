"""The costs of a translation, without any I/O, from bytes to bytes: the request of a coding agent with its
tools and a long history, and a chunk of a stream."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.exchange import CallerRequest, Destination
from holdfast.wire.json_codec import loads
from holdfast.wire.translated import TranslatedRequest

from .measure import Figure, figure, in_turn

_CHAT, _RESPONSES, _MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
_SEALER = Sealer(b"bench")
_WORDS = "a parameter that says what is to be done "
_SCHEMA = {
    "type": "object",
    "properties": {f"p{number}": {"type": "string", "description": _WORDS * 2} for number in range(8)},
    "required": ["p0"],
}


def _responses() -> dict[str, Any]:
    """Return a request like one of Codex after 61 calls."""
    items: list[dict[str, Any]] = [{"role": "developer", "content": "Keep to the rules. " * 150}]
    items.append({"role": "user", "content": "Mend it."})
    for number in range(61):
        call, output = f"call_{number:024d}", "a line of the output\n" * 10
        summary = [{"type": "summary_text", "text": "I look at the file. " * 4}]
        arguments = json.dumps({"cmd": ["sed", "-n", "1,200p", "file.py"], "workdir": "/repo"})
        items.append({"type": "reasoning", "id": f"rs_{number}", "summary": summary})
        items.append(
            {"type": "function_call", "call_id": call, "name": f"tool_{number % 12}", "arguments": arguments}
        )
        items.append({"type": "function_call_output", "call_id": call, "output": output})
    tools = [
        {"type": "function", "name": f"tool_{number}", "description": _WORDS * 10, "parameters": _SCHEMA}
        for number in range(12)
    ]
    asked = {"instructions": "You mend programs. " * 300, "reasoning": {"effort": "medium"}, "stream": True}
    return {"model": "bench-1", "input": items, "tools": tools, **asked}


def _messages() -> dict[str, Any]:
    """Return a request like one of Claude Code after 20 calls."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "context " * 1_500}]
    for number in range(20):
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": f"tool_{number}", "input": {"p0": "a"}}
        output = "a line of the output\n" * 12
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": output}
        messages.append({"role": "assistant", "content": [{"type": "text", "text": "I look."}, use]})
        messages.append({"role": "user", "content": [result]})
    tools = [
        {"name": f"tool_{number}", "description": _WORDS * 40, "input_schema": _SCHEMA}
        for number in range(24)
    ]
    return {"model": "bench-1", "max_tokens": 32_000, "messages": messages, "tools": tools, "stream": True}


def _translated(caller: Dialect, body: dict[str, Any], endpoint: Dialect) -> TranslatedRequest:
    request = CallerRequest(caller, body, _SEALER, seed="bench", now=0.0)
    destination = Destination(endpoint, "https://bench.example", "bench-1", Caps(max_output=32_000))
    return TranslatedRequest(request.to(destination), "bench-1")


def _request(caller: Dialect, body: dict[str, Any], endpoint: Dialect) -> Callable[[int], None]:
    given = json.dumps(body, separators=(",", ":")).encode()

    def work(count: int) -> None:
        for _ in range(count):
            _translated(caller, loads(given), endpoint)

    return work


def _chunks(caller: Dialect, body: dict[str, Any]) -> Callable[[int], None]:
    choice = {"index": 0, "delta": {"content": "word "}, "logprobs": None, "finish_reason": None}
    document = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    chunk = b"data: %b\n\n" % json.dumps(document, separators=(",", ":")).encode()

    def work(count: int) -> None:
        rewriter = _translated(caller, body, _CHAT).rewriter(None, b"")
        for _ in range(count):
            rewriter.feed(chunk)

    return work


def figures(rounds: int) -> list[Figure]:
    """Measure all of them, in microseconds."""
    codex, claude = _responses(), _messages()
    requests = {
        "codex": _request(_RESPONSES, codex, _CHAT),
        "codex, messages": _request(_RESPONSES, codex, _MESSAGES),
        "claude": _request(_MESSAGES, claude, _CHAT),
    }
    samples = in_turn(requests, 50, rounds)
    samples |= in_turn(
        {"responses": _chunks(_RESPONSES, codex), "messages": _chunks(_MESSAGES, claude)}, 5_000, rounds
    )
    sizes = {name: len(json.dumps(body)) // 1_000 for name, body in (("codex", codex), ("claude", claude))}
    asked = f"a request of Codex, 185 items, {sizes['codex']} KB, in"
    return [
        figure("translate", f"{asked} chat", samples["codex"], budget=1_500.0),
        figure("translate", f"{asked} Messages", samples["codex, messages"], budget=1_500.0),
        figure(
            "translate",
            f"a request of Claude Code, 24 tools, {sizes['claude']} KB, in chat",
            samples["claude"],
            budget=1_500.0,
        ),
        figure("translate", "a chunk of chat for Responses", samples["responses"], budget=15.0),
        figure("translate", "a chunk of chat for Messages", samples["messages"], budget=15.0),
    ]
