"""`holdfast import`: providers of other programs as entries of ours, keys by reference. It shows first, and
writes with --apply."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .context import CliContext
from .output import count, json_option, say, show_json

if TYPE_CHECKING:
    from ..core.config import Config
    from ..core.session import Session
    from ..importers.plan import Plan

_PROGRAMS = ("hermes", "litellm", "opencode", "pi", "codex", "env")


@click.command()
@click.argument("program", type=click.Choice(_PROGRAMS))
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--apply", is_flag=True, help="Write it. Without this it is only shown.")
@click.option("--only", multiple=True, metavar="NAME", help="This entry and no other; may be repeated.")
@click.option(
    "--copy-secrets",
    is_flag=True,
    help="Keep keys that stand there as values in our secrets.toml, under store: references.",
)
@click.option(
    "--sessions",
    is_flag=True,
    help="hermes: its sessions, too, where it is certain which provider each belongs to.",
)
@json_option
@click.pass_obj
def command(
    context: CliContext,
    program: str,
    path: Path | None,
    apply: bool,
    only: Sequence[str],
    copy_secrets: bool,
    sessions: bool,
    as_json: bool,
) -> int:
    """Take over the providers of another program.

    That is names, endpoints, keys by reference, models and fall-backs. PATH is that program's home or file;
    without it, where it looks itself.
    The entries are printed, and what could not be carried and why. An entry whose name you use for another
    URL is never touched; then, with
    --apply, the exit code is 1.

    \b
    Example:
      holdfast import hermes
      holdfast import litellm ./config.yaml --apply
      holdfast import opencode --only my-gateway --apply --copy-secrets
      holdfast import hermes --sessions --apply
      holdfast import env
    """
    from ..core.errors import ConfigError
    from ..importers.plan import apply as write
    from ..importers.plan import plan

    if sessions and program != "hermes":
        raise ConfigError(
            "--sessions is for hermes: the others store no sessions that could be taken over",
            next_step=f"holdfast import {program}",
        )
    path = path.expanduser() if path is not None else None
    if path is not None and not path.exists():
        raise ConfigError(f"there is nothing at {path}", next_step="holdfast import --help")
    found = import_module(f"..importers.{program}", __package__).read(path)
    planned = plan(found, context.config, only, copied=copy_secrets)
    written = write(context.editable, planned) if apply else ()
    made, refused = _sessions(context, path, planned, apply) if sessions else ([], [])
    if as_json:
        show_json(_as_json(planned, written, made, refused))
    else:
        _show(planned, program, path, apply, context, made, refused, sessions)
    return int(apply and bool(planned.refused))


def _sessions(
    context: CliContext, path: Path | None, planned: Plan, apply: bool
) -> tuple[list[Session], list[tuple[str, str]]]:
    """The sessions that were (or would be) created, and the others with the reason."""
    import time

    from ..importers import hermes, hermes_db
    from ..importers.hermes_home import default_path, read_home
    from ..importers.hermes_rows import row_of
    from ..importers.hermes_verdicts import judge

    home = read_home(path or default_path())
    verdicts = [judge(home, row_of(one)) for one in hermes_db.read(home.database)]
    made, refused = hermes.sessions(_with(context, planned, apply), verdicts, home.entries, time.time())
    memory = context.memory
    there = (
        {one.id for one in memory.sessions()} | {one.id for one in memory.broken_sessions()}
        if memory is not None
        else set()
    )
    refused += [(one.id, "a session of that name is there already") for one in made if one.id in there]
    made = [one for one in made if one.id not in there]
    if apply:
        _create(context, made)
    return made, refused


def _with(context: CliContext, planned: Plan, applied: bool) -> Config:
    """The configuration with what the import brings."""
    from dataclasses import replace

    from ..config import load

    if applied:
        return load(context.home)
    return replace(
        context.config,
        providers={**context.config.providers, **{one.name: one.provider() for one in planned.new}},
    )


def _create(context: CliContext, sessions: Sequence[Session]) -> None:
    from ..engine.sessions import Reason, create

    for one in sessions:
        create(context.store, one, Reason(imported="hermes"))


def _as_json(
    planned: Plan, written: Sequence[str], made: Sequence[Session], refused: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    def pairs(rows: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
        return [{"what": what, "why": why} for what, why in rows]

    return {
        "entries": [
            {"name": one.name, "place": one.location, **one.table(copied=planned.copied)}
            for one in planned.new
        ],
        "toml": planned.text(),
        "fallbacks": dict(planned.fallbacks),
        "present": list(planned.present),
        "refused": pairs(planned.refused),
        "left_out": pairs(planned.notes),
        "written": list(written),
        "sessions": [{"id": one.id, "pin": str(one.pin)} for one in made],
        "sessions_left_out": pairs(refused),
    }


def _show(
    planned: Plan,
    program: str,
    path: Path | None,
    applied: bool,
    context: CliContext,
    made: Sequence[Session],
    refused: Sequence[tuple[str, str]],
    sessions: bool,
) -> None:
    if text := planned.text():
        say(text)
    for name in planned.present:
        say(f"'{name}' is there already")
    for head, rows in (("not touched:", planned.refused), ("not carried:", planned.notes)):
        if rows:
            say(head, *(f"  {what}: {why}" for what, why in rows))
    again = " ".join(
        [
            "holdfast import",
            program,
            *([str(path)] if path is not None else []),
            *(["--sessions"] if sessions else []),
        ]
    )
    entries = count(len(planned.new), "provider")
    if applied:
        say(f"{entries} written into {context.home.config}", "  next: holdfast doctor")
    else:
        say(
            f"{entries} would be written into {context.home.config}"
            if planned.new
            else "nothing new to write"
        )
        if planned.new or made:
            say(f"  run: {again} --apply")
    if sessions:
        verb = "created" if applied else "would be created"
        say(f"{count(len(made), 'session')} {verb}", *(f"  {one.id} on {one.pin}" for one in made))
        if refused:
            say("sessions left out:", *(f"  {what}: {why}" for what, why in refused))
