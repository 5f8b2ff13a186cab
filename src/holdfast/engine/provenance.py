"""Why a connection is what it is: for provider, model, endpoint, key and dialect each, what set it, where
that is written, and what changed it last; then what happened, in order. It reads the configuration and the
journal, and claims nothing that stands in neither."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..config.positions import join
from ..core.config import Config
from ..core.errors import ConnectionLost, HoldfastError
from ..core.explain import Clock
from ..core.identity import Dialect, Key, Pin, Provider
from ..core.routing import provider_of
from ..core.session import Session
from ..store.journal_events import Attempted, Choice, Detail, Event, FellBack, of_type
from ..store.stored_events import event_values
from .journal import utc, why


class SetBy(StrEnum):
    """What set a part of a connection."""

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
    """One part: its value; `by` what it was set, in words (`source`) and where that is written (`place`,
    file:line; "" for what is in no file); what changed it last, in words (`changed`), and when (epoch
    seconds; None: nothing that is recorded)."""

    name: str
    value: str
    by: SetBy
    source: str
    place: str = ""
    changed: str = ""
    changed_at: float | None = None

    def line(self, clock: Clock) -> str:
        """Where it comes from and what changed it, for reading."""
        changed = f"{self.changed} {clock(self.changed_at)}" if self.changed_at is not None else self.changed
        return f"from {self.source}" + (f"; {changed}" if changed else "")


@dataclass(frozen=True, slots=True)
class Why:
    """The answer to "why": of a session or of one request of it."""

    subject: str
    parts: tuple[Field, ...]
    events: tuple[Event[Detail], ...]

    @property
    def attempts(self) -> tuple[Event[Attempted], ...]:
        """What was sent, in order."""
        return tuple(of_type(self.events, Attempted))

    def part(self, name: str) -> Field:
        """The first part of that name. Raises KeyError when there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)

    def text(self, clock: Clock = utc) -> str:
        """For reading."""
        lines = [
            line
            for part in self.parts
            for line in (f"{part.name:<9} {part.value}", f"          {part.line(clock)}")
        ]
        return "\n".join([*lines, *[""] * bool(self.parts and self.events), *why(self.events, clock=clock)])

    def values(self) -> dict[str, Any]:
        """As JSON values."""
        told = [
            {
                "part": p.name,
                "value": p.value,
                "by": str(p.by),
                "source": p.source,
                "place": p.place,
                "changed": p.changed,
                "changed_at": p.changed_at,
            }
            for p in self.parts
        ]
        return {
            "subject": self.subject,
            "connection": told,
            "events": [event_values(event) for event in self.events],
        }


def session_origin(
    config: Config, session: Session, events: Sequence[Event[Detail]], now: float, clock: Clock = utc
) -> tuple[Field, ...]:
    """Where a session's connection comes from as it stands; `events` are the session's."""
    choices = of_type(events, Choice)
    chosen = choices[-1] if choices else None
    active = session.on_fallback(now)
    pin = active.fallback if active is not None else session.pin
    by, source, place = SetBy.SESSION, f"session '{session.id}', chosen by its user", ""
    kind, at = (str(chosen.kind), chosen.at) if chosen is not None else ("changed", session.changed_at)
    if chosen is not None and chosen.detail.project:
        place = chosen.detail.project
        by, source = SetBy.PROJECT, f"session '{session.id}', selected by {place}"
    if active is not None:
        place = config.place(join("fallback", str(session.pin)))
        by = SetBy.FALLBACK
        source = (
            f"the fallbacks of {session.pin} ({place}), in use until {clock(active.until)}: {active.reason}"
        )
        begun = of_type(events, FellBack)
        kind, at = ("fell back", begun[-1].at) if begun else ("", session.changed_at)
    head = [
        Field(name, value, by, source, place, kind, at if kind else None)
        for name, value in (("provider", pin.provider), ("model", pin.model))
    ]
    try:
        provider = provider_of(config, pin)
    except HoldfastError as error:
        return (*head, Field("endpoint", "none", SetBy.NOBODY, f"nowhere: {error.what}"))
    attempts = [event for event in of_type(events, Attempted) if event.pin.partition("/")[0] == pin.provider]
    label = session.key if active is None else None
    last = attempts[-1].detail if attempts else None
    used = label or (last.key if last is not None else None) or session.kept_key
    key = next((one for one in provider.keys if one.label == used), None)
    reached = [
        one for one in provider.dialects if provider.endpoint_for(one, key) or provider.endpoint_for(one)
    ]
    endpoints = [_endpoint(config, provider, dialect, key, attempts) for dialect in reached]
    spoken = str(last.dialect or "") if last is not None else ""
    dialect = Field(
        "dialect",
        spoken or ", ".join(provider.dialects),
        SetBy.REQUEST if spoken else SetBy.FILE,
        *_spoken(config, provider, spoken),
    )
    try:
        provider_of(config, pin, label)
    except ConnectionLost as lost:
        return (*head, *endpoints, Field("key", str(label), SetBy.NOBODY, f"nowhere: {lost.what}"), dialect)
    return (*head, *endpoints, *_keys(config, provider, key, attempts, session.id if label else ""), dialect)


def _spoken(config: Config, provider: Provider, spoken: str) -> tuple[str, str]:
    place = config.place(join("provider", provider.name))
    return ("the last request's client", "") if spoken else (f"provider '{provider.name}' ({place})", place)


def _endpoint(
    config: Config,
    provider: Provider,
    dialect: Dialect,
    key: Key | None,
    attempts: Sequence[Event[Attempted]],
) -> Field:
    """The address of one dialect, who wrote it, and since when requests go there instead of elsewhere."""
    owner = key if key is not None and any(one.dialect is dialect for one in key.endpoints) else None
    endpoint = next(
        one
        for one in (owner.endpoints if owner is not None else provider.endpoints)
        if one.dialect is dialect
    )
    written, preset = config.sources.get(
        (provider.name, owner.label if owner is not None else "", dialect), ("", "")
    )
    by = SetBy.FILE if written else SetBy.PRESET if preset else SetBy.NOBODY
    source = config.endpoint_source(provider, dialect, owner) or "the configuration"
    spoken = [event for event in attempts if event.detail.dialect is dialect and event.detail.url]
    before = next((event for event in reversed(spoken) if event.detail.url != endpoint.url), None)
    after = next((event for event in spoken if before is not None and event.at > before.at), None)
    changed = f"before that {before.detail.url}, until" if before is not None else ""
    at = (after.at if after is not None else before.at) if before is not None else None
    return Field(
        "endpoint",
        f"{endpoint.url} ({dialect}, auth {endpoint.auth})",
        by,
        source,
        config.place(written) if written else "",
        changed,
        at,
    )


def _keys(
    config: Config, provider: Provider, key: Key | None, attempts: Sequence[Event[Attempted]], chosen_for: str
) -> tuple[Field, ...]:
    """The key in use, or those that could be."""
    if not provider.keys:
        return ()
    path = join("provider", provider.name)
    if key is None:
        labels, place = ", ".join(one.label for one in provider.keys), config.place(f"{path}.keys")
        return (
            Field("key", labels, SetBy.FILE, f"provider '{provider.name}' ({place}), none used yet", place),
        )
    place = config.place(f"{path}.keys[{provider.keys.index(key)}]")
    which = "chosen for this session" if chosen_for else "the last one that was used"
    by, source = SetBy.SESSION if chosen_for else SetBy.POOL, f"provider '{provider.name}' ({place}), {which}"
    other = next((event for event in reversed(attempts) if event.detail.key != key.label), None)
    changed, at = "", None
    if other is not None and not chosen_for:
        changed = f"before that key '{other.detail.key}',"
        if other.detail.fault is not None:
            changed += f" left because of {other.detail.fault.kind},"
        at = other.at
    return (Field("key", f"{key.label} ({key.ref.partition(':')[0]}:…)", by, source, place, changed, at),)


def request_origin(
    config: Config, request: str, events: Sequence[Event[Detail]], before: Iterable[Event[Detail]] = ()
) -> tuple[Field, ...]:
    """Where the connection of a request's last attempt came from. `events` are the request's, `before` those
    of its session: by them the choice that held then is known. Empty without an attempt."""
    attempts = of_type(events, Attempted)
    last = next((event for event in reversed(attempts) if event.request == request), None)
    if last is None:
        return ()
    pin = Pin.parse(last.pin)
    choices = [event for event in of_type(before, Choice) if event.at <= last.at]
    chosen = choices[-1] if choices else None
    by, source, at = SetBy.COMMAND, "the command line", None
    if chosen is not None and chosen.pin == last.pin:
        by, source, at = SetBy.SESSION, f"session '{last.session}', chosen by its user", chosen.at
    elif (
        chosen is not None
        and (fallback_chain := config.fallbacks.get(Pin.parse(chosen.pin))) is not None
        and pin in fallback_chain.then
    ):
        place = config.place(join("fallback", chosen.pin))
        by, source, at = SetBy.FALLBACK, f"a fallback of {chosen.pin} ({place})", last.at
    elif chosen is not None:
        by, source = (
            SetBy.REQUEST,
            f"the request itself, which named another model than session '{last.session}'",
        )
    elif last.session:
        by, source = (
            SetBy.SESSION,
            f"session '{last.session}', or one of its fallbacks, or the request itself",
        )
    changed = str(chosen.kind) if chosen is not None and at is not None else ""
    url, dialect, label = last.detail.url, str(last.detail.dialect or ""), last.detail.key or ""
    written, where = _address(config, pin.provider, url, dialect)
    rotated = [event for event in attempts if (event.detail.key or "") != label and event.pin == last.pin]
    why_key = f"key '{rotated[-1].detail.key}' was tried first" if rotated else ""
    return (
        Field("provider", pin.provider, by, source, "", changed, at if changed else None),
        Field("model", pin.model, by, source, "", changed, at if changed else None),
        Field("endpoint", url, SetBy.FILE if where else SetBy.NOBODY, written, where),
        Field(
            "key",
            label or "none",
            SetBy.POOL,
            f"provider '{pin.provider}'",
            "",
            why_key,
            rotated[-1].at if rotated else None,
        ),
        Field("dialect", dialect, SetBy.REQUEST, "the request's client"),
    )


def _address(config: Config, name: str, url: str, dialect: str) -> tuple[str, str]:
    """Who sets the address of a past attempt today, in words, and where."""
    for provider in (one for one in config.providers.values() if one.name == name):
        for key in (None, *provider.keys):
            for endpoint in key.endpoints if key is not None else provider.endpoints:
                if (endpoint.url, endpoint.dialect) == (url, dialect):
                    written, _ = config.sources.get(
                        (provider.name, key.label if key is not None else "", endpoint.dialect), ("", "")
                    )
                    return config.endpoint_source(provider, endpoint.dialect, key), config.place(
                        written
                    ) if written else ""
    return "an address that is configured no more", ""
