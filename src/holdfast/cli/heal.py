"""`holdfast heal`: what became of the sessions that other software stored without the name its user chose,
and their repair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import count, json_option, say, show_json, table

if TYPE_CHECKING:
    from ..importers.hermes_home import HermesHome
    from ..importers.hermes_verdicts import Verdict


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Repair incomplete providers, or sessions stored by other tools.

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
    help="The Hermes home; without it HERMES_HOME, else ~/.hermes.",
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
    help="Decide an unclear session yourself; may be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Show the sessions that resume, too.")
@json_option
def hermes(
    directory: Path | None, apply: bool, undo: bool, chosen: Sequence[str], everything: bool, as_json: bool
) -> int:
    """Check whether each session of Hermes resumes where it belongs.

    Reads config.yaml, .env, auth.json and state.db of hermes-agent 0.19 or older, and changes nothing. With
    --apply it writes the name of the entry (custom:NAME) into those rows that only one entry fits, in one
    transaction. Exit 1: some sessions would resume in the wrong place or are unclear.

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
    path = directory.expanduser() if directory is not None else default_path()
    if undo:
        _undone(path, as_json)
        return 0
    home = read_home(path)
    verdicts = _verdicts(home, chosen)
    healable = [one for one in verdicts if one.config is not None]
    backup = None
    if apply and healable:
        changes = {
            one.row.id: (one.row.model_config, one.config) for one in healable if one.config is not None
        }
        backup = hermes_db.heal(path, changes, lambda rows: _wrong_still(home, rows, verdicts))
        verdicts = _verdicts(home, ())
    if as_json:
        show_json(_as_json(home, verdicts, healable if apply else (), backup))
    else:
        _show(home, verdicts, everything, healable, backup)
    return int(any(one.state != "resumes" for one in verdicts))


def _undone(path: Path, as_json: bool) -> None:
    from ..importers import hermes_db

    backup, healed = hermes_db.undo(path)
    if as_json:
        show_json({"restored": str(backup), "sessions": healed})
    else:
        say(
            f"Restored {path / 'state.db'} as it was before {count(len(healed), 'session')} were healed",
            f"  the backup stays: {backup}",
        )


def _verdicts(home: HermesHome, chosen: Iterable[str]) -> list[Verdict]:
    from ..core.errors import ConfigError
    from ..importers import hermes_db
    from ..importers.hermes_rows import row_of
    from ..importers.hermes_verdicts import judge

    words = {session: entry for session, _, entry in (one.partition("=") for one in chosen)}
    rows = [row_of(one) for one in hermes_db.read(home.database)]
    strange = [
        f"{session}={entry}"
        for session, entry in words.items()
        if session not in {row.id for row in rows} or not home.named(entry)
    ]
    if strange:
        names = ", ".join(one.name for one in home.entries) or "none"
        raise ConfigError(
            f"--choose {strange[0]}: there is no such session or no such entry (entries: {names})",
            next_step="holdfast heal hermes --all",
        )
    return [judge(home, row, words.get(row.id)) for row in rows]


def _wrong_still(home: HermesHome, rows: Sequence[Any], before: Sequence[Verdict]) -> str:
    """Return what is wrong before the commit: a healed row that would not resume, or another changed row."""
    from ..importers.hermes_rows import row_of
    from ..importers.hermes_verdicts import judge

    after = {row.id: row for row in map(row_of, rows)}
    for one in before:
        row = after.get(one.row.id)
        if row is None or (one.config is None and row != one.row):
            return f"session {one.row.id} would have changed"
        if (
            one.config is not None
            and judge(
                home,
                row,
                (one.belongs or "").removeprefix("custom:") if home.named(one.belongs or "") else None,
            ).state
            != "resumes"
        ):
            return f"session {one.row.id} would not resume"
    return ""


def _as_json(
    home: HermesHome, verdicts: Sequence[Verdict], healed: Sequence[Verdict], backup: Path | None
) -> dict[str, Any]:
    return {
        "home": str(home.path),
        "sessions": [
            {
                "id": one.row.id,
                "source": one.row.source,
                "title": one.row.title,
                "model": one.row.model,
                "stored": {
                    "provider": one.row.provider or one.row.billed_provider,
                    "url": one.row.at,
                    "dialect": one.row.dialect,
                },
                "state": str(one.state),
                "today": {
                    "entry": one.today.entry.name if one.today.entry else None,
                    "provider": one.today.provider,
                    "host": one.today.host,
                }
                | {"key": one.today.key},
                "belongs": one.belongs,
                "healable": one.config is not None,
                "why": one.why,
                "candidates": list(one.candidates),
                "note": one.note,
            }
            for one in verdicts
        ],
        "ignored": [{"what": what, "why": why} for what, why in home.ignored],
        "healed": [one.row.id for one in healed],
        "backup": str(backup) if backup is not None else None,
    }


def _show(
    home: HermesHome,
    verdicts: Sequence[Verdict],
    everything: bool,
    healable: Sequence[Verdict],
    backup: Path | None,
) -> None:
    shown = [one for one in verdicts if everything or one.state != "resumes"]
    cells = [[one.row.id, one.row.model, str(one.state), str(one.today), _verdict(one)] for one in shown]
    if cells:
        table(("SESSION", "MODEL", "STATE", "GOES TODAY TO", "BELONGS TO"), cells, empty="")
    for one in verdicts:
        if one.note and everything:
            say(f"  {one.row.id}: {one.note}")
    doubtful = sum(bool(one.note) for one in verdicts)
    sums = {
        state: sum(one.state == state for one in verdicts)
        for state in ("resumes", "wrong place", "cannot be told")
    }
    say(
        f"{count(len(verdicts), 'session')} in {home.database}: {sums['resumes']} resume, "
        f"{sums['wrong place']} would go to the wrong place, {sums['cannot be told']} cannot be told"
    )
    if backup is not None:
        say(
            f"{count(len(healable), 'session')} healed; the file as it was: {backup}",
            "  to take it back: holdfast heal hermes --undo",
        )
    elif healable:
        say(f"  run: holdfast heal hermes --apply   (repairs {len(healable)}; hermes must not run)")
    if doubtful and not everything:
        say(
            f"  {count(doubtful, 'session')} may carry the name of another entry at the same URL",
            "  run: holdfast heal hermes --all",
        )
    if sums["cannot be told"]:
        say("  to decide yourself: holdfast heal hermes --choose SESSION=ENTRY --apply")
    for what, why in home.ignored:
        say(f"  not used by hermes: {what}: {why}")
    profiles = home.path / "profiles"
    if profiles.is_dir():
        say(f"  each directory in {profiles} is a home of its own")
        say(f"  run: holdfast heal hermes --home {profiles}/NAME")


def _verdict(one: Verdict) -> str:
    if one.belongs is not None:
        return one.belongs
    return one.why + (f" ({' or '.join(one.candidates)})" if one.candidates else "")
