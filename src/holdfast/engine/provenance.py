"""The origin of a connection: for provider, model, endpoint, key and dialect each, what set it, where that is
written, and what changed it last; then the events, in order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from ..core.explain import Clock
from ..store.journal_events import Attempted, Detail, Event, of_type
from ..store.stored_events import event_values
from ..store.usage import Usage
from .journal import utc, why


class SetBy(StrEnum):
    """The kinds of origin of a part."""

    SESSION = "session"
    PROJECT = "project"
    FALLBACK = "fallback"
    REQUEST = "request"
    FILE = "file"
    PRESET = "preset"
    POOL = "pool"
    COMMAND = "command"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Field:
    """A part of a connection: its value and its origin. `source` is the origin in words, `location` where it
    is written (file:line; "" for what is in no file), `changed` its last change in words, and `changed_at`
    the time of that (epoch seconds; None: none is recorded)."""

    name: str
    value: str
    by: SetBy
    source: str
    location: str = ""
    changed: str = ""
    changed_at: float | None = None

    def line(self, clock: Clock) -> str:
        """Return origin and last change as a line for people."""
        line = f"from {self.source}"
        if self.changed:
            line += f"; {self.changed}"
            if self.changed_at is not None:
                line += f" {clock(self.changed_at)}"
        return line

    def values(self) -> dict[str, Any]:
        """Return the part as JSON values."""
        return {
            "part": self.name,
            "value": self.value,
            "by": str(self.by),
            "source": self.source,
            "place": self.location,
            "changed": self.changed,
            "changed_at": self.changed_at,
        }


@dataclass(frozen=True, slots=True)
class Why:
    """The origin of a session's connection or of a request's, with the events about it, and of a session the
    usage by pin."""

    subject: str
    parts: tuple[Field, ...]
    events: tuple[Event[Detail], ...]
    usage: tuple[Usage, ...] = ()

    @property
    def attempts(self) -> tuple[Event[Attempted], ...]:
        """Return the attempts, in order."""
        return tuple(of_type(self.events, Attempted))

    def part(self, name: str) -> Field:
        """Return the first part of that name. Raises KeyError if there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)

    def text(self, clock: Clock = utc) -> str:
        """Return all of it as text for people."""
        lines: list[str] = []
        for part in self.parts:
            lines += [f"{part.name:<9} {part.value}", f"          {part.line(clock)}"]
        lines += [f"{'usage':<9} {usage_line(sums)}" for sums in self.usage]
        if self.parts and self.events:
            lines.append("")
        return "\n".join([*lines, *why(self.events, clock=clock)])

    def values(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "subject": self.subject,
            "connection": [part.values() for part in self.parts],
            "events": [event_values(event) for event in self.events],
            "usage": [usage_values(sums) for sums in self.usage],
        }


def usage_line(sums: Usage) -> str:
    """Return the usage of a pin as a line for people."""
    counts = f"{sums.requests:,} requests, {sums.tokens_in:,} tokens in, {sums.tokens_out:,} out"
    return f"{counts} ({sums.pin})"


def usage_values(sums: Usage) -> dict[str, Any]:
    """Return sums as JSON values: counts, and the fields that they are for."""
    return {name: value for name, value in sums._asdict().items() if value != ""}


class Origin(NamedTuple):
    """The origin of a value, as in `Field`."""

    by: SetBy
    source: str
    location: str = ""
    changed: str = ""
    changed_at: float | None = None

    def field(self, name: str, value: str) -> Field:
        """Return a part with this origin."""
        return Field(
            name=name,
            value=value,
            by=self.by,
            source=self.source,
            location=self.location,
            changed=self.changed,
            changed_at=self.changed_at,
        )
