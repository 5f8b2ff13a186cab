"""`holdfast why`: for each part of a connection where it came from, then what happened, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .opened import Opened
from .output import clock, json_option, say, show_json

if TYPE_CHECKING:
    from ..core.config import Config
    from ..core.session import Session
    from ..store.events import Event

_CHOICES = ("created", "switched", "healed", "renamed")
"""Events by which a session's pin came to be what it is."""


@click.command()
@click.argument("subject", metavar="SESSION|REQUEST-ID", shell_complete=complete.sessions)
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1), help="How many lines of the journal.")
@json_option
@click.pass_obj
def command(opened: Opened, subject: str, limit: int, as_json: bool) -> None:
    """Explain a session or a request.

    Where each part of its connection came from and what last changed it, then what happened, in order.

    \b
    Example:
      holdfast why issue-42
    """
    from ..core.errors import ConnectionLost
    from ..journal import why

    memory = opened.memory
    session = next((one for one in memory.sessions() if one.id == subject), None) if memory is not None else None
    events = memory.journal(session=subject, limit=limit) or memory.journal(request=subject, limit=limit) if memory is not None else []
    if session is None and not events:
        raise ConnectionLost(f"neither a session nor a request is called '{subject}'", next_step="holdfast session list")
    parts = _session_parts(opened, session, events) if session is not None else _request_parts(opened, subject, events)
    if as_json:
        told = [{"at": e.at, "kind": str(e.kind), "session": e.session, "request": e.request, "pin": e.pin, "detail": dict(e.detail)} for e in events]
        show_json({"subject": subject, "connection": parts, "events": told})
        return
    for part in parts:
        say(f"{part['part']:<9} {part['value']}", f"          from {part['source']}" + (f"; {part['changed']}" if part["changed"] else ""))
    say(*[""] * bool(parts and events), *why(events, clock=clock))


def _request_parts(opened: Opened, request: str, events: Sequence[Event]) -> list[dict[str, Any]]:
    """The connection of a request's last attempt, and what set each part of it; nothing for the journal of a session that is gone."""
    last = next((e for e in reversed(events) if str(e.kind) == "attempt" and e.request == request), None)
    if last is None:
        return []
    name, _, model = last.pin.partition("/")
    url, dialect = str(last.detail.get("url")), str(last.detail.get("dialect"))
    source = f"session '{last.session}', or a rung of its ladder, or the request itself" if last.session else "the command line"
    return [
        _part("provider", name, source, ""),
        _part("model", model, source, ""),
        _part("endpoint", url, _address_source(opened.config, name, url, dialect), ""),
        _part("key", str(last.detail.get("key") or "none"), f"provider '{name}'", ""),
        _part("dialect", dialect, "the request's client", ""),
    ]


def _address_source(config: Config, name: str, url: str, dialect: str) -> str:
    """Who sets the address of a past attempt today."""
    for provider in (one for one in config.providers.values() if one.name == name):
        for key in (None, *provider.keys):
            for endpoint in key.endpoints if key is not None else provider.endpoints:
                if (endpoint.url, endpoint.dialect) == (url, dialect):
                    return config.endpoint_source(provider, endpoint.dialect, key)
    return "an address that is configured no more"


def _session_parts(opened: Opened, session: Session, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Provider, model, dialect, endpoint and key as they stand: value, source, and what last changed it."""
    from ..core.errors import HoldfastError
    from ..core.resolve import provider_of

    chosen = next((e for e in reversed(events) if str(e.kind) in _CHOICES), None)
    changed = f"{chosen.kind} {clock(chosen.at)}" if chosen is not None else f"changed {clock(session.changed_at)}"
    active = session.standing_in(opened.store.now())
    pin = active.rung if active is not None else session.pin
    project = chosen.detail.get("project") if chosen is not None else None
    source = f"session '{session.id}', " + (f"selected by {project}" if project else "chosen by its user")
    if active is not None:
        source = f"the ladder of {session.pin}, standing in until {clock(active.until)}: {active.reason}"
    parts = [_part("provider", pin.provider, source, changed), _part("model", pin.model, source, changed)]
    try:
        provider = provider_of(opened.config, pin)
    except HoldfastError as error:
        return [*parts, _part("endpoint", "none", f"nowhere: {error.what}", "")]
    label = session.key if active is None else None
    last = next((e for e in reversed(events) if str(e.kind) == "attempt"), None)
    used = label or (last.detail.get("key") if last is not None and last.pin == str(pin) else None) or session.kept_key
    key = next((one for one in provider.keys if one.label == used), None)
    for dialect in provider.dialects:
        owner = key if key is not None and any(e.dialect is dialect for e in key.endpoints) else None
        endpoint = next(e for e in (owner.endpoints if owner is not None else provider.endpoints) if e.dialect is dialect)
        where = opened.config.endpoint_source(provider, dialect, owner) or "the configuration"
        parts.append(_part("endpoint", f"{endpoint.url} ({dialect}, auth {endpoint.auth})", where, ""))
    if key is not None:
        which = "chosen for this session" if label else "the last one that was used"
        parts.append(_part("key", f"{key.label} ({key.ref.partition(':')[0]}:…)", f"provider '{provider.name}', {which}", ""))
    elif provider.keys:
        parts.append(_part("key", ", ".join(one.label for one in provider.keys), f"provider '{provider.name}', none used yet", ""))
    spoken = last.detail.get("dialect") if last is not None else None
    parts.append(_part("dialect", str(spoken or ", ".join(provider.dialects)), "the last request's client" if spoken else f"provider '{provider.name}'", ""))
    return parts


def _part(name: str, value: str, source: str, changed: str) -> dict[str, str]:
    return {"part": name, "value": value, "source": source, "changed": changed}
