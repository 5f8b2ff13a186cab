"""`holdfast session move`, `export` and `import`: choices that go to another provider or another home."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import complete
from .context import CliContext
from .output import count, json_option, say, show_json, table

if TYPE_CHECKING:
    from ..engine.session_moves import Move

_MOST_READ = 1024 * 1024


@click.command()
@click.option(
    "--from",
    "start",
    metavar="PROVIDER",
    required=True,
    help="Whose sessions.",
    shell_complete=complete.providers,
)
@click.option(
    "--to",
    "goal",
    metavar="PROVIDER",
    required=True,
    help="Where they go.",
    shell_complete=complete.providers,
)
@click.option(
    "--model",
    "models",
    metavar="OLD=NEW",
    multiple=True,
    help="What a model is called there; without it a declared model of the same name.",
)
@click.option("--key", metavar="LABEL", help="The key there of sessions whose user chose a key.")
@click.option(
    "--apply", is_flag=True, help="Do it; without this option the plan is shown and nothing changes."
)
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

    Shows the plan first. A session that would not resolve there stays where it is and says why; no model is
    guessed.

    \b
    Example:
      holdfast session move --from mimo-plan --to router --model mimo-v2.5-pro=xiaomi/mimo-v2.5-pro
      holdfast session move --from mimo-plan --to router --model mimo-v2.5-pro=xiaomi/mimo-v2.5-pro --apply
    """
    from ..core.errors import ConfigError
    from ..engine import session_moves

    pairs = dict(one.partition("=")[::2] for one in models)
    if not all(pairs.values()):
        raise ConfigError(
            "--model takes OLD=NEW: the model's name here and there", next_step="holdfast session move --help"
        )
    memory = context.memory
    moves = session_moves.plan(
        context.config, memory.sessions() if memory is not None else [], start, goal, models=pairs, key=key
    )
    late = session_moves.carry_out(context.store, moves) if apply and moves else []
    if as_json:
        show_json([_told(one, apply=apply, late=one in late) for one in moves])
    else:
        _show(moves, late, start, apply=apply)
    return 1 if apply and (late or any(one.to is None for one in moves)) else 0


def _told(one: Move, *, apply: bool, late: bool) -> dict[str, object]:
    to = str(one.to) if one.to is not None else None
    why_not = one.why_not or ("somebody else changed it meanwhile" if late else "")
    return {
        "id": one.session.id,
        "pin": str(one.session.pin),
        "to": to,
        "key": one.key,
        "why_not": why_not,
        "moved": apply and to is not None and not late,
    }


def _show(moves: list[Move], late: list[Move], start: str, *, apply: bool) -> None:
    rows = [
        [
            one.session.id,
            str(one.session.pin),
            str(one.to or "stays"),
            one.why_not or ("changed meanwhile: stays" if one in late else ""),
        ]
        for one in moves
    ]
    table(("SESSION", "PIN", "TO", "WHY NOT"), rows, empty=f"no session is on provider '{start}'")
    going = sum(one.to is not None for one in moves) - len(late)
    if moves:
        say(
            f"{count(going, 'session')} moved"
            if apply
            else f"{count(going, 'session')} would move; nothing was changed"
        )
    if going and not apply:
        say("  run: the same command with --apply")


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

    memory = context.memory
    found = memory.session(session) if memory is not None else None
    if found is None:
        raise ConnectionLost(f"there is no session '{session}'", next_step="holdfast session list")
    say(session_moves.exported(context.config, found).rstrip())


@click.command("import")
@click.argument("file")
@click.option("--as", "name", metavar="SESSION", help="Its id here; without it, the one it had.")
@click.option("--pin", metavar="PIN", help="Your own choice for it here.", shell_complete=complete.pins)
@click.option("--replace", is_flag=True, help="Also when there is a session of that id.")
@click.pass_obj
def import_(context: CliContext, file: str, name: str | None, pin: str | None, replace: bool) -> None:
    """Take over a session that was exported.

    FILE may be '-' for standard input. Refuses when its provider is not here, or is at another address here,
    and nobody gave a pin.

    \b
    Example:
      holdfast session import issue-42.json
    """
    from ..core.errors import ConfigError
    from ..core.identity import Pin
    from ..engine import session_moves, sessions

    session = session_moves.imported(
        context.config,
        _text(file),
        context.store.now(),
        name=name,
        pin=Pin.parse(pin) if pin is not None else None,
    )
    before = context.store.session(session.id)
    if before is not None and not replace:
        raise ConfigError(
            f"there is a session '{session.id}' already",
            next_step=f"holdfast session import {file} --as OTHER-ID   (or --replace)",
        )
    chosen = sessions.pin(context.store, before, session, sessions.Reason(imported=file))
    say(
        f"session '{chosen.id}' is on {chosen.pin}"
        + (f" with key '{chosen.key}'" if chosen.key else "")
        + (", replaced" if before is not None else ", imported")
    )


def _text(file: str) -> str:
    """Raises ConfigError."""
    from pathlib import Path

    from ..core.errors import ConfigError

    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as context:
            return context.read(_MOST_READ).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}", next_step=f"ls -l {file}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text", next_step=f"file {file}") from None
