"""Writes answers for callers of the Responses dialect, whole ones and streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

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
    replay,
)
from .form import Call, Opaque, Part, Seal
from .names import call_id, made_id
from .responses_answer import echo_of, end_of, end_of_broken, usage_of
from .responses_output import CUT_OFF, DONE, UNDER_WAY, Called, Hidden, Item, Spoken, item_of, prefix_of

Wire = dict[str, Any]
_WHOLE = (Why.DONE, Why.TOOLS, Why.STOP_SEQUENCE)
_LONGEST_ID = 64


class ResponsesWriter:
    """Writes one answer. Several items may be open at once.

    An item begins with its first text; a call begins at once. A call is done only when its arguments are
    whole: Codex executes it then, whatever follows.
    """

    __slots__ = (
        *("_call_ids", "_caller", "_created", "_echo", "_items", "_numbered", "_outputs", "_over"),
        *("_parts", "_seals", "_start", "_stop", "_usage"),
    )

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._echo: Wire = {}
        self._start: Start | None = None
        self._numbered = 0
        self._parts: dict[int, Part] = {}
        self._items: dict[int, Spoken | Called] = {}
        self._seals: dict[int, Seal] = {}
        self._outputs: list[Item] = []
        self._stop: Stop | None = None
        self._usage = NO_USAGE
        self._over = False

    def feed(self, event: Event) -> list[Wire]:
        """Return the caller's events for one of ours."""
        if self._over:
            return []
        return self._TAKE[type(event)](self, event)

    def waiting(self) -> list[Wire]:
        """Return an event that says that the answer goes on, behind the first ones if they were not written
        yet."""
        if self._start is None:
            return self._begin(Start("", ""))
        return self._number([self._lifecycle("response.in_progress")])

    def whole(self, answer: Answer) -> Wire:
        """Return a whole answer; one that broke off has the status `failed`."""
        out: list[Wire] = []
        for event in replay(answer):
            out = self.feed(event) or out
        if not self._over:
            out = self.feed(End())
        response: Wire = out[-1]["response"]
        return response

    def _begin(self, event: Start) -> list[Wire]:
        if self._start is not None:
            return []
        name = event.id or made_id("", self._caller.seed)
        if not name.startswith("resp_"):
            name = f"resp_{name}"
        self._start = Start(
            name, event.model or self._caller.request.model, event.created or int(self._caller.now)
        )
        self._echo = echo_of(self._caller)
        return self._number([self._lifecycle("response.created"), self._lifecycle("response.in_progress")])

    def _open(self, event: Open) -> list[Wire]:
        slot, part = event
        self._parts[slot] = part
        if not isinstance(part, Call):
            return []
        out: list[Wire] = []
        part = self._restored(part)
        if part.seal is not None:
            out += self._hidden(replace(part.seal, item=part.id))
        return self._number([*out, *self._add(slot, part)])

    def _delta(self, event: Delta) -> list[Wire]:
        slot, text = event
        item = self._items.get(slot)
        if item is None:
            out = [*self._add(slot, self._parts[slot]), *self._items[slot].delta(text)]
        else:
            out = item.delta(text)
        return self._number(out)

    def _sealed(self, event: Sealed) -> list[Wire]:
        self._seals[event.slot] = event.seal
        return []

    def _close(self, event: Close) -> list[Wire]:
        return self._number(self._finish(event.slot, DONE))

    def _usage_seen(self, event: UsageSeen) -> list[Wire]:
        self._usage = event.usage
        return []

    def _stopped(self, event: Stopped) -> list[Wire]:
        self._stop = event.stop
        whole = event.stop.why in _WHOLE
        out: list[Wire] = []
        for slot, item in self._items.items():
            if item.status != UNDER_WAY:
                continue
            if isinstance(item, Spoken):
                out += self._finish(slot, (CUT_OFF, DONE)[whole])
            elif whole:
                out += item.finish(DONE)
        return self._number(out)

    def _end(self, _event: End) -> list[Wire]:
        return self._last(*end_of(self._stop))

    def _broken(self, event: BrokenOff) -> list[Wire]:
        begun = self._begin(Start("", ""))
        return begun + self._last(*end_of_broken(event))

    _TAKE: ClassVar[dict[type[Event], Callable[..., list[Wire]]]] = {
        Start: _begin,
        Open: _open,
        Delta: _delta,
        Sealed: _sealed,
        Close: _close,
        UsageSeen: _usage_seen,
        Stopped: _stopped,
        End: _end,
        BrokenOff: _broken,
    }

    def _finish(self, slot: int, status: str) -> list[Wire]:
        """End the item of a part that is closed: a call only if its arguments are whole."""
        item, seal = self._items.get(slot), self._seals.pop(slot, None)
        if isinstance(item, Called):
            out: list[Wire] = []
            if item.is_whole:
                out = item.finish(status)
            if seal is not None:
                out += self._hidden(replace(seal, item=item.call.id))
            return out
        if item is not None:
            if seal is not None:
                item.opaque = self._caller.sealer.seal(seal)
            return item.finish(status)
        if seal is None or seal.kind is Opaque.PLAIN:
            return []
        return self._hidden(seal)

    def _hidden(self, seal: Seal) -> list[Wire]:
        """Write an opaque value that has no text."""
        item = Hidden(self._name("rs_"), len(self._outputs), self._caller.sealer.seal(seal))
        self._outputs.append(item)
        return item.events()

    def _add(self, slot: int, part: Part) -> list[Wire]:
        summed_up = self._caller.request.effort.shown
        name = self._name(prefix_of(part))
        item = item_of(part, name, len(self._outputs), summed_up=summed_up)
        self._items[slot] = item
        self._outputs.append(item)
        return item.begin()

    def _restored(self, call: Call) -> Call:
        """Return a call with the caller's name of the tool."""
        tool = self._caller.names.tool(call.name)
        name = call.id
        if len(name) > _LONGEST_ID:
            name = call_id(name)
        if tool is None:
            self._caller.losses.note("unknown_tool")
            return replace(call, id=name)
        return replace(call, id=name, name=tool.name, group=tool.group, kind=tool.kind)

    def _last(self, status: str, members: Wire) -> list[Wire]:
        self._over = True
        for item in self._items.values():
            if isinstance(item, Spoken) and item.status == UNDER_WAY:
                item.status = CUT_OFF
        usage = usage_of(self._usage)
        if usage is None:
            self._caller.losses.note("usage")
        completed = None
        if status == DONE:
            completed = int(self._caller.now)
        output = [item.item() for item in self._outputs if _is_shown(item)]
        end = {**members, "output": output, "usage": usage, "completed_at": completed}
        return self._number([self._lifecycle(f"response.{status}", status, end)])

    def _lifecycle(self, event: str, status: str = UNDER_WAY, members: Wire | None = None) -> Wire:
        start = self._start or Start("", "")
        response = {
            "id": start.id,
            "created_at": start.created,
            "completed_at": None,
            "model": start.model,
            "status": status,
            "output": [],
            **self._echo,
            **(members or {}),
        }
        return {"type": event, "response": response}

    def _name(self, prefix: str) -> str:
        start = self._start or Start("", "")
        return made_id(prefix, start.id, len(self._outputs))

    def _number(self, events: list[Wire]) -> list[Wire]:
        for event in events:
            event["sequence_number"] = self._numbered
            self._numbered += 1
        return events


def _is_shown(item: Item) -> bool:
    """Return whether an item is part of the response: a call only if it is whole."""
    return item.status != UNDER_WAY or isinstance(item, Spoken)
