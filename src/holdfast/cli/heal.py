"""`holdfast heal`: check and repair sessions that other software stored without the name that its user
chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import Options, command_of, count, if_any, json_option, say, show_json, table
from .progress import waiting

if TYPE_CHECKING:
    from ..importers.hermes_home import HermesHome
    from ..importers.hermes_verdicts import Verdict

_MOST_CHOICES = 20
"""Sessions whose command is printed."""
_MOST_CANDIDATES = 4
"""Most candidates of a session whose command is printed: more of them tell nothing about it."""


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Repair incomplete providers, or sessions of other tools.

    \b
    Example:
      holdfast heal
      holdfast heal hermes
    """
    if ctx.invoked_subcommand is None:
        from .provision_views import heal_providers

        ctx.exit(heal_providers(ctx.obj, as_json=as_json))


@command.command()
@click.option(
    "--home",
    "directory",
    type=click.Path(path_type=Path),
    help="The Hermes home; by default $HERMES_HOME, else ~/.hermes.",
)
@click.option(
    "--apply",
    is_flag=True,
    help="Repair the certain cases, with a backup beside the file. Without it nothing is changed.",
)
@click.option("--undo", is_flag=True, help="Restore the latest backup, if nothing was written since.")
@click.option(
    "--choose",
    "chosen",
    multiple=True,
    metavar="SESSION=ENTRY",
    help="Say yourself to which provider a session belongs; may be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Show the sessions that resume, too.")
@json_option
def hermes(
    directory: Path | None, apply: bool, undo: bool, chosen: Sequence[str], everything: bool, as_json: bool
) -> int:
    """Check whether each session of Hermes resumes where it belongs.

    Reads config.yaml, .env, auth.json and state.db of hermes-agent, by the rules of version 0.19, and changes
    nothing. With --apply it writes the name of the entry (custom:NAME) into those rows that can mean no other
    one, in one transaction. Exit 1: some sessions would resume in the wrong place, have no key or are
    unclear.

    \b
    Example:
      holdfast heal hermes
      holdfast heal hermes --apply
      holdfast heal hermes --choose 20260102_101112_ab12cd=team-b --apply
      holdfast heal hermes --undo
    """
    from ..core.errors import ConfigError
    from ..importers import hermes_db
    from ..importers.hermes_home import default_path, read_home

    if apply and undo:
        raise ConfigError("--apply and --undo exclude each other", next_step="holdfast heal hermes --help")
    path, command = default_path(), "holdfast heal hermes"
    if directory is not None:
        path = directory.expanduser()
        command = command_of(command, "", {"home": str(path)})
    if undo:
        _undo(path, as_json)
        return 0
    with waiting("reading the home of hermes"):
        home = read_home(path)
        verdicts = _verdicts(home, chosen, command)
    changes = {
        verdict.row.id: (verdict.row.model_config, verdict.config)
        for verdict in verdicts
        if verdict.config is not None
    }
    backup = None
    if apply and changes:
        with waiting("repairing the sessions of hermes"):
            backup = hermes_db.heal(path, changes, lambda rows: _wrong_still(home, rows, verdicts))
            verdicts = _verdicts(home, (), command)
    if as_json:
        show_json(_as_json(home, verdicts, list(changes) if apply else [], backup))
    else:
        _show(home, verdicts, everything=everything)
        if backup is not None:
            say(
                f"Repaired {count(len(changes), 'session')}. The file as it was: {backup}",
                f"  to undo this: {command} --undo",
            )
        elif changes:
            again = command_of(command, "", {"choose": chosen, "apply": True})
            say(f"  run: {again}   (repairs {len(changes)}; stop hermes first)")
        _say_unclear(verdicts, command, everything=everything)
        _say_home(home)
    return int(any(verdict.state != "resumes" for verdict in verdicts))


def _undo(path: Path, as_json: bool) -> None:
    """Restore the database as it was before the latest repair."""
    from ..importers import hermes_db

    backup, healed = hermes_db.undo(path)
    if as_json:
        show_json({"restored": str(backup), "sessions": healed})
    else:
        say(
            f"Restored {path / 'state.db'} as it was before {count(len(healed), 'session')} were repaired",
            f"  the backup is kept: {backup}",
        )


def _verdicts(home: HermesHome, chosen: Iterable[str], command: str) -> list[Verdict]:
    """Judge each session; `chosen` holds the user's own decisions, SESSION=ENTRY each. Raises ConfigError for
    one that names no session or no entry; `command` with --all lists them."""
    from ..core.errors import ConfigError
    from ..importers import hermes_db
    from ..importers.hermes_rows import row_of
    from ..importers.hermes_verdicts import judge

    decisions = dict(text.partition("=")[::2] for text in chosen)
    rows = [row_of(stored) for stored in hermes_db.read(home.database)]
    ids = {row.id for row in rows}
    for session, entry in decisions.items():
        if session not in ids or not (home.named(entry) or home.own(entry)):
            names = ", ".join(map(home.name_of, home.entries)) or "none"
            raise ConfigError(
                f"--choose {session}={entry}: there is no such session or no such entry (entries: {names})",
                next_step=f"{command} --all",
            )
    return [judge(home, row, decisions.get(row.id)) for row in rows]


def _wrong_still(home: HermesHome, rows: Sequence[Any], before: Sequence[Verdict]) -> str:
    """Return what is wrong before the commit: a repaired row that would not resume, or another changed row.
    Empty when all is well."""
    from ..importers.hermes_rows import row_of
    from ..importers.hermes_verdicts import judge

    after = {row.id: row for row in map(row_of, rows)}
    for verdict in before:
        row = after.get(verdict.row.id)
        if row is None or (verdict.config is None and row != verdict.row):
            return f"session {verdict.row.id} would have changed"
        if verdict.config is None:
            continue
        now = judge(home, row)
        if not now.is_settled or now.belongs != verdict.belongs:
            return f"session {verdict.row.id} would not resume"
    return ""


def _as_json(
    home: HermesHome, verdicts: Sequence[Verdict], healed: Sequence[str], backup: Path | None
) -> dict[str, Any]:
    return {
        "home": str(home.path),
        "config_version": home.version,
        "newer_than_known": home.is_newer,
        "sessions": [_view(verdict) for verdict in verdicts],
        "ignored": [{"what": ignored.what, "why": ignored.why} for ignored in home.ignored],
        "healed": list(healed),
        "backup": backup and str(backup),
    }


def _view(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict on a session as JSON values."""
    row, today = verdict.row, verdict.today
    return {
        "id": row.id,
        "source": row.source,
        "title": row.title,
        "model": row.model,
        "stored": {
            "provider": row.called,
            "url": row.at,
            "dialect": row.dialect,
        },
        "state": str(verdict.state),
        "today": {
            "entry": today.entry and today.entry.name,
            "provider": today.provider,
            "host": today.host,
            "key": today.key,
        },
        "belongs": verdict.belongs,
        "healable": verdict.config is not None,
        "why": verdict.why,
        "candidates": list(verdict.candidates),
        "note": verdict.note,
    }


def _show(home: HermesHome, verdicts: Sequence[Verdict], *, everything: bool) -> None:
    """Print the sessions that do not resume, or all of them, and how many there are of each state."""
    shown = [verdict for verdict in verdicts if everything or verdict.state != "resumes"]
    if shown:
        table(
            ("SESSION", "MODEL", "STATE", "GOES TODAY TO", "BELONGS TO"),
            [
                [verdict.row.id, verdict.row.model, str(verdict.state), str(verdict.today), _belongs(verdict)]
                for verdict in shown
            ],
            empty="",
        )
    states = Counter(str(verdict.state) for verdict in verdicts)
    say(
        f"{count(len(verdicts), 'session')} in {home.database}: {states['resumes']} resume, "
        f"{states['wrong place']} would go to the wrong place, {states['no key']} have no key, "
        f"{states['cannot be told']} cannot be told"
    )


def _belongs(verdict: Verdict) -> str:
    """Return the provider of a session and what is wrong with it, or why it cannot be told."""
    if verdict.state == "cannot be told":
        listed = " or ".join(verdict.candidates)
        if len(verdict.candidates) > _MOST_CANDIDATES:
            listed = f"any of {len(verdict.candidates)} entries"
        return verdict.why + if_any(" ({})", listed)
    return (verdict.belongs or "") + if_any(": {}", verdict.why)


def _say_unclear(verdicts: Sequence[Verdict], command: str, *, everything: bool) -> None:
    """Print for the sessions that are doubtful or cannot be told the commands that decide them."""
    doubtful = [verdict for verdict in verdicts if verdict.note]
    if doubtful and not everything:
        say(
            f"  {count(len(doubtful), 'session')} may carry the name of another entry at the same URL",
            f"  run: {command} --all",
        )
    unclear = [verdict for verdict in verdicts if verdict.state == "cannot be told"]
    with_choice = [verdict for verdict in unclear if 0 < len(verdict.candidates) <= _MOST_CANDIDATES]
    if with_choice:
        say("  only you know to which provider these belong; stop hermes, then run for example:")
        _say_choices(with_choice, command)
    if len(with_choice) < len(unclear):
        say(
            f"  {count(len(unclear) - len(with_choice), 'session')} may belong to any provider: write the "
            "entry that is gone into config.yaml again, or decide with --choose SESSION=ENTRY"
        )
    if everything:
        for verdict in doubtful:
            say(f"  {verdict.row.id}: {verdict.note}; if that is wrong:")
            _say_choices([verdict], command)


def _say_choices(verdicts: Sequence[Verdict], command: str) -> None:
    """Print a command for each session, with its first candidate; the others after it."""
    for verdict in verdicts[:_MOST_CHOICES]:
        first, *others = verdict.candidates
        options: Options = {"choose": [f"{verdict.row.id}={first}"], "apply": True}
        more = if_any("   (or ={})", ", =".join(others))
        say(f"    {command_of(command, '', options)}{more}")
    if len(verdicts) > _MOST_CHOICES:
        say(f"    and {len(verdicts) - _MOST_CHOICES} more, each in the same way")


def _say_home(home: HermesHome) -> None:
    """Print what is in the home and hermes does not use, its version, and the homes of its profiles."""
    for ignored in home.ignored:
        say(f"  not used by hermes: {ignored.what}: {ignored.why}")
    if home.is_newer:
        say(
            f"  config.yaml has the version {home.version}, which is newer than the rules known here: "
            "a session may go elsewhere today than is said; only rows that can mean one provider are repaired"
        )
    profiles = home.path / "profiles"
    homes = sorted(path for path in profiles.glob("*") if (path / "state.db").exists())
    if homes:
        say(f"  each directory in {profiles} is another home; to look at them, run:")
        for path in homes:
            say(f"    {command_of('holdfast heal hermes', '', {'home': str(path)})}")
