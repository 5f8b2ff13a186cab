"""Reads the answer of an endpoint that speaks Responses: as a stream of events, or whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ..values.failure_reports import is_report, reports_failure
from .caps import Caps
from .events import BrokenOff, End, Event, Sealed, Start, Stopped
from .form import FREE, FUNCTION, Call, Opaque, Seal, Thinking
from .lenient import (
    NOTHING,
    count_of,
    index_of,
    json_of,
    members_of,
    objects_of,
    says_something,
    text_of,
    words_of,
)
from .losses import Losses
from .names import made_id
from .provider_errors import ended_without, report_in, senseless, unknown
from .response_items import CALL, TEXT_OF, TEXTS, THOUGHT, Items, is_over
from .response_list import CUT, FAILED, Places, args_of, ended, judged_part, parts_of, stop_of, thoughts_of
from .responses_usage import counted

_CALLS = {
    "function_call": (FUNCTION, "arguments"),
    "custom_tool_call": (FREE, "input"),
}
"""The items that are calls: how the tool is called, and the member that holds what it is given."""
_SEARCH = "web_search_call"


class ResponsesReader:
    """Reads one answer. `mark` goes into the seals of opaque values, `seed` makes ids that are missing.

    The last word on a part or an item must be the sum of the pieces before it; where no piece came, it is
    taken as it is."""

    __slots__ = ("_caps", "_id", "_ids", "_items", "_last", "_losses", "_mark", "_over", "_seed")

    def __init__(self, caps: Caps, mark: str, seed: str, losses: Losses) -> None:
        self._caps, self._mark, self._seed, self._losses = caps, mark, seed, losses
        self._items = Items()
        self._ids: set[str] = set()
        self._id, self._last = "", 0
        self._over = False

    def feed(self, data: Mapping[str, Any]) -> list[Event]:
        """Return what one event of the stream means."""
        if self._over:
            return []
        events = self._read(members_of(data))
        self._over = is_over(events)
        return events

    def end(self) -> list[Event]:
        """Return the break, where the stream ended before response.completed or its like."""
        if self._over:
            return []
        self._over = True
        return [ended_without("response.completed")]

    def whole(self, body: Mapping[str, Any]) -> list[Event]:
        """Return the events of a whole answer."""
        body = members_of(body)
        if reports_failure(body):
            return self._reported(body)
        if not isinstance(body.get("output"), list):
            return [senseless("has no output")]
        status = text_of(body.get("status")) or "completed"
        return self._finish({"type": f"response.{status}", "response": body})

    def _read(self, data: Mapping[str, Any]) -> list[Event]:
        read = self._EVENTS.get(text_of(data.get("type")))
        if read is not None:
            return read(self, data)
        return self._reported(data) if is_report(data) else []

    def _index(self, data: Mapping[str, Any]) -> int:
        """Return the index of the item of an event: as it says, or else by the item's id."""
        index = index_of(data.get("output_index"), -1)
        if not self._items.has_begun(index):
            known = self._items.begun_as(data.get("item_id") or members_of(data.get("item")).get("id"))
            index = known if known is not None else index_of(data.get("output_index"), self._last)
        self._last = index
        return index

    def _begin(self, data: Mapping[str, Any]) -> list[Event]:
        if self._id:
            return []
        response = members_of(data.get("response"))
        self._id = text_of(response.get("id")) or made_id("resp_", self._seed)
        return [Start(self._id, text_of(response.get("model")), count_of(response.get("created_at")) or 0)]

    def _item_added(self, data: Mapping[str, Any]) -> list[Event]:
        item = members_of(data.get("item"))
        self._last = index = index_of(data.get("output_index"), self._items.free())
        events = self._begin(NOTHING) + self._items.again(index, item.get("id"))
        if text_of(item.get("type")) in _CALLS:
            return events + self._call_added(index, item)
        return events + self._judged(item)

    def _call_added(self, index: int, item: Mapping[str, Any]) -> list[Event]:
        """Open a call; one whose name comes only at its end is opened then."""
        name = text_of(item.get("name"))
        if not name:
            return []
        given = text_of(item.get("call_id")) or text_of(item.get("id")) or made_id("call_", self._id, index)
        kind, _ = _CALLS[item["type"]]
        return self._items.add(index, CALL, Call(given, name, kind=kind))

    def _judged(self, item: Mapping[str, Any]) -> list[Event]:
        """Break the answer off at an item that nobody here knows."""
        kind = text_of(item.get("type"))
        known = kind in ("message", "reasoning") or (kind == _SEARCH and self._caps.web_search != "")
        if known or not says_something(item):
            return []
        return [unknown("holds an item of the type", kind)]

    def _part_added(self, data: Mapping[str, Any]) -> list[Event]:
        return judged_part(members_of(data.get("part")))

    def _part_done(self, data: Mapping[str, Any]) -> list[Event]:
        index, part = self._index(data), members_of(data.get("part"))
        return self._settled(index, index_of(data.get("content_index"), 0), part)

    def _settled(self, index: int, number: int, part: Mapping[str, Any]) -> list[Event]:
        kind = text_of(part.get("type"))
        if kind not in TEXTS:
            return judged_part(part)
        if part.get("annotations"):
            self._losses.note("citations")
        full = part.get(TEXT_OF[kind])
        return self._begin(NOTHING) + self._items.settle(index, (kind, number), words_of(full) or full)

    def _text(self, data: Mapping[str, Any]) -> list[Event]:
        text = self._words(data)
        if not text:
            return []
        index, part = data.get("output_index"), data.get("content_index")
        return self._items.say_more(index, part, "output_text", text) or self._said(data, "output_text")

    def _refusal(self, data: Mapping[str, Any]) -> list[Event]:
        return self._said(data, "refusal")

    def _said(self, data: Mapping[str, Any], kind: str) -> list[Event]:
        key = (kind, index_of(data.get("content_index"), 0))
        return self._begin(NOTHING) + self._items.say(self._index(data), key, self._words(data))

    def _words(self, data: Mapping[str, Any]) -> str:
        """Return the text of a piece, also where it is wrapped in an object."""
        delta = data.get("delta")
        text = words_of(delta)
        if delta and not text:
            self._losses.note("unknown_member")
        return text

    def _cited(self, _data: Mapping[str, Any]) -> list[Event]:
        self._losses.note("citations")
        return []

    def _summary(self, data: Mapping[str, Any]) -> list[Event]:
        return self._thought(data, "summary", data.get("summary_index"))

    def _reasoning(self, data: Mapping[str, Any]) -> list[Event]:
        return self._thought(data, "content", data.get("content_index"))

    def _thought(self, data: Mapping[str, Any], source: str, part: object) -> list[Event]:
        text, number = self._words(data), index_of(part, 0)
        return self._begin(NOTHING) + self._items.think(self._index(data), source, number, text)

    def _args(self, data: Mapping[str, Any]) -> list[Event]:
        return self._items.say(self._index(data), CALL, json_of(data.get("delta") or "") or "")

    def _args_done(self, data: Mapping[str, Any]) -> list[Event]:
        index = self._index(data)
        if not self._items.is_open(index, CALL):
            return []
        return self._items.settle(index, CALL, args_of(data.get("arguments", data.get("input"))))

    def _words_done(self, data: Mapping[str, Any]) -> list[Event]:
        kind = "refusal" if data["type"] == "response.refusal.done" else "output_text"
        return self._part_done({**data, "part": {"type": kind, TEXT_OF[kind]: data.get(TEXT_OF[kind])}})

    def _item_done(self, data: Mapping[str, Any]) -> list[Event]:
        return self._item_ended(self._index(data), members_of(data.get("item")))

    def _item_ended(self, index: int, item: Mapping[str, Any]) -> list[Event]:
        if self._items.is_done(index):
            return []
        events = self._begin(NOTHING) + self._last_word(index, item)
        if is_over(events):
            return events
        given = text_of(item.get("id"))
        if given:
            self._ids.add(given)
        return events + self._items.close(index, cut=item.get("status") == "incomplete")

    def _last_word(self, index: int, item: Mapping[str, Any]) -> list[Event]:
        read = self._ITEMS.get(text_of(item.get("type")))
        if read is None:
            return self._judged(item)
        return read(self, index, item)

    def _message(self, index: int, item: Mapping[str, Any]) -> list[Event]:
        events: list[Event] = []
        for number, part in enumerate(parts_of(item)):
            events += self._settled(index, number, part)
            if is_over(events):
                break
        return events

    def _call(self, index: int, item: Mapping[str, Any]) -> list[Event]:
        kind, member = _CALLS[item["type"]]
        events: list[Event] = []
        if not self._items.is_open(index, CALL):
            events = self._call_added(index, item) or [senseless("calls a tool without a name")]
        if not is_over(events):
            events += self._items.settle(index, CALL, args_of(item.get(member)))
        if is_over(events) or kind is FREE or item.get("status") == "incomplete":
            return events
        if not self._items.has_text(index, CALL):
            events += self._items.say(index, CALL, "{}")
        return events

    def _thinking(self, index: int, item: Mapping[str, Any]) -> list[Event]:
        events = self._items.settle_thought(index, thoughts_of(item))
        opaque = text_of(item.get("encrypted_content"))
        if is_over(events) or not (opaque or self._items.is_open(index, THOUGHT)):
            return events
        if not self._items.is_open(index, THOUGHT):
            events += self._items.add(index, THOUGHT, Thinking())
        seal = Seal(Opaque.PLAIN, "", self._mark)
        if opaque:
            seal = Seal(Opaque.ENCRYPTED, opaque, self._mark, text_of(item.get("id")))
        return [*events, Sealed(self._items.number(index, THOUGHT), seal)]

    def _finish(self, data: Mapping[str, Any]) -> list[Event]:
        """End the answer, with what the last event holds and the stream did not bring."""
        response = members_of(data.get("response"))
        events = self._begin(data)
        kind = ended(data["type"], response)
        if kind in FAILED or reports_failure(response) or reports_failure(data):
            return events + self._reported(data if reports_failure(data) else response)
        places = Places(self._items)
        for number, item in enumerate(objects_of(response.get("output"))):
            index = places.of(number, item)
            if text_of(item.get("id")) not in self._ids:
                events += self._item_ended(index, item)
            if is_over(events):
                return events
        events += self._items.close_all(cut=kind == CUT) + counted(response.get("usage"))
        stop = stop_of(kind, response, called=self._items.called, refused=self._items.refused)
        if isinstance(stop, BrokenOff):
            return [*events, stop]
        return [*events, Stopped(stop), End()]

    def _reported(self, data: Mapping[str, Any]) -> list[Event]:
        return [report_in(data)]

    _EVENTS: ClassVar[dict[str, Callable[..., list[Event]]]] = {
        "response.output_text.delta": _text,
        "response.function_call_arguments.delta": _args,
        "response.custom_tool_call_input.delta": _args,
        "response.reasoning_summary_text.delta": _summary,
        "response.reasoning_text.delta": _reasoning,
        "response.reasoning_summary.delta": _summary,
        "response.reasoning.delta": _reasoning,
        "response.output_text.annotation.added": _cited,
        "response.refusal.delta": _refusal,
        "response.created": _begin,
        "response.queued": _begin,
        "response.in_progress": _begin,
        "response.output_item.added": _item_added,
        "response.content_part.added": _part_added,
        "response.output_text.done": _words_done,
        "response.refusal.done": _words_done,
        "response.function_call_arguments.done": _args_done,
        "response.custom_tool_call_input.done": _args_done,
        "response.content_part.done": _part_done,
        "response.output_item.done": _item_done,
        "response.completed": _finish,
        "response.done": _finish,
        "response.incomplete": _finish,
        "response.failed": _finish,
        "response.cancelled": _finish,
        "error": _reported,
    }

    _ITEMS: ClassVar[dict[str, Callable[..., list[Event]]]] = {
        "message": _message,
        "reasoning": _thinking,
        "function_call": _call,
        "custom_tool_call": _call,
    }
