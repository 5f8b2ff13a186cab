"""Reads the last event of a Responses answer: how the answer ended, and the list of all its items."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from .chat_members import why_of
from .events import BrokenOff, Event, Stop, Why, settled
from .lenient import json_of, members_of, objects_of, says_something, text_of
from .provider_errors import unknown
from .response_items import BETWEEN, TEXT_OF, TEXTS, Items

CUT = "response.incomplete"
FAILED = frozenset({"response.failed", "response.cancelled"})
_CUTS = (Why.LENGTH, Why.CONTEXT, Why.REFUSED)
_CUT_SHORT = ("incomplete", "failed", "cancelled")
_KINDS = {
    "message": frozenset(TEXTS),
    "reasoning": frozenset({"thought"}),
    "function_call": frozenset({"call"}),
    "custom_tool_call": frozenset({"call"}),
}
"""The kinds of the parts of an item, by its type."""
_SOURCES = ("content", "summary")


def ended(kind: str, response: Mapping[str, Any]) -> str:
    """Return the event with which an answer ended, by its status: some servers call every end completed, and
    some write response.done. A reason to be incomplete counts more than the status."""
    status = text_of(response.get("status"))
    reason = members_of(response.get("incomplete_details")).get("reason")
    if kind == "response.done" or (kind == "response.completed" and status in _CUT_SHORT):
        kind = f"response.{status or 'completed'}"
    if kind == "response.completed" and reason:
        return CUT
    return kind


def stop_of(kind: str, response: Mapping[str, Any], *, called: bool, refused: bool) -> Stop | BrokenOff:
    """Return how an answer ended by the event `kind`, in which tools were `called` or the model `refused`."""
    if kind == "response.completed":
        return Stop(Why.REFUSED) if refused else settled(Stop(Why.DONE), called)
    if kind != CUT:
        return unknown("has the status", kind.partition(".")[2])
    reason = text_of(members_of(response.get("incomplete_details")).get("reason"))
    why = why_of(reason)
    if why not in _CUTS:
        return unknown("is incomplete because of", reason)
    return Stop(why)


def args_of(value: object) -> object:
    """Return the arguments of a call as a text, where a server gives them as an object."""
    if isinstance(value, dict):
        return json_of(value)
    return value


def parts_of(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the parts of a message, which some servers give as one text."""
    content = item.get("content")
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
    return objects_of(content)


class Places:
    """Finds the items of the last list among those that the stream brought, which may have had other ids and
    other indices. What the stream said is found once: the list may say the same again."""

    def __init__(self, items: Items) -> None:
        self._items, self._taken = items, set[int]()
        self._said: dict[tuple[str, str], deque[int]] = {}
        for kind, text, index in items.said():
            self._said.setdefault((kind, text), deque()).append(index)

    def of(self, number: int, item: Mapping[str, Any]) -> int:
        """Return the index of the list's item `number`: its own there, or a free one where another item has
        that."""
        kind = text_of(item.get("type"))
        kinds = _KINDS.get(kind)
        if kinds is None:
            return number
        heard = [index for part in _parts(kind, item) if (index := self._heard(*part)) is not None]
        known = self._items.begun_as(item.get("call_id"))
        index = heard[0] if known is None and heard else known
        if index is None:
            index, begun = number, self._items.has_begun(number)
            if begun and (number in self._taken or not self._items.holds(number, kinds)):
                index = self._items.free()
        self._taken.add(index)
        return index

    def _heard(self, kind: str, text: str) -> int | None:
        """Return the index of the first item that said a text, which is not found again."""
        indices = self._said.get((kind, text))
        return indices.popleft() if indices else None


def _parts(kind: str, item: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the kinds and the texts of what an item says."""
    if kind == "message":
        parts = [(text_of(part.get("type")), part) for part in parts_of(item)]
        return [(name, text_of(part.get(TEXT_OF[name]))) for name, part in parts if name in TEXT_OF]
    if kind != "reasoning":
        return []
    sources = thoughts_of(item).values()
    return [("thought", BETWEEN.join(filter(None, texts))) for texts in sources if any(texts)][:1]


def thoughts_of(item: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the texts of a thought, by the member that holds them."""
    return {name: [text_of(part.get("text")) for part in objects_of(item.get(name))] for name in _SOURCES}


def judged_part(part: Mapping[str, Any]) -> list[Event]:
    """Break the answer off at a part that nobody here knows."""
    kind = text_of(part.get("type"))
    if kind in TEXTS or kind == "reasoning_text" or not says_something(part):
        return []
    return [unknown("holds a part of the type", kind)]
