"""Reads the answer of an endpoint that speaks Messages: as a stream of events, or whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ..values.failure_reports import is_report, reports_failure
from .caps import Caps
from .chat_members import why_of
from .events import (
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
    Why,
    settled,
)
from .form import Call, Opaque, Part, Seal, Text, Thinking
from .lenient import (
    NOTHING,
    holds_object,
    index_of,
    json_of,
    members_of,
    objects_of,
    says_something,
    text_of,
)
from .losses import Losses
from .messages_answer import REASONS
from .messages_usage import Counts
from .names import made_id
from .provider_errors import ended_without, report_in, senseless, unknown

_STOPS = {reason: why for why, reason in REASONS.items()}
_CUTS = frozenset({Why.LENGTH, Why.CONTEXT, Why.REFUSED})
_PARTS: dict[str, tuple[Part, str]] = {
    "text": (Text(""), "text"),
    "thinking": (Thinking(), "thinking"),
    "redacted_thinking": (Thinking(), ""),
}
"""The blocks that are no calls: what they become, and the member that holds their text."""
_SEARCHES = frozenset({"server_tool_use", "web_search_tool_result"})
"""What a provider's own search adds to an answer; what it found is in the text."""
_DELTAS = {
    "text_delta": ("text", "text"),
    "citations_delta": ("text", ""),
    "input_json_delta": ("tool_use", "partial_json"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
}
"""The kind of the block that a delta belongs to, and the member that holds its text."""
_NO_DELTA = ("", "")


class _Block:
    """A block that is open. Of a call: `args` are the pieces of its arguments, `given` are arguments that
    came with its start."""

    __slots__ = ("args", "given", "kind", "seal", "slot")

    def __init__(self, slot: int, kind: str) -> None:
        self.slot, self.kind = slot, kind
        self.args: list[str] = []
        self.given: object = None
        self.seal: Seal | None = None


class MessagesReader:
    """Reads one answer. `mark` goes into the seals of opaque values, `seed` makes ids that are missing."""

    __slots__ = (
        *("_blocks", "_called", "_caps", "_counts", "_id", "_last", "_losses", "_mark", "_over", "_seed"),
        *("_slots", "_stop", "_torn"),
    )

    def __init__(self, caps: Caps, mark: str, seed: str, losses: Losses) -> None:
        self._caps, self._mark, self._losses = caps, mark, losses
        self._blocks: dict[int, _Block] = {}
        self._id = ""
        self._slots, self._last = 0, -1
        self._called = self._over = False
        self._stop: Mapping[str, Any] = NOTHING
        self._counts = Counts()
        self._seed = seed
        self._torn: list[_Block] = []

    def feed(self, data: Mapping[str, Any]) -> list[Event]:
        """Return what one event of the stream means."""
        if self._over:
            return []
        data = members_of(data)
        if "base_resp" in data and is_report(data):
            return self._reported(data)
        read = self._EVENTS.get(text_of(data.get("type")))
        if read is not None:
            return read(self, data)
        if is_report(data):
            return self._reported(data)
        return []

    def end(self) -> list[Event]:
        """Return the break, where the stream ended before message_stop."""
        if self._over:
            return []
        return self._broken(ended_without("message_stop"))

    def whole(self, body: Mapping[str, Any]) -> list[Event]:
        """Return the events of a whole answer."""
        body = members_of(body)
        if reports_failure(body):
            return self._reported(body)
        if not isinstance(body.get("content"), list):
            return self._broken(senseless("has no content"))
        events = self._begin(body)
        for index, block in enumerate(objects_of(body["content"])):
            events += self._open({"index": index, "content_block": block})
            if self._over:
                return events
            events += self._close({"index": index})
        return events + self._ending({"delta": body}) + self._finish(NOTHING)

    def _start(self, data: Mapping[str, Any]) -> list[Event]:
        return self._begin(members_of(data.get("message")))

    def _begin(self, message: Mapping[str, Any]) -> list[Event]:
        if self._id:
            return []
        self._id = text_of(message.get("id")) or made_id("msg_", self._seed)
        return [Start(self._id, text_of(message.get("model"))), *self._counts.take(message.get("usage"))]

    def _open(self, data: Mapping[str, Any]) -> list[Event]:
        index = index_of(data.get("index"), self._last + 1)
        content = members_of(data.get("content_block"))
        kind = text_of(content.get("type"))
        events = self._begin(NOTHING) + self._close({"index": index})
        self._last = index
        if self._over:
            return events
        if kind == "tool_use":
            return events + self._open_call(index, content)
        if kind in _PARTS:
            return events + self._open_part(index, kind, content)
        if kind in _SEARCHES and self._caps.web_search:
            kind = "search"
        elif says_something(content):
            return events + self._broken(unknown("holds a block of the type", kind))
        self._blocks[index] = _Block(-1, kind)
        return events

    def _open_part(self, index: int, kind: str, content: Mapping[str, Any]) -> list[Event]:
        part, member = _PARTS[kind]
        block = self._add(index, kind)
        if content.get("citations"):
            self._losses.note("citations")
        if kind == "thinking":
            block.seal = self._signed(text_of(content.get("signature")))
        if kind == "redacted_thinking":
            block.seal = Seal(Opaque.REDACTED, text_of(content.get("data")), self._mark)
        events: list[Event] = [Open(block.slot, part)]
        text = text_of(content.get(member))
        if text:
            events.append(Delta(block.slot, text))
        return events

    def _open_call(self, index: int, content: Mapping[str, Any]) -> list[Event]:
        name = text_of(content.get("name"))
        if not name:
            return self._broken(senseless("calls a tool without a name"))
        block = self._add(index, "tool_use")
        block.given = content.get("input")
        self._called = True
        given = text_of(content.get("id")) or made_id("toolu_", self._id, index)
        return [Open(block.slot, Call(given, name))]

    def _add(self, index: int, kind: str) -> _Block:
        block = self._blocks[index] = _Block(self._slots, kind)
        self._slots += 1
        return block

    def _signed(self, signature: str) -> Seal:
        if not signature:
            return Seal(Opaque.PLAIN, "", self._mark)
        return Seal(Opaque.SIGNATURE, signature, self._mark)

    def _delta(self, data: Mapping[str, Any]) -> list[Event]:
        delta, index = members_of(data.get("delta")), data.get("index")
        if not isinstance(index, int):
            index = self._last
        block = self._blocks.get(index)
        if block is None:
            return self._broken(senseless("goes on with a block that is not open"))
        name = text_of(delta.get("type"))
        kind, member = _DELTAS.get(name, _NO_DELTA)
        if kind != block.kind:
            return self._other_delta(block, name, delta)
        text = json_of(delta.get(member) or "")
        if not text:
            if name == "citations_delta":
                self._losses.note("citations")
            return []
        if member == "signature":
            block.seal = self._signed(text)
            return []
        if kind == "tool_use":
            block.args.append(text)
        return [Delta(block.slot, text)]

    def _other_delta(self, block: _Block, name: str, delta: Mapping[str, Any]) -> list[Event]:
        """Leave what belongs to a search, or says nothing; break the answer off at anything else."""
        if block.kind == "search" or (name not in _DELTAS and not says_something(delta)):
            return []
        return self._broken(unknown(f"has in a block of the type '{block.kind[:40]}' the piece", name))

    def _close(self, data: Mapping[str, Any]) -> list[Event]:
        block = self._blocks.pop(index_of(data.get("index"), self._last), None)
        if block is None or block.slot < 0:
            return []
        if block.kind == "tool_use":
            return self._close_call(block)
        if block.seal is None:
            return [Close(block.slot)]
        return [Sealed(block.slot, block.seal), Close(block.slot)]

    def _close_call(self, block: _Block) -> list[Event]:
        """Close a call whose arguments are whole; of another, the stop will tell whether it was cut off."""
        if block.given and not block.args:
            args = json_of(block.given)
            if args is None:
                return self._broken(senseless("calls a tool with arguments that cannot be written"))
            return [Delta(block.slot, args), Close(block.slot)]
        if holds_object("".join(block.args)):
            return [Close(block.slot)]
        self._torn.append(block)
        return []

    def _close_torn(self) -> list[Event]:
        """Close calls that were not cut off: without arguments, or with such as the model wrote them."""
        events: list[Event] = []
        for block in self._torn:
            if not block.args:
                events.append(Delta(block.slot, "{}"))
            events.append(Close(block.slot))
        return events

    def _ending(self, data: Mapping[str, Any]) -> list[Event]:
        delta = members_of(data.get("delta"))
        if text_of(delta.get("stop_reason")):
            self._stop = delta
        return self._counts.take(data.get("usage"))

    def _finish(self, _data: Mapping[str, Any]) -> list[Event]:
        events = self._begin(NOTHING)
        for index in list(self._blocks):
            events += self._close({"index": index})
        reason = text_of(self._stop.get("stop_reason"))
        if self._over:
            return events
        if not reason and not self._called:
            return events + self._broken(ended_without("a stop_reason"))
        why = _STOPS.get(reason or "end_turn") or why_of(reason)
        if why is None:
            return events + self._broken(unknown("ends with the stop_reason", reason))
        if why not in _CUTS:
            events += self._close_torn()
        self._over = True
        return [*events, Stopped(settled(self._stop_for(why), self._called)), End()]

    def _stop_for(self, why: Why) -> Stop:
        if why is Why.STOP_SEQUENCE:
            return Stop(why, text_of(self._stop.get("stop_sequence")))
        if why is Why.REFUSED:
            return Stop(why, text_of(members_of(self._stop.get("stop_details")).get("explanation")))
        return Stop(why)

    def _reported(self, data: Mapping[str, Any]) -> list[Event]:
        return self._broken(report_in(data))

    def _broken(self, broken: BrokenOff) -> list[Event]:
        self._over = True
        return [broken]

    _EVENTS: ClassVar[dict[str, Callable[..., list[Event]]]] = {
        "content_block_delta": _delta,
        "content_block_start": _open,
        "content_block_stop": _close,
        "message_start": _start,
        "message_delta": _ending,
        "message_stop": _finish,
        "error": _reported,
    }
