"""`holdfast session`: what each session chose, and whether it would resume today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .groups import Nouns
from .output import clock, if_any, json_option, note, say, show_json, table
from .progress import waiting
from .session_transfer import export, import_, move, who_follows
from .unused_sessions import remove_unused

if TYPE_CHECKING:
    from pathlib import Path

    from ..core.config import Config
    from ..core.identity import Pin
    from ..core.session import Session
    from ..store.base import Store
    from ..store.listing import BrokenSession


@click.group(cls=Nouns)
def command() -> None:
    """List, show, pin, move, export, import and remove sessions.

    \b
    Example:
      holdfast session pin issue-42 mimo-plan/mimo-v2.5-pro
    """


command.add_command(move)
command.add_command(export)
command.add_command(import_)


@command.command("list")
@click.option(
    "--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="Sessions to list."
)
@click.option("--after", default="", metavar="PLACE", help="Go on where an earlier list ended, as it said.")
@click.option("--all", "whole", is_flag=True, help="List all of them.")
@json_option
@click.pass_obj
def list_(context: CliContext, limit: int, after: str, whole: bool, as_json: bool) -> None:
    """List the sessions, the last changed first.

    Those that would not resume today say why; rows that cannot be read come first. With --json, the command
    for the rest is printed on stderr.

    \b
    Example:
      holdfast session list
    """
    config, store, following = context.config, context.existing_store, after
    listed: list[Session | BrokenSession] = []
    if not after:
        listed += store.broken_sessions()
    with waiting("reading the sessions"):
        while True:
            page = store.session_page(limit, following)
            listed += page.sessions
            following = page.after
            if not (whole and following):
                break
        views = [view(config, row, store) for row in listed]
    more = f"holdfast session list --limit {limit} --after '{following}'"
    if as_json:
        show_json(views)
        if following:
            note(f"there are more: {more}")
        return
    table(
        ("SESSION", "PIN", "KEY", "STATE"),
        [[shown["id"], str(shown["pin"]), shown["key"] or "", _state(shown)] for shown in views],
        empty="no session yet\n  run: holdfast session pin SESSION PROVIDER/MODEL",
    )
    if following:
        say("there are more", f"  run: {more}")


def view(config: Config, session: Session | BrokenSession, store: Store) -> dict[str, Any]:
    """Return a session as JSON values.

    `why_not` is empty when it would resume; `broken` is true when its row cannot be read.
    """
    from ..core.session import Session
    from ..engine.sessions import kept_key, obstacle

    if not isinstance(session, Session):
        return _broken_view(session)
    lost = obstacle(config, session, store)
    active = session.fallback_in_force(config.fallbacks.get(session.pin), store.now())
    return {
        "id": session.id,
        "pin": str(session.pin),
        "key": session.key,
        "kept_key": kept_key(config, session),
        "fallback": active and active.values(),
        "created_at": session.created_at,
        "changed_at": session.changed_at,
        "version": session.version,
        "former": [str(pin) for pin in session.former],
        "resumes": lost is None,
        "why_not": getattr(lost, "what", ""),
        "candidates": list(getattr(lost, "candidates", ())),
        "run": getattr(lost, "next_step", ""),
        "broken": False,
    }


def _broken_view(session: BrokenSession) -> dict[str, Any]:
    """Return the JSON values of a session whose row cannot be read."""
    return {
        "id": session.id,
        "pin": session.raw.get("pin"),
        "key": None,
        "kept_key": None,
        "fallback": None,
        "created_at": session.raw.get("created_at"),
        "changed_at": session.raw.get("changed_at"),
        "version": session.raw.get("version"),
        "former": [],
        "resumes": False,
        "why_not": f"its row cannot be read: {session.why}",
        "candidates": [],
        "run": f"holdfast session pin {session.id} PROVIDER/MODEL",
        "broken": True,
    }


def _state(shown: dict[str, Any]) -> str:
    """Return a session's state in a phrase; `shown` is its view."""
    if shown["why_not"]:
        return str(shown["why_not"])
    fallback = shown["fallback"]
    if fallback:
        return f"fallback {fallback['pin']} until {clock(fallback['until'])}: {fallback['reason']}"
    return "resumes"


@command.command()
@click.argument("session", shell_complete=complete.sessions)
@json_option
@click.pass_obj
def show(context: CliContext, session: str, as_json: bool) -> None:
    """Show one session.

    \b
    Example:
      holdfast session show issue-42
    """
    shown = view(context.config, _stored(context, session), context.existing_store)
    if as_json:
        show_json(shown)
        return
    say(f"session {shown['id']}", f"  pin      {shown['pin']}")
    if shown["key"]:
        say(f"  key      {shown['key']}, chosen by its user")
    elif shown.get("kept_key"):
        say(f"  key      {shown['kept_key']}, used as long as it works")
    if not shown["broken"]:
        say(
            f"  created  {clock(shown['created_at'])}",
            f"  changed  {clock(shown['changed_at'])} (version {shown['version']})",
        )
    for former in shown.get("former", ()):
        say(f"  former   {former}: requests for it mean the pin above")
    say(f"  state    {_state(shown)}")
    for candidate in shown["candidates"]:
        say(f"  could be {candidate}")
    say(f"  run: {shown['run'] or 'holdfast why ' + shown['id']}")


def _find(context: CliContext, session: str) -> Session | BrokenSession | None:
    """Return the row of a session, readable or not; None when there is none."""
    return context.existing_store.stored_session(session)


def _stored(context: CliContext, session: str) -> Session | BrokenSession:
    """Return the row of a session, readable or not. Raises ConnectionLost when there is none."""
    from ..core.errors import ConnectionLost

    row = _find(context, session)
    if row is None:
        raise ConnectionLost(
            f"there is no session '{session}'", next_step=f"holdfast session pin {session} PROVIDER/MODEL"
        )
    return row


@command.command()
@click.argument("session", shell_complete=complete.sessions)
@click.argument("pin", required=False, shell_complete=complete.pins)
@click.option(
    "--key",
    metavar="LABEL",
    help="Use this key of the provider and no other.",
    shell_complete=complete.labels,
)
@click.pass_obj
def pin(context: CliContext, session: str, pin: str | None, key: str | None) -> None:
    """Choose a session's provider and model.

    Creates the session, switches it, or repairs one whose row cannot be read. Without PIN it takes the pin in
    the .holdfast.toml of the current project.

    \b
    Example:
      holdfast session pin issue-42 mimo-plan/mimo-v2.5-pro
      holdfast session pin issue-42 mimo-plan/mimo-v2.5-pro --key team
    """
    from ..core.session import Session
    from ..engine import sessions
    from ..engine.sessions import obstacle

    wanted, project = _wanted(context, session, pin)
    lost = obstacle(context.config, Session(session, wanted, key), context.existing_store)
    if lost is not None:
        raise lost
    stored = _find(context, session)
    now = context.store.now()
    new = Session(session, wanted, key, created_at=now, changed_at=now)
    chosen = sessions.pin(context.store, stored, new, sessions.Reason(project=str(project or "")))
    with_key = if_any(" with key '{}'", key)
    selected = if_any(", selected by {}", project)
    say(f"session '{session}' is on {chosen.pin}{with_key}{selected}, {_before(stored)}")
    say(*who_follows([chosen]))
    models = context.config.providers[wanted.provider].models
    if models is not None and wanted.model not in models:
        say(f"  note: '{wanted.model}' is not one of the models that '{wanted.provider}' declares")
        say(f"  run: holdfast models --provider {wanted.provider}")


def _wanted(context: CliContext, session: str, pin: str | None) -> tuple[Pin, Path | None]:
    """Return the pin as it was given, or the project's with its file. Raises ConfigError without either."""
    from ..config import project_pin
    from ..core.errors import ConfigError
    from .pins import parsed_pin

    if pin is not None:
        return parsed_pin(context, pin), None
    selected = project_pin(context.config)
    if selected is None:
        what = "no pin was given, and no .holdfast.toml selects one here or in a directory above"
        raise ConfigError(what, next_step=f"holdfast session pin {session} PROVIDER/MODEL")
    return selected


def _before(stored: Session | BrokenSession | None) -> str:
    """Return in a phrase what a session was before it got its pin."""
    from ..core.session import Session

    if stored is None:
        return "created"
    if isinstance(stored, Session):
        return f"before that on {stored.pin}"
    return "repaired"


@command.command()
@click.argument("session", required=False, shell_complete=complete.sessions)
@click.option(
    "--unused-for", "unused", metavar="TIME", help="All that were not used for so long, such as 30d."
)
@click.option("--apply", is_flag=True, help="With --unused-for: remove them. Without this they are counted.")
@click.pass_obj
def remove(context: CliContext, session: str | None, unused: str | None, apply: bool) -> None:
    """Remove a session, or those that nobody uses any more. The journal is kept.

    A session is used when it is changed, and with each request.

    \b
    Example:
      holdfast session remove issue-42
      holdfast session remove --unused-for 30d --apply
    """
    from ..core.errors import ConfigError
    from ..engine import sessions

    if (session is None) == (unused is None):
        what = "name one session, or those that were not used for a time"
        raise ConfigError(what, next_step="holdfast session remove --help")
    if session is None:
        remove_unused(context, str(unused), apply=apply)
        return
    stored = _stored(context, session)
    sessions.remove(context.store, stored)
    was_on = if_any("; it was on {}", getattr(stored, "pin", None))
    say(f"Removed session '{session}'{was_on}")
