"""An answer without a dialect: what the readers of streams produce and the writers take, in order.

Several slots may be open at once; each has one part. A whole answer is the fold of its events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from .form import Call, Part, Refusal, Seal, Text, Thinking

DONE: Mapping[str, Any] = MappingProxyType({"object": "[DONE]"})
"""Stands for the sign `[DONE]`, which is no JSON, where a reader is fed."""


class Why(Enum):
    """Why an answer ended."""

    DONE = "done"
    TOOLS = "tools"
    LENGTH = "length"
    STOP_SEQUENCE = "stop_sequence"
    REFUSED = "refused"
    CONTEXT = "context"
    FAILED = "failed"


class Stop(NamedTuple):
    """`text` is the stop sequence that was met, or what the provider said of a refusal."""

    why: Why
    text: str = ""


class Usage(NamedTuple):
    """Counts of tokens; None where the provider did not say. `input` includes what was read from a cache or
    written to one, `output` includes the thinking."""

    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    output: int | None = None
    thinking: int | None = None


NO_USAGE = Usage()


def settled(stop: Stop, called: bool) -> Stop:
    """Return why an answer ended: for its calls if it has any, unless the provider names another reason than
    that it was done."""
    if stop.why not in (Why.DONE, Why.TOOLS):
        return stop
    return stop._replace(why=(Why.DONE, Why.TOOLS)[called])


class Start(NamedTuple):
    """The answer begins: the provider's id of it and model, and when it was made (epoch seconds, or 0)."""

    id: str
    model: str
    created: int = 0


class Open(NamedTuple):
    """A part begins, still empty: Text, Thinking, Refusal, or a Call by the endpoint's name of the tool."""

    slot: int
    part: Part


class Delta(NamedTuple):
    """More text of a part; of a call, of its arguments."""

    slot: int
    text: str


class Sealed(NamedTuple):
    """The opaque value of a part. It may come before or after the part's text, while the slot is open."""

    slot: int
    seal: Seal


class Close(NamedTuple):
    """A part is whole. A call that was not closed when the answer stopped was cut off."""

    slot: int


class UsageSeen(NamedTuple):
    """The count so far; a later one replaces it."""

    usage: Usage


class Stopped(NamedTuple):
    stop: Stop


class End(NamedTuple):
    """The answer is whole. Nothing follows."""


class BrokenOff(NamedTuple):
    """The answer ended without its end. Nothing follows. `kind` is a fault's class (core.faults), such as
    `provider_unavailable`; `code` the provider's own, if it gave one."""

    text: str
    kind: str = "provider_unavailable"
    code: str = ""


LAST = (End, BrokenOff)
Event = Start | Open | Delta | Sealed | Close | UsageSeen | Stopped | End | BrokenOff


class AnswerReader(Protocol):
    """Reads an endpoint's answer. After BrokenOff or End it gives nothing more."""

    def feed(self, data: Mapping[str, Any]) -> list[Event]:
        """Return what one event of the endpoint's stream means. `[DONE]` is fed as `DONE`."""
        ...

    def end(self) -> list[Event]:
        """Return what is left when the stream has ended, with the dialect's last sign or without it."""
        ...

    def whole(self, body: Mapping[str, Any]) -> list[Event]:
        """Return the events of a whole answer."""
        ...


class AnswerWriter(Protocol):
    """Writes an answer for the caller: the data of its dialect's events, each a JSON object."""

    def feed(self, event: Event) -> list[dict[str, Any]]:
        """Return the caller's events for one of ours."""
        ...

    def waiting(self) -> list[dict[str, Any]]:
        """Return an event that says that the answer goes on, for a caller that waits for long."""
        ...

    def whole(self, answer: Answer) -> dict[str, Any]:
        """Return a whole answer."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, or as much of it as came. Its `broken` is set where it has no end."""

    id: str = ""
    model: str = ""
    created: int = 0
    parts: tuple[Part, ...] = ()
    stop: Stop | None = None
    usage: Usage = NO_USAGE
    ended: bool = False
    broken: BrokenOff | None = None


@dataclass(slots=True)
class _Slot:
    part: Part
    texts: list[str] = field(default_factory=list)
    seal: Seal | None = None

    def whole(self) -> Part:
        text, part = "".join(self.texts), self.part
        if isinstance(part, Call):
            return replace(part, args=part.args + text, seal=self.seal or part.seal)
        if isinstance(part, Thinking):
            return replace(part, text=part.text + text, seal=self.seal or part.seal)
        if isinstance(part, Text | Refusal):
            return replace(part, text=part.text + text)
        return part


class Fold:
    """Gathers events into a whole answer, whose parts are in the order in which they were opened."""

    __slots__ = ("_broken", "_ended", "_slots", "_start", "_stop", "_usage")

    def __init__(self) -> None:
        self._start = Start("", "")
        self._slots: dict[int, _Slot] = {}
        self._stop: Stop | None = None
        self._usage = NO_USAGE
        self._ended = False
        self._broken: BrokenOff | None = None

    def feed(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case Delta(slot, text):
                self._slots[slot].texts.append(text)
            case Open(slot, part):
                self._slots[slot] = _Slot(part)
            case Sealed(slot, seal):
                self._slots[slot].seal = seal
            case UsageSeen(usage):
                self._usage = usage
            case Stopped(stop):
                self._stop = stop
            case Start():
                self._start = event
            case End():
                self._ended = True
            case BrokenOff():
                self._broken = event

    def part(self, slot: int) -> Part:
        """Return the part of a slot, as far as it came."""
        return self._slots[slot].whole()

    def answer(self) -> Answer:
        """Return what came so far."""
        parts = tuple(slot.whole() for slot in self._slots.values())
        start = self._start
        return Answer(
            id=start.id,
            model=start.model,
            created=start.created,
            parts=parts,
            stop=self._stop,
            usage=self._usage,
            ended=self._ended,
            broken=self._broken,
        )


def fold(events: Iterable[Event]) -> Answer:
    """Return the whole answer that events make."""
    folded = Fold()
    for event in events:
        folded.feed(event)
    return folded.answer()


def replay(answer: Answer) -> Iterator[Event]:
    """Yield events of which an answer is the fold, part by part."""
    yield Start(answer.id, answer.model, answer.created)
    for slot, part in enumerate(answer.parts):
        empty, text = _emptied(part)
        yield Open(slot, empty)
        if text:
            yield Delta(slot, text)
        if isinstance(part, Thinking) and part.seal is not None:
            yield Sealed(slot, part.seal)
        yield Close(slot)
    if answer.usage != NO_USAGE:
        yield UsageSeen(answer.usage)
    if answer.stop is not None:
        yield Stopped(answer.stop)
    if answer.ended:
        yield End()
    if answer.broken is not None:
        yield answer.broken


def _emptied(part: Part) -> tuple[Part, str]:
    """Return a part as it is opened, and its text."""
    if isinstance(part, Call):
        return replace(part, args=""), part.args
    if isinstance(part, Thinking):
        return Thinking(), part.text
    if isinstance(part, Text | Refusal):
        return replace(part, text=""), part.text
    return part, ""
