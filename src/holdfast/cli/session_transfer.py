"""`holdfast session move`, `export` and `import`: choices that go to another provider or another home."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._files import quoted
from . import complete
from .context import CliContext
from .output import command_of, count, if_any, json_option, say, show_json, table
from .progress import waiting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..core.identity import Pin
    from ..core.session import Session
    from ..engine.session_moves import Move

_MOST_READ = 1024 * 1024
"""Bytes of an exported session that are read."""
_MOST_NAMES = 6
"""Former names that are listed."""


@click.command()
@click.option(
    "--from",
    "start",
    metavar="PROVIDER",
    required=True,
    help="The provider whose sessions move.",
    shell_complete=complete.providers,
)
@click.option(
    "--to",
    "goal",
    metavar="PROVIDER",
    required=True,
    help="The provider that they move to.",
    shell_complete=complete.providers,
)
@click.option(
    "--model",
    "models",
    metavar="OLD=NEW",
    multiple=True,
    help="The new provider's name for a model; by default the same name, if the provider declares it.",
)
@click.option(
    "--key", metavar="LABEL", help="The new provider's key for the sessions whose user chose a key."
)
@click.option("--apply", is_flag=True, help="Move them. Without this the plan is shown and nothing changes.")
@json_option
@click.pass_obj
def move(
    context: CliContext,
    /,
    start: str,
    goal: str,
    models: tuple[str, ...],
    key: str | None,
    apply: bool,
    as_json: bool,
) -> int:
    """Move the sessions of a provider to another.

    Shows the plan first. A session that would not resolve there stays where it is, and the plan says why; no
    model is guessed. Exit 1: with --apply, a session was not moved.

    \b
    Example:
      holdfast session move --from mimo-plan --to router --model mimo-v2.5-pro=xiaomi/mimo-v2.5-pro
      holdfast session move --from mimo-plan --to router --model mimo-v2.5-pro=xiaomi/mimo-v2.5-pro --apply
    """
    from ..core.errors import ConfigError
    from ..engine import session_moves

    names = dict(text.partition("=")[::2] for text in models)
    if not all(names.values()):
        raise ConfigError(
            "--model takes OLD=NEW: the model's name here and there", next_step="holdfast session move --help"
        )
    late: list[Move] = []
    with waiting(f"looking at the sessions of {start}"):
        sessions = context.existing_store.sessions_using(start)
        moves = session_moves.plan(context.config, sessions, start, goal, models=names, key=key)
        if apply and moves:
            late = session_moves.carry_out(context.store, moves)
    if as_json:
        show_json([_view(item, apply=apply, late=item in late) for item in moves])
    else:
        again = None
        if not apply:
            options = {"from": start, "to": goal, "model": models, "key": key, "apply": True}
            again = command_of("holdfast session move", "", options)
        _show(moves, late, empty=f"no session is on provider '{start}'", again=again)
    stayed = [item for item in moves if item.to is None or item in late]
    return int(apply and bool(stayed))


def _view(item: Move, *, apply: bool, late: bool) -> dict[str, object]:
    """Return a move as JSON values. `late` is true when another program changed the session meanwhile."""
    why_not = item.why_not
    if late and not why_not:
        why_not = "another program changed it meanwhile"
    return {
        "id": item.session.id,
        "pin": str(item.session.pin),
        "to": item.to and str(item.to),
        "key": item.key,
        "why_not": why_not,
        "follow": item.chosen().following_names() if item.to else [],
        "moved": apply and item.to is not None and not late,
    }


def _show(moves: list[Move], late: list[Move], *, empty: str, again: str | None) -> None:
    """Print the moves; `again` is the command that would carry them out, None when that is done."""
    rows = []
    for item in moves:
        why_not = item.why_not
        if item in late and not why_not:
            why_not = "changed meanwhile: stays"
        rows.append([item.session.id, str(item.session.pin), str(item.to or "stays"), why_not])
    table(("SESSION", "PIN", "TO", "WHY NOT"), rows, empty=empty)
    if not moves:
        return
    chosen = [item.chosen() for item in moves if item.to is not None and item not in late]
    going = len(chosen)
    if again is None:
        say(f"{count(going, 'session')} moved")
        say(*who_follows(chosen))
        return
    say(f"{count(going, 'session')} would move; nothing was changed")
    say(*who_follows(chosen))
    if going:
        say(f"  run: {again}")


def who_follows(chosen: Iterable[Session]) -> list[str]:
    """Return lines that say which clients follow their sessions to new choices, and which do not."""
    names = list(dict.fromkeys(name for session in chosen for name in session.following_names()))
    if not names:
        return []
    listed = ", ".join(f"'{name}'" for name in names[:_MOST_NAMES])
    if len(names) > _MOST_NAMES:
        listed += ", ..."
    return [
        f"  clients follow that ask for the session by a former name: {listed}",
        "  clients do not follow that ask for another provider/model: they still get what they ask for",
    ]


@click.command()
@click.argument("session", shell_complete=complete.sessions)
@click.pass_obj
def export(context: CliContext, session: str) -> None:
    """Print a session's choice as JSON, for another home.

    It holds the pin, the label of a chosen key and the provider's addresses; never a key.

    \b
    Example:
      holdfast session export issue-42
    """
    from ..core.errors import ConnectionLost
    from ..engine import session_moves

    stored = context.existing_store.session(session)
    if stored is None:
        raise ConnectionLost(f"there is no session '{session}'", next_step="holdfast session list")
    say(session_moves.exported(context.config, stored).rstrip())


@click.command("import")
@click.argument("file")
@click.option("--as", "name", metavar="SESSION", help="Its id here; by default the id that it had.")
@click.option("--pin", metavar="PIN", help="The pin to put it on here.", shell_complete=complete.pins)
@click.option("--replace", is_flag=True, help="Replace the session of that id, if there is one.")
@click.pass_obj
def import_(context: CliContext, file: str, name: str | None, pin: str | None, replace: bool) -> None:
    """Import a session that was exported.

    FILE may be '-' for standard input. Without --pin it is refused when its provider does not exist here, or
    has another address here.

    \b
    Example:
      holdfast session import issue-42.json
    """
    from ..core.errors import ConfigError
    from ..engine import session_moves, sessions

    now = context.store.now()
    session = session_moves.imported(context.config, _read(file), now, name=name, pin=_pin(pin))
    before = context.store.session(session.id)
    if before is not None and not replace:
        raise ConfigError(
            f"there is a session '{session.id}' already",
            next_step=f"holdfast session import {quoted(file)} --as OTHER-ID   (or --replace)",
        )
    chosen = sessions.pin(context.store, before, session, sessions.Reason(imported=file))
    done = "imported" if before is None else "replaced"
    with_key = if_any(" with key '{}'", chosen.key)
    say(f"session '{chosen.id}' is on {chosen.pin}{with_key}, {done}", *who_follows([chosen]))


def _pin(text: str | None) -> Pin | None:
    from ..core.identity import Pin

    if text is None:
        return None
    return Pin.parse(text)


def _read(file: str) -> str:
    """Return the text of an exported session; "-" is standard input. Raises ConfigError."""
    from ..core.errors import ConfigError

    try:
        return _first_bytes(file).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}", next_step=f"ls -l {quoted(file)}"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text", next_step=f"file {quoted(file)}") from None


def _first_bytes(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(_MOST_READ)
    with Path(file).open("rb") as source:
        return source.read(_MOST_READ)
