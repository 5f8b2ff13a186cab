"""What is wrong with a stream of chat, by the vendor's published rules. Nothing of the product is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Wire = dict[str, Any]
_REASONS = ("stop", "length", "tool_calls", "content_filter")
_TEXTS = ("content", "refusal", "reasoning_content")
_KNOWN = {"role", "tool_calls", "reasoning_details", *_TEXTS}


def lint(chunks: Sequence[Wire]) -> tuple[list[str], str]:
    """Return what is wrong, and the end: "whole", "error", or "" for a stream without an end."""
    judge = _Judge()
    for chunk in chunks:
        judge.take(chunk)
    return judge.wrong, judge.end


class _Judge:
    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.end = ""
        self.head: tuple[Any, ...] | None = None
        self.calls: list[Wire] = []
        self.counted = False

    def say(self, what: str) -> None:
        self.wrong.append(what)

    def take(self, chunk: Wire) -> None:
        if self.end == "error" or self.counted:
            self.say("something follows the last chunk")
        if "error" in chunk:
            self.error(chunk)
            return
        first = self.head is None
        head = tuple(chunk.get(name) for name in ("id", "object", "created", "model"))
        if head[1] != "chat.completion.chunk" or not (head[0] and head[3]) or type(head[2]) is not int:
            self.say(f"a head like {head}")
        if self.head not in (None, head):
            self.say("the head changes")
        self.head = head
        if not chunk["choices"]:
            self.count(chunk)
            return
        (choice,) = chunk["choices"]
        if choice["index"] != 0 or choice["logprobs"] is not None:
            self.say("a choice that was not asked for")
        if self.end:
            self.say("a choice goes on after its end")
        if chunk.get("usage") is not None:
            self.say("usage beside content")
        self.delta(choice["delta"], first=first)
        if choice["finish_reason"] is not None:
            self.finish(choice)

    def error(self, chunk: Wire) -> None:
        if self.end:
            self.say("an error after the end")
        self.end = "error"
        error = chunk["error"]
        if set(chunk) != {"error"} or not all(isinstance(error[name], str) for name in ("message", "type")):
            self.say("an error that SDKs do not see")

    def count(self, chunk: Wire) -> None:
        self.counted = True
        usage = chunk["usage"]
        if self.end != "whole":
            self.say("usage before the end")
        if usage["total_tokens"] != usage["prompt_tokens"] + usage["completion_tokens"]:
            self.say("a total that is no sum")

    def delta(self, delta: Wire, *, first: bool) -> None:
        if ("role" in delta) != first or (first and delta["role"] != "assistant"):
            self.say("the role is not told once, at the start")
        if not first and not all(delta[name] for name in delta):
            self.say(f"an empty delta: {delta}")
        if not set(delta) <= _KNOWN:
            self.say(f"unknown members: {delta}")
        for call in delta.get("tool_calls", ()):
            self.call(call)

    def call(self, call: Wire) -> None:
        if call["index"] == len(self.calls):
            self.calls.append(call)
            kind = call["type"]
            if not (call["id"] and call[kind]["name"]) or kind not in ("function", "custom"):
                self.say(f"a call begins with {call}")
            return
        if not 0 <= call["index"] < len(self.calls):
            self.say("the index of a call leaves a gap")
            return
        kind = self.calls[call["index"]]["type"]
        member = {"function": "arguments", "custom": "input"}[kind]
        if set(call) != {"index", kind} or set(call[kind]) != {member} or not call[kind][member]:
            self.say(f"a call goes on with {call}")

    def finish(self, choice: Wire) -> None:
        self.end = "whole"
        reason = choice["finish_reason"]
        if reason not in _REASONS:
            self.say(f"ends for {reason}")
        if choice["delta"]:
            self.say("content in the last chunk")
        if (reason == "tool_calls") != bool(self.calls) and reason in ("tool_calls", "stop"):
            self.say(f"ends for {reason} with {len(self.calls)} calls")
