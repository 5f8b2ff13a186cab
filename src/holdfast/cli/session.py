"""`holdfast session`: what each session chose, and whether it would resume today."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .output import clock, json_option, say, show_json, table
from .session_transfer import export, import_, move

if TYPE_CHECKING:
    from pathlib import Path

    from ..core.config import Config
    from ..core.identity import Pin
    from ..core.session import Session
    from ..store.base import BrokenSession, Store


@click.group()
def command() -> None:
    """List, show, pin, move, export, import and remove sessions.

    \b
    Example:
      holdfast session pin issue-42 mimo-plan/mimo-v2.5-pro
    """


for _one in (move, export, import_):
    command.add_command(_one)


@command.command("list")
@json_option
@click.pass_obj
def list_(context: CliContext, as_json: bool) -> None:
    """List the sessions, the last changed first.

    Those that would not resume today say why.

    \b
    Example:
      holdfast session list
    """
    config, memory = context.config, context.memory
    views = [view(config, one) for one in rows(memory)] if memory is not None else []
    if as_json:
        show_json(views)
        return
    cells = [
        [one["id"], str(one["pin"]), one["key"] or "", one["why_not"] or _standing(one)] for one in views
    ]
    table(
        ("SESSION", "PIN", "KEY", "STATE"),
        cells,
        empty="no session yet\n  run: holdfast session pin SESSION PROVIDER/MODEL",
    )


def rows(store: Store) -> list[Session | BrokenSession]:
    """All sessions, those first that cannot be read."""
    return [*store.broken_sessions(), *store.sessions()]


def _standing(one: dict[str, Any]) -> str:
    fallback = one["fallback"]
    if fallback and fallback["until"] > time.time():
        return f"fallback {fallback['pin']} until {clock(fallback['until'])}: {fallback['reason']}"
    return "resumes"


def view(config: Config, session: Session | BrokenSession) -> dict[str, Any]:
    """A session as JSON values; `why_not` is empty when it would resume, `broken` says that its row cannot be
    read."""
    from ..core.session import Session
    from ..engine.session_moves import obstacle

    if not isinstance(session, Session):
        pin, why, run = (
            session.raw.get("pin"),
            f"its row cannot be read: {session.why}",
            f"holdfast session pin {session.id} PROVIDER/MODEL",
        )
        return {
            "id": session.id,
            "pin": pin,
            "key": None,
            "fallback": None,
            "resumes": False,
            "why_not": why,
            "candidates": [],
            "run": run,
            "broken": True,
        }
    lost = obstacle(config, session)
    active_fallback = session.active_fallback
    return {
        "id": session.id,
        "pin": str(session.pin),
        "key": session.key,
        "kept_key": session.kept_key,
        "fallback": active_fallback.values() if active_fallback is not None else None,
        "created_at": session.created_at,
        "changed_at": session.changed_at,
        "version": session.version,
        "resumes": lost is None,
        "why_not": lost.what if lost is not None else "",
        "candidates": list(getattr(lost, "candidates", ())),
        "run": lost.next_step if lost is not None else "",
        "broken": False,
    }


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
    one = view(context.config, _stored(context, session))
    if as_json:
        show_json(one)
        return
    say(f"session {one['id']}", f"  pin      {one['pin']}")
    if one["key"]:
        say(f"  key      {one['key']}, chosen by its user")
    elif one.get("kept_key"):
        say(f"  key      {one['kept_key']}, kept while it is healthy")
    if not one["broken"]:
        say(
            f"  created  {clock(one['created_at'])}",
            f"  changed  {clock(one['changed_at'])} (version {one['version']})",
        )
    say(
        f"  state    {one['why_not'] or _standing(one)}",
        *(f"  could be {each}" for each in one["candidates"]),
    )
    say(f"  run: {one['run'] or 'holdfast why ' + one['id']}")


def _stored(context: CliContext, session: str) -> Session | BrokenSession:
    """The row, readable or not. Raises ConnectionLost when there is none."""
    from ..core.errors import ConnectionLost

    memory = context.memory
    found = next((one for one in rows(memory) if one.id == session), None) if memory is not None else None
    if found is None:
        raise ConnectionLost(
            f"there is no session '{session}'", next_step=f"holdfast session pin {session} PROVIDER/MODEL"
        )
    return found


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
    from ..core.identity import Pin
    from ..core.session import Session
    from ..engine import sessions
    from ..engine.session_moves import obstacle

    wanted, project = (Pin.parse(pin), None) if pin is not None else _selected(context, session)
    memory = context.memory
    lost = obstacle(context.config, Session(session, wanted, key))
    if lost is not None:
        raise lost
    stored = next((one for one in rows(memory) if one.id == session), None) if memory is not None else None
    now = context.store.now()
    new = Session(session, wanted, key, created_at=now, changed_at=now)
    chosen = sessions.pin(context.store, stored, new, sessions.Reason(project=str(project or "")))
    before = (
        f", before that on {stored.pin}"
        if isinstance(stored, Session)
        else ", repaired"
        if stored is not None
        else ", created"
    )
    say(
        f"session '{session}' is on {chosen.pin}"
        + (f" with key '{key}'" if key else "")
        + (f", selected by {project}" if project else "")
        + before
    )
    models = context.config.providers[wanted.provider].models
    if models is not None and wanted.model not in models:
        say(f"  note: '{wanted.model}' is not one of the models that '{wanted.provider}' declares")
        say(f"  run: holdfast models --provider {wanted.provider}")


def _selected(context: CliContext, session: str) -> tuple[Pin, Path | None]:
    """The project's choice. Raises ConfigError when there is none."""
    from ..config import project_pin
    from ..core.errors import ConfigError

    selected = project_pin(context.config)
    if selected is None:
        what = "no pin was given, and no .holdfast.toml selects one here or in a directory above"
        raise ConfigError(what, next_step=f"holdfast session pin {session} PROVIDER/MODEL")
    return selected


@command.command()
@click.argument("session", shell_complete=complete.sessions)
@click.pass_obj
def remove(context: CliContext, session: str) -> None:
    """Forget a session. What it did stays in the journal.

    \b
    Example:
      holdfast session remove issue-42
    """
    from ..engine import sessions

    stored = _stored(context, session)
    sessions.remove(context.store, stored)
    pin = str(getattr(stored, "pin", ""))
    say(f"session '{session}' is forgotten" + (f"; it was on {pin}" if pin else ""))
