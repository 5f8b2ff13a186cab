"""Writes an answer for a caller that speaks chat: as a stream of chunks, or whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .chat_answer import (
    FINISHES,
    MEMBERS,
    base_of,
    call_of,
    detail_of,
    error_of,
    failed,
    message_of,
    note_of,
    tool_of,
    usage_of,
    with_call,
)
from .context import Caller
from .events import (
    NO_USAGE,
    Answer,
    BrokenOff,
    Close,
    Delta,
    End,
    Event,
    Open,
    Sealed,
    Start,
    Stopped,
    UsageSeen,
    Why,
)
from .form import FREE, Call, Refusal, Seal
from .free_text import FreeText


class _Slot:
    """A part that is open. `member` is that of a delta, "" for a call, which has an `index` among the calls;
    `free` takes the text of a free tool out of arguments."""

    __slots__ = ("custom", "free", "index", "length", "member", "seal")

    def __init__(self, member: str, index: int = 0) -> None:
        self.member, self.index = member, index
        self.custom = False
        self.free: FreeText | None = None
        self.seal: Seal | None = None
        self.length = 0


class ChatWriter:
    """Writes one answer. What only the model can read goes into `reasoning_details`, sealed: behind the call
    that follows the thought, with the call's id, or else at the end. Its `length` says how many characters of
    `reasoning_content` are the thought's."""

    __slots__ = (
        *("_base", "_calls", "_caller", "_over", "_refused", "_seals", "_slots", "_started", "_thoughts"),
        "_usage",
    )

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._slots: dict[int, _Slot] = {}
        self._seals: list[dict[str, Any]] = []
        self._calls = self._thoughts = 0
        self._started = self._refused = self._over = False
        self._usage = NO_USAGE
        self._base = base_of(caller, Start("", ""), "chat.completion.chunk")
        if caller.request.usage_asked:
            self._base["usage"] = None

    def feed(self, event: Event) -> list[dict[str, Any]]:
        """Return the chunks for an event. After an error there are none."""
        if self._over:
            return []
        return self._WRITES[type(event)](self, event)

    def waiting(self) -> list[dict[str, Any]]:
        """Return a chunk without content, once the answer has begun."""
        if self._over or not self._started:
            return []
        return [self._chunk({})]

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return a whole answer; an error for one that has no good end."""
        stop = answer.stop
        if answer.broken is not None:
            return error_of(answer.broken)
        if stop is None or stop.why is Why.FAILED or not answer.ended:
            return error_of(failed(stop))
        start = Start(answer.id, answer.model, answer.created)
        choice = {
            "index": 0,
            "message": message_of(answer, self._caller),
            "logprobs": None,
            "finish_reason": FINISHES[stop.why],
        }
        whole = {**base_of(self._caller, start, "chat.completion"), "choices": [choice]}
        usage = usage_of(answer.usage, self._caller)
        if usage is not None:
            whole["usage"] = usage
        return whole | note_of(stop)

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._base, "choices": [choice]}

    def _start(self, event: Start) -> list[dict[str, Any]]:
        self._started = True
        self._base |= base_of(self._caller, event, "chat.completion.chunk")
        return [self._chunk({"role": "assistant", "content": None})]

    def _open(self, event: Open) -> list[dict[str, Any]]:
        part = event.part
        if isinstance(part, Call):
            return self._open_call(event.slot, part)
        self._slots[event.slot] = _Slot(MEMBERS[type(part)])
        self._refused = self._refused or isinstance(part, Refusal)
        return []

    def _open_call(self, number: int, call: Call) -> list[dict[str, Any]]:
        slot = self._slots[number] = _Slot("", self._calls)
        self._calls += 1
        name, slot.custom = tool_of(call, self._caller)
        if slot.custom and call.kind is not FREE:
            slot.free = FreeText()
        opened = {"index": slot.index, **call_of(call.id, name, "", custom=slot.custom)}
        return [self._chunk({"tool_calls": [opened]}), *self._sealed_thoughts(call.id)]

    def _delta(self, event: Delta) -> list[dict[str, Any]]:
        slot, text = self._slots[event.slot], event.text
        if slot.member:
            slot.length += len(text)
            return [self._chunk({slot.member: text})]
        if slot.free is not None:
            text = slot.free.feed(text)
        return self._more(slot, text)

    def _more(self, slot: _Slot, text: str) -> list[dict[str, Any]]:
        """Return the next piece of what a tool is called with."""
        if not text:
            return []
        if slot.custom:
            return [self._chunk({"tool_calls": [{"index": slot.index, "custom": {"input": text}}]})]
        return [self._chunk({"tool_calls": [{"index": slot.index, "function": {"arguments": text}}]})]

    def _sealed(self, event: Sealed) -> list[dict[str, Any]]:
        self._slots[event.slot].seal = event.seal
        return []

    def _close(self, event: Close) -> list[dict[str, Any]]:
        slot = self._slots.pop(event.slot)
        if slot.free is not None:
            return self._more(slot, slot.free.end())
        if slot.seal is not None and slot.member:
            detail = detail_of(self._caller, slot.seal, self._thoughts, slot.length)
            self._seals.append(detail)
            self._thoughts += 1
        return []

    def _sealed_thoughts(self, call: str = "") -> list[dict[str, Any]]:
        if not self._seals:
            return []
        details, self._seals = with_call(self._seals, call), []
        return [self._chunk({"reasoning_details": details})]

    def _usage_seen(self, event: UsageSeen) -> list[dict[str, Any]]:
        self._usage = event.usage
        return []

    def _stopped(self, event: Stopped) -> list[dict[str, Any]]:
        stop = event.stop
        if stop.why is Why.FAILED:
            return self._broken(failed(stop))
        chunks = self._sealed_thoughts()
        if stop.why is Why.REFUSED and stop.text and not self._refused:
            chunks.append(self._chunk({"refusal": stop.text}))
        return [*chunks, self._chunk({}, FINISHES[stop.why]) | note_of(stop)]

    def _end(self, _event: End) -> list[dict[str, Any]]:
        self._over = True
        if not self._caller.request.usage_asked:
            return []
        usage = usage_of(self._usage, self._caller)
        if usage is None:
            return []
        return [{**self._base, "choices": [], "usage": usage}]

    def _broken(self, event: BrokenOff) -> list[dict[str, Any]]:
        self._over = True
        return [error_of(event)]

    _WRITES: ClassVar[dict[type, Callable[..., list[dict[str, Any]]]]] = {
        Start: _start,
        Open: _open,
        Delta: _delta,
        Sealed: _sealed,
        Close: _close,
        UsageSeen: _usage_seen,
        Stopped: _stopped,
        End: _end,
        BrokenOff: _broken,
    }
