"""The origins of a session's or a request's connection, read from the configuration and the journal. Nothing
is claimed that is in neither."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..config.toml_text import join
from ..core.config import Config
from ..core.errors import ConnectionLost, HoldfastError
from ..core.explain import Clock
from ..core.identity import Dialect, Endpoint, Key, Pin, Provider
from ..core.routing import provider_of
from ..core.session import ActiveFallback, Session
from ..store.journal_events import Attempted, Choice, Detail, Event, FellBack, of_type
from .journal import utc
from .provenance import Field, Origin, SetBy


def session_origin(
    config: Config, session: Session, events: Sequence[Event[Detail]], now: float, clock: Clock = utc
) -> tuple[Field, ...]:
    """Return the origin of a session's connection at `now` (epoch seconds); `events` are the session's."""
    active = session.fallback_in_force(config.fallbacks.get(session.pin), now)
    if active is None:
        pin, label, chosen = session.pin, session.key, _session_choice(session, events)
    else:
        pin, label = active.fallback, None
        chosen = _fallback_choice(config, session, active, events=events, clock=clock)
    head = (chosen.field("provider", pin.provider), chosen.field("model", pin.model))
    try:
        provider = provider_of(config, pin)
    except HoldfastError as error:
        return (*head, _unconfigured("endpoint", "none", error))
    attempts = [event for event in of_type(events, Attempted) if event.pin.partition("/")[0] == pin.provider]
    last_key = ""
    if attempts:
        last_key = attempts[-1].detail.key or ""
    used = label or last_key or session.kept_key
    key = next((key for key in provider.keys if key.label == used), None)
    endpoints = [
        _endpoint(config, provider, key, dialect=dialect, attempts=attempts)
        for dialect in provider.dialects
        if provider.endpoint_for(dialect, key) or provider.endpoint_for(dialect)
    ]
    dialect = _dialect(config, provider, attempts)
    try:
        provider_of(config, pin, label)
    except ConnectionLost as lost:
        return (*head, *endpoints, _unconfigured("key", str(label), lost), dialect)
    return (*head, *endpoints, *_keys(config, provider, key, attempts=attempts, chosen=label), dialect)


def request_origin(
    config: Config, request: str, events: Sequence[Event[Detail]], before: Iterable[Event[Detail]] = ()
) -> tuple[Field, ...]:
    """Return the origin of the connection of a request's last attempt; empty without an attempt.

    `events` are the request's; `before` are those of its session, which tell the choice at that time.
    """
    attempts = of_type(events, Attempted)
    last = next((event for event in reversed(attempts) if event.request == request), None)
    if last is None:
        return ()
    pin = Pin.parse(last.pin)
    choices = [event for event in of_type(before, Choice) if event.at <= last.at]
    chosen = _request_choice(config, pin, last, choices)
    url, dialect, label = last.detail.url, str(last.detail.dialect or ""), last.detail.key or ""
    others = [event for event in attempts if (event.detail.key or "") != label and event.pin == last.pin]
    key = Origin(SetBy.POOL, f"provider '{pin.provider}'")
    if others:
        tried = f"key '{others[-1].detail.key}' was tried first"
        key = key._replace(changed=tried, changed_at=others[-1].at)
    return (
        chosen.field("provider", pin.provider),
        chosen.field("model", pin.model),
        _past_address(config, pin, url, dialect).field("endpoint", url),
        key.field("key", label or "none"),
        Field("dialect", dialect, SetBy.REQUEST, "the request, as it was sent"),
    )


def _session_choice(session: Session, events: Iterable[Event[Detail]]) -> Origin:
    """Return the origin of a session's own pin."""
    origin = Origin(
        SetBy.SESSION,
        f"session '{session.id}', chosen by its user",
        changed="changed",
        changed_at=session.changed_at,
    )
    choices = of_type(events, Choice)
    if not choices:
        return origin
    choice = choices[-1]
    origin = origin._replace(changed=str(choice.kind), changed_at=choice.at)
    project = choice.detail.project
    if not project:
        return origin
    source = f"session '{session.id}', selected by {project}"
    return origin._replace(by=SetBy.PROJECT, source=source, location=project)


def _fallback_choice(
    config: Config,
    session: Session,
    active: ActiveFallback,
    *,
    events: Iterable[Event[Detail]],
    clock: Clock,
) -> Origin:
    """Return the origin of the pin of a session that is on a fallback."""
    location = config.locate(join("fallback", str(session.pin)))
    until = f"in use until {clock(active.until)}: {active.reason}"
    origin = Origin(SetBy.FALLBACK, f"the fallbacks of {session.pin} ({location}), {until}", location)
    started = of_type(events, FellBack)
    if not started:
        return origin
    return origin._replace(changed="fell back", changed_at=started[-1].at)


def _request_choice(
    config: Config, pin: Pin, last: Event[Attempted], choices: Sequence[Event[Choice]]
) -> Origin:
    """Return the origin of the pin of a request's last attempt; `choices` are those before it."""
    if not choices:
        if not last.session:
            return Origin(SetBy.COMMAND, "the command line")
        source = f"session '{last.session}', or one of its fallbacks, or the request itself"
        return Origin(SetBy.SESSION, source)
    choice = choices[-1]
    changed = str(choice.kind)
    if choice.pin == last.pin:
        source = f"session '{last.session}', chosen by its user"
        return Origin(SetBy.SESSION, source, changed=changed, changed_at=choice.at)
    chain = config.fallbacks.get(Pin.parse(choice.pin))
    if chain is not None and pin in chain.then:
        source = f"a fallback of {choice.pin} ({config.locate(join('fallback', choice.pin))})"
        return Origin(SetBy.FALLBACK, source, changed=changed, changed_at=last.at)
    source = f"the request itself, which named another model than session '{last.session}'"
    return Origin(SetBy.REQUEST, source)


def _endpoint(
    config: Config,
    provider: Provider,
    key: Key | None,
    *,
    dialect: Dialect,
    attempts: Sequence[Event[Attempted]],
) -> Field:
    """Return the address of one dialect, its origin, and since when requests go there instead of
    elsewhere."""
    owner = None
    if key is not None and any(endpoint.dialect is dialect for endpoint in key.endpoints):
        owner = key
    endpoint = next(item for item in _own_endpoints(provider, owner) if item.dialect is dialect)
    written, preset = _written(config, provider, owner, dialect)
    by = SetBy.NOBODY
    if written:
        by = SetBy.FILE
    elif preset:
        by = SetBy.PRESET
    source = config.endpoint_source(provider, dialect, owner) or "the configuration"
    origin = Origin(by, source, _location(config, written))
    spoken = [event for event in attempts if event.detail.dialect is dialect and event.detail.url]
    before = next((event for event in reversed(spoken) if event.detail.url != endpoint.url), None)
    if before is not None:
        changed_at = next((event.at for event in spoken if event.at > before.at), before.at)
        origin = origin._replace(changed=f"before that {before.detail.url}, until", changed_at=changed_at)
    return origin.field("endpoint", f"{endpoint.url} ({dialect}, auth {endpoint.auth})")


def _keys(
    config: Config,
    provider: Provider,
    key: Key | None,
    *,
    attempts: Sequence[Event[Attempted]],
    chosen: str | None,
) -> tuple[Field, ...]:
    """Return the key in use, or all keys if none was used yet; `chosen` is the label that the user chose."""
    if not provider.keys:
        return ()
    path = join("provider", provider.name)
    if key is None:
        location = config.locate(f"{path}.keys")
        origin = Origin(SetBy.FILE, f"provider '{provider.name}' ({location}), none used yet", location)
        return (origin.field("key", ", ".join(item.label for item in provider.keys)),)
    location = config.locate(f"{path}.keys[{provider.keys.index(key)}]")
    source = f"provider '{provider.name}' ({location})"
    if chosen:
        origin = Origin(SetBy.SESSION, f"{source}, chosen for this session", location)
    else:
        origin = Origin(SetBy.POOL, f"{source}, the last one that was used", location)
        other = next((event for event in reversed(attempts) if event.detail.key != key.label), None)
        if other is not None:
            origin = origin._replace(changed=_left(other), changed_at=other.at)
    return (origin.field("key", f"{key.label} ({key.ref.partition(':')[0]}:…)"),)


def _left(other: Event[Attempted]) -> str:
    """Return which key was used before, and why it was left."""
    changed = f"before that key '{other.detail.key}',"
    if other.detail.fault is not None:
        changed += f" left because of {other.detail.fault.kind},"
    return changed


def _dialect(config: Config, provider: Provider, attempts: Sequence[Event[Attempted]]) -> Field:
    """Return the dialect of the last request, or all dialects of the provider if there was none."""
    if attempts and attempts[-1].detail.dialect:
        return Field(
            "dialect", str(attempts[-1].detail.dialect), SetBy.REQUEST, "the last request, as it was sent"
        )
    location = config.locate(join("provider", provider.name))
    origin = Origin(SetBy.FILE, f"provider '{provider.name}' ({location})", location)
    return origin.field("dialect", ", ".join(provider.served() or provider.dialects))


def _past_address(config: Config, pin: Pin, url: str, dialect: str) -> Origin:
    """Return what sets the address of a past attempt today."""
    provider = config.providers.get(pin.provider)
    if provider is not None:
        for key in (None, *provider.keys):
            for endpoint in _own_endpoints(provider, key):
                if (endpoint.url, endpoint.dialect) == (url, dialect):
                    written, _ = _written(config, provider, key, endpoint.dialect)
                    source = config.endpoint_source(provider, endpoint.dialect, key)
                    return _address_origin(source, _location(config, written))
    return _address_origin("an address that is no longer configured", "")


def _address_origin(source: str, location: str) -> Origin:
    if not location:
        return Origin(SetBy.NOBODY, source)
    return Origin(SetBy.FILE, source, location)


def _unconfigured(name: str, value: str, error: HoldfastError) -> Field:
    """Return a part that the configuration does not have."""
    return Field(name, value, SetBy.NOBODY, f"no entry of the configuration: {error.what}")


def _own_endpoints(provider: Provider, key: Key | None) -> tuple[Endpoint, ...]:
    """Return the key's own endpoints, or those of the provider if there is no key."""
    if key is None:
        return provider.endpoints
    return key.endpoints


def _written(config: Config, provider: Provider, owner: Key | None, dialect: Dialect) -> tuple[str, str]:
    """Return the path that wrote an endpoint and the preset of its provider; "" for none."""
    label = ""
    if owner is not None:
        label = owner.label
    return config.sources.get((provider.name, label, dialect), ("", ""))


def _location(config: Config, path: str) -> str:
    """Return file and line of a path in the configuration; "" for no path."""
    if not path:
        return ""
    return config.locate(path)
