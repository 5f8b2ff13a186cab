"""The events of the journal: attempts and changes, append-only, without secrets. `holdfast why` reads nothing
else.

Each kind of event has one type with its details, used by all writers and readers. Its fields determine how it
is stored (`stored_events`): fields without a default always, others if they differ from it.

Events are read for years, by older and newer versions. A missing field reads as an empty text, None, or 0. A
field of another release, and a value that cannot be read, stays in `more` as it was stored. A kind of another
release is an `UnknownEvent`."""

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
    """The kinds as programs read them; some have an older word in the database (`stored_events`)."""

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
    FORMER_NAME = "former-name"
    REFUSED_ELSEWHERE = "refused-elsewhere"
    MODEL_DIFFERS = "model-differs"
    PROVISIONED = "provisioned"
    GIVEN_UP = "given-up"
    TRANSLATED = "translated"


# Named tuples: the class and each object cost a fraction of a frozen dataclass; every program that opens the
# store creates the classes, and every request makes objects of the first three. Types with the same fields
# share the methods of one dataclass; its subclasses are never equal to each other.
class Attempted(NamedTuple):
    """A send, or a key that could not be read. `key` is None if none was needed, `fault` if the answer was
    good; `seconds` is the duration; `probe` is True for a test of the key; `then` is the reason of the next
    step."""

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
        """Return the event for an attempt."""
        number, connection, sent_at, ended_at, fault, probe, then = attempt
        key = connection.key
        label = None if key is None else key.label
        seconds = round(ended_at - sent_at, 4)
        # Positional and through _make because names cost three times as much, and every request passes here.
        return cls._make(
            (number, label, connection.endpoint.url, connection.dialect, seconds, probe, fault, then, ())
        )

    @property
    def host(self) -> str:
        """Return the host of the URL, with its port if there is one."""
        return self.url.partition("://")[2].partition("/")[0]

    def attempt(self, connection: Connection, sent_at: float) -> Attempt:
        """Return the attempt, which was sent on `connection` at `sent_at` (epoch seconds)."""
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
    """The provider's count for an answer: `tokens` by kind (`input`, `output`, …)."""

    tokens: Mapping[str, int]
    more: More = ()


class ModelDiffered(NamedTuple):
    """A model answered that is not the chosen one."""

    chosen: str
    answered: str
    more: More = ()


class RequestTranslated(NamedTuple):
    """A request was translated from its caller's dialect into its endpoint's; `less` names what was lost,
    between commas."""

    caller: str
    endpoint: str
    less: str = ""
    more: More = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A session got its pin, in one of the ways below. `key` is the label of the key that its user chose,
    `project` the file that selected the pin, `imported` the program or file that it came from, `moved` the
    move that it was part of, `model` the model of its first request."""

    key: str = ""
    project: str = ""
    imported: str = ""
    moved: str = ""
    model: str = ""
    more: More = ()


class SessionCreated(Choice):
    """The session was created."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChangedChoice(Choice):
    """A choice in place of another pin, `before`."""

    before: str


class SessionSwitched(_ChangedChoice):
    """Its user chose another pin than `before`."""

    __slots__ = ()


class SessionHealed(_ChangedChoice):
    """Its row could not be read, and its user chose again. `before` is the pin as it was stored."""

    __slots__ = ()


class ProviderRenamed(_ChangedChoice):
    """The provider of its pin got another name. `before` is the pin with the old one."""

    __slots__ = ()


class KeysRelabelled(NamedTuple):
    """Key labels that older versions took from a position were replaced: the chosen key `before` is `key`
    now, and the kept key `forgotten` was dropped."""

    before: str = ""
    key: str = ""
    forgotten: str = ""
    more: More = ()


@dataclass(frozen=True, slots=True)
class _WithoutDetails:
    """An event without details of its own."""

    more: More = ()


class SessionResumed(_WithoutDetails):
    """A program continued the session."""

    __slots__ = ()


class SessionRemoved(_WithoutDetails):
    """The session was removed."""

    __slots__ = ()


class FormerNameUsed(NamedTuple):
    """Requests ask for `asked`, the name of the session's former choice `former`: it means the session's
    present pin. Written once for each name, choice and process."""

    asked: str
    former: str
    more: More = ()


class RequestRefused(NamedTuple):
    """Nothing was sent: the last verdict on the key still applies, until `until` (epoch seconds)."""

    fault: FaultClass | None
    key: str
    until: float | None
    more: More = ()


class FellBack(NamedTuple):
    """The fallback in the event's pin is used, or used further, until `until` (epoch seconds)."""

    reason: str
    until: float | None
    more: More = ()


class ChoiceAnswers(_WithoutDetails):
    """The chosen connection answers again, as a background test showed; the next turn returns to it."""

    __slots__ = ()


class ReturnedToChoice(_WithoutDetails):
    """The session is on its chosen pin again."""

    __slots__ = ()


class KeyChanged(NamedTuple):
    """The value of a key changed."""

    key: str
    more: More = ()


class AnswerTruncated(NamedTuple):
    """The answer broke off after part of it had reached the client. `excerpt` is the provider's text,
    redacted."""

    fault: FaultClass | None
    cause: str
    excerpt: str
    more: More = ()


class RequestGivenUp(NamedTuple):
    """A request ended for `reason`, a clause, while it waited: it has neither an answer nor a fault."""

    reason: str
    more: More = ()


class ProvisioningChanged(NamedTuple):
    """The provider in the event's pin reached the provisioning `state`, for `reason`; `message` is the text
    of its service."""

    state: str
    reason: str
    message: str
    more: More = ()


class RefusedElsewhere(NamedTuple):
    """A gateway refused the session's token, which is good at another one only."""

    more: More = ()


class UnknownEvent(NamedTuple):
    """An event of a kind that this release does not know, with its values as stored."""

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
    FormerNameUsed: EventKind.FORMER_NAME,
    RefusedElsewhere: EventKind.REFUSED_ELSEWHERE,
    ModelDiffered: EventKind.MODEL_DIFFERS,
    ProvisioningChanged: EventKind.PROVISIONED,
    RequestGivenUp: EventKind.GIVEN_UP,
    RequestTranslated: EventKind.TRANSLATED,
}

Detail = (
    Attempted
    | UsageCounted
    | ModelDiffered
    | Choice
    | KeysRelabelled
    | SessionResumed
    | SessionRemoved
    | FormerNameUsed
    | RefusedElsewhere
    | RequestRefused
    | FellBack
    | ChoiceAnswers
    | ReturnedToChoice
    | KeyChanged
    | AnswerTruncated
    | RequestGivenUp
    | RequestTranslated
    | ProvisioningChanged
    | UnknownEvent
)
"""The details of an event."""
D_co = TypeVar("D_co", bound=Detail, covariant=True)


class Event(NamedTuple, Generic[D_co]):
    """An event of the journal: its details, its time (epoch seconds of the store's clock), and its session,
    request and pin, each empty if the event has none."""

    at: float
    detail: D_co
    session: str = ""
    request: str = ""
    pin: str = ""

    @property
    def kind(self) -> str:
        """Return the kind: an `EventKind`, or the name that another release gave it."""
        if isinstance(self.detail, UnknownEvent):
            return self.detail.kind
        return KINDS[type(self.detail)]


def of_type(events: Iterable[Event[Detail]], wanted: type[D_co]) -> list[Event[D_co]]:
    """Return the events whose details have this type, in order."""
    return [event for event in events if isinstance(event.detail, wanted)]  # type: ignore[misc]
