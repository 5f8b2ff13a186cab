"""`holdfast import`: providers of other programs as entries of ours, keys by reference. It prints the
entries, and writes them with --apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..importers.programs import PROGRAMS
from .context import CliContext
from .output import Options, command_of, count, json_option, note, say, show_json
from .progress import waiting

if TYPE_CHECKING:
    from ..core.config import Config
    from ..core.session import Session
    from ..importers.plan import Plan

_EXECUTES = "these commands come from the imported files, and are run whenever a key is read"


@dataclass(slots=True)
class _Import:
    """An import: what is planned, the entries that were `written`, the sessions that were created (or would
    be), and those that were left out, as (id, reason)."""

    planned: Plan
    written: Sequence[str] = ()
    sessions: Sequence[Session] = ()
    left_out: Sequence[tuple[str, str]] = ()


class _ProgramName(click.Choice[str]):
    """The name of a program. For the path of a file, the error says whose it is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name. Raises ConfigError, or what click raises, for anything else."""
        from ..importers.recognise import refuse_unnamed

        path = Path(str(value)).expanduser()
        if value not in PROGRAMS and path.exists():
            refuse_unnamed(path)
        return super().convert(value, param, ctx)


@click.command()
@click.argument("program", type=_ProgramName(tuple(PROGRAMS)))
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--apply", is_flag=True, help="Write the entries. Without this they are only printed.")
@click.option("--accept-commands", is_flag=True, help="Agree to the commands that the keys would run.")
@click.option("--only", multiple=True, metavar="NAME", help="Import only this entry; may be repeated.")
@click.option(
    "--copy-secrets",
    is_flag=True,
    help="Copy keys that the program holds as values to our secrets.toml, as store: references.",
)
@click.option(
    "--sessions",
    is_flag=True,
    help="hermes: also its sessions, where their provider is certain.",
)
@json_option
@click.pass_obj
def command(context: CliContext, /, program: str, path: Path | None, **given: Any) -> int:
    """Import the providers of another program.

    Takes names, endpoints, keys by reference, models and fallbacks from PATH, that program's home or file; by
    default from where the program itself looks. Prints the entries, and what is left out with the reason. The
    file of another program is refused, and its program named. An entry whose name you use for another URL is
    never touched. A key that is read by a command is shown with it, and --apply asks before it writes it.
    Exit 1: with --apply, such an entry was left out.

    \b
    Example:
      holdfast import hermes
      holdfast import claude
      holdfast import litellm ./config.yaml --apply
      holdfast import opencode --only my-gateway --apply --copy-secrets
      holdfast import hermes --sessions --apply
      holdfast import env
    """
    from ..core.errors import ConfigError
    from ..importers.plan import apply as write
    from ..importers.plan import plan
    from ..importers.recognise import refuse_foreign

    only, apply, sessions = given["only"], given["apply"], given["sessions"]
    if sessions and program != "hermes":
        raise ConfigError(
            "--sessions is for hermes only: the other programs store no sessions that can be imported",
            next_step=f"holdfast import {program}",
        )
    if path is not None:
        path = path.expanduser()
        if not path.exists():
            raise ConfigError(f"{path} does not exist", next_step="holdfast import --help")
        refuse_foreign(PROGRAMS[program], path)
    with waiting(f"reading the files of {program}"):
        entries = PROGRAMS[program].read(path)
        planned = plan(entries, context.config, only, copied=given["copy_secrets"])
    done = _Import(planned)
    options: Options = {
        "only": only,
        "copy-secrets": given["copy_secrets"],
        "sessions": sessions,
        "apply": True,
    }
    again = command_of(f"holdfast import {program}", str(path or ""), options)
    if apply:
        if planned.commands() and not given["accept_commands"]:
            _ask(planned, again)
        done.written = write(context.editable, planned)
    if sessions:
        with waiting("reading the sessions of hermes"):
            _add_sessions(context, done, path, apply=apply)
    if given["as_json"]:
        show_json(_as_json(done))
    else:
        _show(done)
        _say_entries(context, done, again=again, apply=apply)
        if sessions:
            _show_sessions(done, apply=apply)
    return int(apply and bool(planned.refused))


def _ask(planned: Plan, again: str) -> None:
    """Raise NotReady unless the user agrees, at the terminal, to the commands that the keys would run."""
    import sys

    from ..core.errors import NotReady

    lines = _commands(planned)
    agreed = False
    if sys.stdin.isatty():
        note(_EXECUTES)
        for line in lines:
            note(line)
        agreed = click.confirm("Write these entries?", err=True)
    if not agreed:
        raise NotReady(
            f"nothing was written: {_EXECUTES}",
            reason="consent_needed",
            details=lines,
            next_step=f"{again} --accept-commands   (with your consent)",
        )


def _commands(planned: Plan) -> list[str]:
    """Return a line for each command that would be run, in one line whatever it holds."""
    return [f"provider '{name}' runs: {' '.join(text.split())}" for name, text in planned.commands()]


def _add_sessions(context: CliContext, done: _Import, path: Path | None, *, apply: bool) -> None:
    """Find the sessions of hermes whose provider is certain and, to apply, create them."""
    import time

    from ..engine.sessions import Reason, create
    from ..importers import hermes_db, hermes_sessions
    from ..importers.hermes_home import default_path, read_home
    from ..importers.hermes_rows import row_of
    from ..importers.hermes_verdicts import judge

    home = read_home(path or default_path())
    verdicts = [judge(home, row_of(row)) for row in hermes_db.read(home.database)]
    config = _config_after(context, done.planned, applied=apply)
    sessions, left_out = hermes_sessions.sessions(config, verdicts, home, time.time())
    stored = context.existing_store.stored_session
    taken = {session.id for session in sessions if stored(session.id) is not None}
    exists = [
        (session.id, "there is a session of that name already") for session in sessions if session.id in taken
    ]
    done.sessions = [session for session in sessions if session.id not in taken]
    done.left_out = [*left_out, *exists]
    if apply:
        for session in done.sessions:
            create(context.store, session, Reason(imported="hermes"))


def _config_after(context: CliContext, planned: Plan, *, applied: bool) -> Config:
    """Return the configuration with the entries of the plan."""
    from dataclasses import replace

    from ..config import load

    if applied:
        return load(context.home)
    added = {entry.name: entry.provider() for entry in planned.new}
    return replace(context.config, providers={**context.config.providers, **added})


def _as_json(done: _Import) -> dict[str, Any]:
    planned = done.planned
    return {
        "entries": [
            {"name": entry.name, "place": entry.location, **entry.table(copied=planned.copied)}
            for entry in planned.new
        ],
        "toml": planned.text(),
        "fallbacks": dict(planned.fallbacks),
        "commands": [{"entry": name, "command": text} for name, text in planned.commands()],
        "present": list(planned.present),
        "refused": _pairs(planned.refused),
        "left_out": _pairs(planned.notes),
        "written": list(done.written),
        "sessions": [{"id": session.id, "pin": str(session.pin)} for session in done.sessions],
        "sessions_left_out": _pairs(done.left_out),
    }


def _pairs(rows: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Return rows of (what, why) as JSON values."""
    return [{"what": what, "why": why} for what, why in rows]


def _show(done: _Import) -> None:
    """Print the entries as they are written, those that exist already, and what is left out."""
    planned = done.planned
    text = planned.text()
    if text:
        say(text)
    if planned.commands():
        say(f"EXECUTES: {_EXECUTES}", *(f"  {line}" for line in _commands(planned)))
    for name in planned.present:
        say(f"provider '{name}' exists already")
    _say_pairs("not touched:", planned.refused)
    _say_pairs("left out:", planned.notes)


def _say_pairs(head: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        say(head, *(f"  {what}: {why}" for what, why in rows))


def _say_entries(context: CliContext, done: _Import, *, again: str, apply: bool) -> None:
    """Print how many entries were written, or would be, and what to run next."""
    new = done.planned.new
    entries = count(len(new), "provider")
    if apply:
        say(f"{entries} written to {context.home.config}", "  next: holdfast doctor")
        return
    if new:
        say(f"{entries} would be written to {context.home.config}")
    else:
        say("nothing new to write")
    if new or done.sessions:
        say(f"  run: {again}")


def _show_sessions(done: _Import, *, apply: bool) -> None:
    verb = "created" if apply else "would be created"
    say(
        f"{count(len(done.sessions), 'session')} {verb}",
        *(f"  {session.id} on {session.pin}" for session in done.sessions),
    )
    _say_pairs("sessions left out:", done.left_out)
