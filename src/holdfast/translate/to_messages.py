"""Writes answers for callers of the Messages dialect, whole ones and streams."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

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
    Stop,
    Stopped,
    UsageSeen,
    Why,
)
from .form import Call, Opaque, Part, Refusal, Seal, Text, Thinking
from .messages_answer import Blocks, Wire, error_of, failed, text_block, usage_of

_DELTAS: dict[type[Part], tuple[str, str]] = {
    Text: ("text_delta", "text"),
    Refusal: ("text_delta", "text"),
    Thinking: ("thinking_delta", "thinking"),
    Call: ("input_json_delta", "partial_json"),
}


@dataclass(slots=True)
class _Block:
    part: Part
    seal: Seal | None = None
    waiting: list[str] = field(default_factory=list)
    begun: bool = False
    closed: bool = False


class MessagesWriter:
    """Writes one answer, with exactly one block open at a time.

    The first open part streams; what comes for the others waits until it is closed. A block begins with its
    first text, so that there are no empty ones; a call begins at once.
    """

    __slots__ = (
        "_blocks",
        "_caller",
        "_delta_of",
        "_index",
        "_live",
        "_make",
        "_over",
        "_queue",
        "_started",
        "_stop",
        "_usage",
    )

    def __init__(self, caller: Caller) -> None:
        self._caller, self._make = caller, Blocks(caller)
        self._blocks: dict[int, _Block] = {}
        self._queue: deque[int] = deque()
        self._index = -1
        self._live: int | None = None
        self._delta_of = ("", "")
        self._started = self._over = False
        self._stop: Stop | None = None
        self._usage = NO_USAGE

    def feed(self, event: Event) -> list[Wire]:
        """Return the caller's events for one of ours."""
        if self._over:
            return []
        return self._TAKE[type(event)](self, event)

    def waiting(self) -> list[Wire]:
        """Return an event that says that the answer goes on."""
        return [{"type": "ping"}]

    def whole(self, answer: Answer) -> Wire:
        """Return a whole answer, or the error by which it broke off. Raises Untranslatable if the arguments
        of a call are no JSON object."""
        if answer.broken is not None:
            return error_of(answer.broken)
        if answer.stop is None or answer.stop.why is Why.FAILED:
            return error_of(failed(answer.stop))
        content: list[Wire] = []
        for part in answer.parts:
            content += self._make.block_of(part, answer.stop)
        message = self._make.message(answer.id, answer.model, answer.usage)
        usage = message["usage"] | usage_of(answer.usage, self._caller.losses)
        return {**message, "content": content, "usage": usage, **self._make.stopped_by(answer.stop)}

    def _start(self, event: Start) -> list[Wire]:
        self._started = True
        message = self._make.message(event.id, event.model, self._usage)
        return [{"type": "message_start", "message": message}]

    def _open(self, event: Open) -> list[Wire]:
        seal = getattr(event.part, "seal", None)
        self._blocks[event.slot] = _Block(event.part, seal)
        self._queue.append(event.slot)
        return self._pump()

    def _delta(self, event: Delta) -> list[Wire]:
        slot, text = event
        if slot == self._live:
            kind, member = self._delta_of
            delta = {"type": kind, member: text}
            return [{"type": "content_block_delta", "index": self._index, "delta": delta}]
        self._blocks[slot].waiting.append(text)
        if self._queue[0] == slot:
            return self._pump()
        return []

    def _sealed(self, event: Sealed) -> list[Wire]:
        self._blocks[event.slot].seal = event.seal
        return []

    def _close(self, event: Close) -> list[Wire]:
        self._blocks[event.slot].closed = True
        if self._queue[0] == event.slot:
            return self._pump()
        return []

    def _usage_seen(self, event: UsageSeen) -> list[Wire]:
        self._usage = event.usage
        return []

    def _stopped(self, event: Stopped) -> list[Wire]:
        self._stop = event.stop
        for slot in self._queue:
            self._blocks[slot].closed = True
        return self._pump()

    def _end(self, _event: End) -> list[Wire]:
        self._over = True
        if self._stop is None or self._stop.why is Why.FAILED:
            return [error_of(failed(self._stop))]
        usage = usage_of(self._usage, self._caller.losses)
        delta = {"type": "message_delta", "delta": self._make.stopped_by(self._stop), "usage": usage}
        return [delta, {"type": "message_stop"}]

    def _broken(self, event: BrokenOff) -> list[Wire]:
        self._over = True
        lost = sum(bool(self._blocks[slot].waiting) for slot in self._queue)
        if lost:
            text = f"{event.text} (parts of the answer that were held back and are lost: {lost})"
            event = event._replace(text=text)
        return [error_of(event)]

    _TAKE: ClassVar[dict[type[Event], Callable[..., list[Wire]]]] = {
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

    def _pump(self) -> list[Wire]:
        """Write what can be written of the parts that wait, in their order."""
        out: list[Wire] = []
        while self._queue:
            slot = self._queue[0]
            block = self._blocks[slot]
            if not block.begun and (block.waiting or isinstance(block.part, Call)):
                self._begin(slot, block, out)
            if block.waiting:
                text = "".join(block.waiting)
                block.waiting.clear()
                out += self._delta(Delta(slot, text))
            if not block.closed:
                break
            self._finish(block, out)
            self._queue.popleft()
        return out

    def _begin(self, slot: int, block: _Block, out: list[Wire]) -> None:
        part, opening = block.part, Wire()
        if isinstance(part, Call):
            if block.seal is not None:
                self._hidden(self._make.seal(part, block.seal), out)
                block.seal = None
            opening = self._make.tool_use(part, {})
        elif isinstance(part, Thinking):
            opening = {"type": "thinking", "thinking": "", "signature": ""}
        else:
            opening = text_block("")
        block.begun, self._live, self._delta_of = True, slot, _DELTAS[type(part)]
        self._index += 1
        out.append({"type": "content_block_start", "index": self._index, "content_block": opening})

    def _finish(self, block: _Block, out: list[Wire]) -> None:
        self._live = None
        seal = block.seal
        if block.begun:
            if isinstance(block.part, Thinking):
                delta = {"type": "signature_delta", "signature": self._make.signature(seal)}
                out.append({"type": "content_block_delta", "index": self._index, "delta": delta})
                seal = None
            out.append({"type": "content_block_stop", "index": self._index})
        if seal is not None and seal.kind is not Opaque.PLAIN:
            self._hidden(self._make.seal(block.part, seal), out)

    def _hidden(self, opaque: str, out: list[Wire]) -> None:
        """Write an opaque value that has no text."""
        self._index += 1
        block = {"type": "redacted_thinking", "data": opaque}
        out.append({"type": "content_block_start", "index": self._index, "content_block": block})
        out.append({"type": "content_block_stop", "index": self._index})
