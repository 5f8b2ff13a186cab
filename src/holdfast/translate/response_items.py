"""The items of a Responses answer while they arrive: what is open, what came of it, and what is closed."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from .events import LAST, Close, Delta, Event, Open
from .form import Call, Part, Refusal, Text, Thinking
from .provider_errors import senseless

Key = tuple[str, int]
"""The kind of a part, and its index in its item."""
CALL, THOUGHT = ("call", 0), ("thought", 0)
TEXTS: dict[str, Part] = {"output_text": Text(""), "refusal": Refusal("")}
"""The parts of a message, which are opened by their first text."""
TEXT_OF = {"output_text": "text", "refusal": "refusal"}
BETWEEN = "\n\n"
"""Stands between the parts of one thought."""


class _Slot:
    """A slot, and the text that came. `source` says where a thought comes from, `part` which part of it came
    last."""

    __slots__ = ("number", "part", "source", "texts")

    def __init__(self, number: int, source: str) -> None:
        self.number, self.source, self.part = number, source, 0
        self.texts: list[str] = []


class Items:
    """Gives the events of parts. An item is known by its index in the answer."""

    __slots__ = (
        "_at",
        "_count",
        "_done",
        "_free",
        "_kinds",
        "_latest",
        "_open",
        "_said",
        "called",
        "refused",
    )

    def __init__(self) -> None:
        self._open: dict[int, dict[Key, _Slot]] = {}
        self._done: set[int] = set()
        self._count = self._free = 0
        self._at: dict[str, int] = {}
        self._kinds: dict[int, set[str]] = {}
        self._said: list[tuple[str, str, int]] = []
        self._latest: tuple[Any, Any, str, _Slot] | None = None
        self.called = self.refused = False

    def free(self) -> int:
        """Return an index that no item has."""
        return self._free

    def begun_as(self, given: object) -> int | None:
        """Return the index of the item that began under an id of its own or of its call."""
        if isinstance(given, str):
            return self._at.get(given)
        return None

    def has_begun(self, index: int) -> bool:
        """Return whether an item has begun."""
        return index in self._kinds

    def holds(self, index: int, kinds: AbstractSet[str]) -> bool:
        """Return whether an item has held a part of one of these kinds."""
        return not kinds.isdisjoint(self._kinds.get(index, ()))

    def said(self) -> list[tuple[str, str, int]]:
        """Return what was said so far: the kind of each part, its text and the index of its item."""
        open_ = [entry for index, slots in self._open.items() for entry in _said(index, slots)]
        return self._said + open_

    def is_done(self, index: int) -> bool:
        """Return whether an item has ended."""
        return index in self._done

    def is_open(self, index: int, key: Key) -> bool:
        """Return whether a part is open."""
        return key in self._open.get(index, ())

    def has_text(self, index: int, key: Key) -> bool:
        """Return whether an open part has a text that is more than space."""
        return any(map(str.strip, self._open[index][key].texts))

    def source(self, index: int) -> str:
        """Return where the open thought of an item comes from: its summary or its content; "" if none is
        open."""
        if not self.is_open(index, THOUGHT):
            return ""
        return self._open[index][THOUGHT].source

    def add(self, index: int, key: Key, part: Part, source: str = "") -> list[Event]:
        """Open a part."""
        slot = self._open.setdefault(index, {})[key] = _Slot(self._count, source)
        self._count += 1
        self._free = max(self._free, index + 1)
        self._kinds.setdefault(index, set()).add(key[0])
        if isinstance(part, Call):
            self._at[part.id] = index
        self.called = self.called or isinstance(part, Call)
        self.refused = self.refused or isinstance(part, Refusal)
        return [Open(slot.number, part)]

    def say_more(self, index: object, part: object, kind: str, text: str) -> list[Event]:
        """Add text to the part of a message that was spoken of last; nothing where it is another's."""
        if self._latest is None or self._latest[:3] != (index, part, kind):
            return []
        slot = self._latest[3]
        slot.texts.append(text)
        return [Delta(slot.number, text)]

    def say(self, index: int, key: Key, text: str) -> list[Event]:
        """Add text to a part; a message's is opened by it."""
        if not text:
            return []
        slots = self._open.get(index)
        slot = slots and slots.get(key)
        if slot:
            self._latest = (index, key[1], key[0], slot)
            slot.texts.append(text)
            return [Delta(slot.number, text)]
        if index in self._done or key[0] not in TEXTS:
            return [senseless("goes on with an item that is not open")]
        return self.add(index, key, TEXTS[key[0]]) + self.say(index, key, text)

    def think(self, index: int, source: str, part: int, text: str) -> list[Event]:
        """Add text to the thought of an item; a thought has one source, the first that speaks."""
        if not text or self.source(index) not in ("", source):
            return []
        if index in self._done:
            return [senseless("goes on with an item that is not open")]
        events: list[Event] = []
        if not self.is_open(index, THOUGHT):
            events = self.add(index, THOUGHT, Thinking(), source)
        slot = self._open[index][THOUGHT]
        if slot.texts and slot.part != part:
            text = BETWEEN + text
        slot.part = part
        return events + self.say(index, THOUGHT, text)

    def settle(self, index: int, key: Key, full: object) -> list[Event]:
        """Take the last word on a part: it is the sum of its pieces, or else the only one."""
        if not isinstance(full, str) or index in self._done:
            return []
        slot = self._open.get(index, {}).get(key)
        if slot is None or not slot.texts:
            return self.say(index, key, full)
        if "".join(slot.texts) != full:
            return [senseless("ends a part with other words than its pieces had")]
        return []

    def settle_thought(self, index: int, sources: dict[str, list[str]]) -> list[Event]:
        """Take the last word on a thought; `sources` are the parts of each."""
        source = self.source(index) or next((name for name in sources if any(sources[name])), "")
        full = BETWEEN.join(filter(None, sources.get(source, ())))
        if not full:
            return []
        if not self.is_open(index, THOUGHT):
            return self.add(index, THOUGHT, Thinking(), source) + self.say(index, THOUGHT, full)
        return self.settle(index, THOUGHT, full)

    def number(self, index: int, key: Key) -> int:
        """Return the slot of an open part."""
        return self._open[index][key].number

    def close(self, index: int, *, cut: bool = False) -> list[Event]:
        """Close what is open of an item, which has ended; a call that was `cut` off stays open for good."""
        self._done.add(index)
        self._free = max(self._free, index + 1)
        self._latest = None
        slots = self._open.pop(index, {})
        self._said += _said(index, slots)
        return [Close(slot.number) for key, slot in slots.items() if key != CALL or not cut]

    def close_all(self, *, cut: bool) -> list[Event]:
        """Close what is open of all items."""
        return [event for index in list(self._open) for event in self.close(index, cut=cut)]

    def again(self, index: int, given: object) -> list[Event]:
        """Begin an item with an id, at an index that may have been used."""
        events = self.close(index)
        self._done.discard(index)
        self._kinds[index] = set()
        self._free = max(self._free, index + 1)
        if given and isinstance(given, str):
            self._at[given] = index
        return events


def _said(index: int, slots: dict[Key, _Slot]) -> list[tuple[str, str, int]]:
    return [(key[0], "".join(slot.texts), index) for key, slot in slots.items()]


def is_over(events: list[Event]) -> bool:
    """Return whether the last of some events is the answer's last."""
    return bool(events) and isinstance(events[-1], LAST)
