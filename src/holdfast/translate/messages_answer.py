"""The parts of an answer in the Messages dialect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .arguments import object_of
from .caller_errors import messages_type, messages_words
from .context import Caller
from .events import BrokenOff, Stop, Usage, Why
from .form import Call, Opaque, Part, Refusal, Seal, Text, Thinking
from .losses import Losses
from .names import call_id, made_id

Wire = dict[str, Any]
REASONS = {
    Why.DONE: "end_turn",
    Why.TOOLS: "tool_use",
    Why.LENGTH: "max_tokens",
    Why.STOP_SEQUENCE: "stop_sequence",
    Why.REFUSED: "refusal",
    Why.CONTEXT: "model_context_window_exceeded",
}
_CUT_OFF = (Why.LENGTH, Why.CONTEXT, Why.REFUSED)
_NOT_STOPPED: Wire = {"container": None, "stop_reason": None, "stop_sequence": None, "stop_details": None}
_NOT_TOLD: Wire = {"cache_creation": None, "inference_geo": None, "service_tier": None}
"""What the dialect tells of a message's usage, and no other dialect does."""


class Blocks:
    """Writes blocks, messages and their ends for one caller."""

    __slots__ = ("_caller", "_used")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        parts = (part for turn in caller.request.turns for part in turn.parts)
        self._used = frozenset(part.id for part in parts if isinstance(part, Call))

    def block_of(self, part: Part, stop: Stop) -> list[Wire]:
        """Return a part of a whole answer as blocks."""
        seal = getattr(part, "seal", None)
        if isinstance(part, Text | Refusal) and part.text:
            return [text_block(part.text)]
        if isinstance(part, Thinking) and part.text:
            return [{"type": "thinking", "thinking": part.text, "signature": self.signature(seal)}]
        hidden: list[Wire] = []
        if seal is not None and seal.kind is not Opaque.PLAIN:
            hidden = [{"type": "redacted_thinking", "data": self.seal(part, seal)}]
        if not isinstance(part, Call):
            return hidden
        given = object_of(part.args or "{}")
        if given is not None:
            return [*hidden, self.tool_use(part, given)]
        if stop.why not in _CUT_OFF:
            name = self.tool_use(part, {})["name"]
            self._caller.losses.refuse(
                "", f"the arguments of the model's call of '{name}' are no JSON object"
            )
        return hidden

    def tool_use(self, call: Call, given: Wire) -> Wire:
        tool = self._caller.names.tool(call.name)
        name = call.name
        if tool is None:
            self._caller.losses.note("unknown_tool")
        else:
            name = tool.name
        made = {"type": "tool_use", "id": self._call_id(call), "name": name, "input": given}
        return made | {"caller": {"type": "direct"}}

    def _call_id(self, call: Call) -> str:
        """Return the id of a call, another than those of the history: Claude Code drops a call whose id it
        has seen, and its result."""
        name = call_id(call.id)
        if name in self._used:
            return call_id(name, salt=self._caller.seed)
        return name

    def seal(self, part: Part, seal: Seal) -> str:
        if isinstance(part, Call):
            seal = replace(seal, item=self._call_id(part))
        return self._caller.sealer.seal(seal)

    def signature(self, seal: Seal | None) -> str:
        return self._caller.sealer.seal(seal or Seal(Opaque.PLAIN, mark=self._caller.mark))

    def message(self, given: str, model: str, usage: Usage) -> Wire:
        # Some endpoints give an id twice, and Claude Code makes a single turn of messages with the same id.
        name = f"msg_{made_id('', self._caller.seed)}"
        if given:
            name = f"msg_{given.removeprefix('msg_')}_{self._caller.seed}"
        return {
            "id": name,
            "type": "message",
            "role": "assistant",
            "model": model or self._caller.request.model,
            "content": [],
            **_NOT_STOPPED,
            "usage": _NOT_TOLD | usage_of(usage, None),
        }

    def stopped_by(self, stop: Stop) -> Wire:
        stopped = _NOT_STOPPED | {"stop_reason": REASONS[stop.why]}
        if stop.why is Why.STOP_SEQUENCE:
            stopped["stop_sequence"] = stop.text
        elif stop.why is Why.REFUSED:
            details = {"type": "refusal", "category": None, "explanation": stop.text or None}
            stopped["stop_details"] = details
        return stopped


def text_block(text: str) -> Wire:
    """Return a block of text."""
    return {"type": "text", "text": text, "citations": None}


def error_of(broken: BrokenOff) -> Wire:
    """Return the error by which the caller learns that its answer broke off."""
    error = {"type": messages_type(broken.kind), "message": messages_words(broken)}
    return {"type": "error", "error": error}


def usage_of(usage: Usage, losses: Losses | None) -> Wire:
    """Return the counts: in Messages, those of the input do not include what a cache read or wrote. Zero is
    what is written for a count that is not known."""
    read, written = usage.cache_read or 0, usage.cache_write or 0
    fresh = (usage.input or 0) - read - written
    if losses is not None and (usage.input is None or usage.output is None or fresh < 0):
        losses.note("usage")
    counts: Wire = {
        "input_tokens": max(fresh, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.output or 0,
        "output_tokens_details": None,
        "server_tool_use": None,
    }
    if usage.thinking is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.thinking}
    return counts


def failed(stop: Stop | None) -> BrokenOff:
    """Return the end of an answer that stopped for no reason that can be told."""
    reason = ""
    if stop is not None:
        reason = f": {stop.text}"
    return BrokenOff(f"the provider's answer has no proper end{reason}")
