"""What the journal holds: attempts and changes, append-only, in plain words and without secrets. `why` reads
nothing else.

Each kind of event has one type here, which says what such an event tells: every writer makes it, every reader
gets it. How it is stored follows from its fields (`stored_events`): those without a default always, the
others where they say something.

Lines are read for years, by older and newer software. A field that is missing is not recorded: an empty text,
None, or 0. A field of another release, and a value that cannot be read, stays in `more` as it was stored. A
kind of another release is an `UnknownEvent`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from ..core.faults import Fault, FaultClass
from ..core.identity import Connection, Dialect
from ..core.steps import Attempt

More = tuple[tuple[str, object], ...]
"""Names and JSON values that are stored with an event and have no readable field."""


class EventKind(StrEnum):
    """What happened, as programs read it; in the database some have an older word (`stored_events`)."""

    ATTEMPT = "attempt"
    USAGE = "usage"
    CREATED = "created"
    RESUMED = "resumed"
    SWITCHED = "switched"
    REFUSED = "refused"
    FELL_BACK = "fell-back"
    ANSWERS_AGAIN = "answers-again"
    RETURNED = "returned"
    KEY_CHANGED = "key-changed"
    TRUNCATED = "truncated"
    HEALED = "healed"
    RENAMED = "renamed"
    RELABELLED = "relabelled"
    REMOVED = "removed"
    MODEL_DIFFERS = "model-differs"
    PROVISIONED = "provisioned"


# The three that come with every request are named tuples: these cost a third of a frozen dataclass.
class Attempted(NamedTuple):
    """One send, or one key that could not be read. `key` is None where none was needed, `fault` where the
    answer was good; `seconds` is how long it took; `probe` says that it tested the key; `then` why the next
    step was taken."""

    number: int
    key: str | None
    url: str
    dialect: Dialect | None
    seconds: float | None
    probe: bool = False
    fault: Fault | None = None
    then: str = ""
    more: More = ()

    @classmethod
    def of(cls, attempt: Attempt) -> Attempted:
        """Return what the journal keeps of an attempt."""
        number, connection, sent_at, ended_at, fault, probe, then = attempt
        key = connection.key
        label = None if key is None else key.label
        seconds = round(ended_at - sent_at, 4)
        # In the order of the fields: by their names it would cost three times as much, and every request
        # passes here.
        return cls._make(
            (number, label, connection.endpoint.url, connection.dialect, seconds, probe, fault, then, ())
        )

    @property
    def host(self) -> str:
        """The host that was asked, with its port where the address names one."""
        return self.url.partition("://")[2].partition("/")[0]

    def attempt(self, connection: Connection, sent_at: float) -> Attempt:
        """Return the attempt that was kept, which went out on `connection` at `sent_at` (epoch seconds)."""
        return Attempt(
            number=self.number,
            connection=connection,
            sent_at=sent_at,
            ended_at=sent_at + (self.seconds or 0.0),
            fault=self.fault,
            probe=self.probe,
            then=self.then,
        )


class UsageCounted(NamedTuple):
    """What the provider counted for one answer: `tokens` by a name for each kind (`input`, `output`, …)."""

    tokens: Mapping[str, int]
    more: More = ()


class ModelDiffered(NamedTuple):
    """Another model answered than the one that was chosen."""

    chosen: str
    answered: str
    more: More = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A session came to its pin, in one of the ways below. `key` is the label of the one key that its user
    chose; `project` the file that selected the pin, `imported` the program or file that it came from, `moved`
    the move that it was part of, `model` what the first request named."""

    key: str = ""
    project: str = ""
    imported: str = ""
    moved: str = ""
    model: str = ""
    more: More = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCreated(Choice):
    """The session was created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSwitched(Choice):
    """Its user chose another pin than `before`."""

    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHealed(Choice):
    """Its row could not be read, and its user chose anew. `before` is the pin as it stood there."""

    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRenamed(Choice):
    """The provider of its pin got another name. `before` is the pin with the old one."""

    before: str


@dataclass(frozen=True, slots=True)
class KeysRelabelled:
    """The labels of keys that older software took from their position were replaced: the chosen key that was
    called `before` is called `key` now, and the kept key `forgotten` is no longer kept."""

    before: str = ""
    key: str = ""
    forgotten: str = ""
    more: More = ()


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """A program went on with the session."""

    more: More = ()


@dataclass(frozen=True, slots=True)
class SessionRemoved:
    """The session was removed."""

    more: More = ()


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """Nothing was sent: the last verdict on the key is remembered, until `until` (epoch seconds)."""

    fault: FaultClass | None
    key: str
    until: float | None
    more: More = ()


@dataclass(frozen=True, slots=True)
class FellBack:
    """The fallback that is the event's pin answers, or goes on to answer, until `until` (epoch seconds)."""

    reason: str
    until: float | None
    more: More = ()


@dataclass(frozen=True, slots=True)
class ChoiceAnswers:
    """The chosen connection answers again: it was asked beside the requests, and the next turn returns to
    it."""

    more: More = ()


@dataclass(frozen=True, slots=True)
class ReturnedToChoice:
    """The session is back on its choice."""

    more: More = ()


@dataclass(frozen=True, slots=True)
class KeyChanged:
    """The value of a key is another one."""

    key: str
    more: More = ()


@dataclass(frozen=True, slots=True)
class AnswerTruncated:
    """The answer broke off after its first part had been passed on. `excerpt` is what the provider said,
    redacted."""

    fault: FaultClass | None
    cause: str
    excerpt: str
    more: More = ()


@dataclass(frozen=True, slots=True)
class ProvisioningChanged:
    """The set-up of the provider that is the event's pin came to `state`, for `reason`. `told` is what the
    service said."""

    state: str
    reason: str
    told: str
    more: More = ()


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """An event of a kind that this release does not know, with its values as they are stored."""

    kind: str
    values: Mapping[str, object]


KINDS: Mapping[type, EventKind] = {
    Attempted: EventKind.ATTEMPT,
    UsageCounted: EventKind.USAGE,
    SessionCreated: EventKind.CREATED,
    SessionResumed: EventKind.RESUMED,
    SessionSwitched: EventKind.SWITCHED,
    RequestRefused: EventKind.REFUSED,
    FellBack: EventKind.FELL_BACK,
    ChoiceAnswers: EventKind.ANSWERS_AGAIN,
    ReturnedToChoice: EventKind.RETURNED,
    KeyChanged: EventKind.KEY_CHANGED,
    AnswerTruncated: EventKind.TRUNCATED,
    SessionHealed: EventKind.HEALED,
    ProviderRenamed: EventKind.RENAMED,
    KeysRelabelled: EventKind.RELABELLED,
    SessionRemoved: EventKind.REMOVED,
    ModelDiffered: EventKind.MODEL_DIFFERS,
    ProvisioningChanged: EventKind.PROVISIONED,
}

Detail = (
    Attempted
    | UsageCounted
    | ModelDiffered
    | Choice
    | KeysRelabelled
    | SessionResumed
    | SessionRemoved
    | RequestRefused
    | FellBack
    | ChoiceAnswers
    | ReturnedToChoice
    | KeyChanged
    | AnswerTruncated
    | ProvisioningChanged
    | UnknownEvent
)
"""What an event tells."""
D_co = TypeVar("D_co", bound=Detail, covariant=True)


class Event(NamedTuple, Generic[D_co]):
    """One line of the journal: what happened (`detail`), at which time (epoch seconds of the store's clock),
    to which session, request and pin; each is empty where the event concerns none."""

    at: float
    detail: D_co
    session: str = ""
    request: str = ""
    pin: str = ""

    @property
    def kind(self) -> str:
        """The kind: an `EventKind`, or the name that another release gave it."""
        if isinstance(self.detail, UnknownEvent):
            return self.detail.kind
        return KINDS[type(self.detail)]


def of_type(events: Iterable[Event[Detail]], wanted: type[D_co]) -> list[Event[D_co]]:
    """Return the events that tell of this, in their order."""
    return [event for event in events if isinstance(event.detail, wanted)]  # type: ignore[misc]
