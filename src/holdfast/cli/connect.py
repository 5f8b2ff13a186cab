"""`holdfast connect` and `disconnect`: point an installed program to the gateway, and undo that exactly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import complete
from .context import CliContext
from .output import SETUP, note, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..config.catalog import Option
    from ..core.identity import Pin
    from ..harness.base import Harness
    from ..harness.own_settings import InTheWay, Ours


@click.command()
@click.argument("harness")
@click.option("--pin", help="The provider/model that the program starts with.", shell_complete=complete.pins)
@click.pass_obj
def command(context: CliContext, harness: str, pin: str | None) -> None:
    """Point an installed program to the gateway. `holdfast disconnect` undoes it.

    Adds one entry to its configuration: every model that it can use, as a pin, and its token by reference.
    Nothing else there is changed. The gateway must be running (holdfast serve) when the program is used. Run
    it again to update the entry.

    \b
    Example:
      holdfast connect pi
    """
    from .._files import write_private
    from ..harness import attach as shell
    from ..harness.base import ConnectOffer
    from ..harness.own_settings import refuse
    from .run_choice import find_harness

    program = find_harness(harness)
    if program.attach is None:
        raise _unconnectable(program)
    chosen = _pin(context, program, pin)
    root = context.gateway_url
    runs = _runs(context, root)
    token = directory(context) / f"{program.name}.token"
    usable = _models(context, program)
    offer = ConnectOffer(
        root=root,
        token_file=str(token),
        token_command=_token_command(context, root, token),
        models=tuple((str(option.pin), option.translated or option.dialects[0]) for option in usable),
        pin=str(chosen or ""),
        facts={str(option.pin): option.facts for option in usable},
    )
    attachment = program.attach(offer)
    path = shell.config_path(attachment, os.environ)
    ways = _in_the_way(program, shell.ours(attachment, path, root, offer.pin))
    refuse(program.name, program.title, ways)
    _undo(context, program.name)

    def keep(_: Path, text: str) -> None:
        write_private(_receipt(context, program.name), text)

    write_private(token, _issue(context, program.name))
    try:
        shell.connect(program.name, attachment, path, root=root, token=str(token), keep=keep)
    except BaseException:
        _revoke(context, program.name)
        raise
    for way in ways:
        note(way.text)
    say(f"{program.title} is connected to the gateway at {root} ({path})", f"  run: {attachment.use}")
    if not runs:
        say("  No gateway runs now.", "  run: holdfast serve")


@click.command()
@click.argument("harness")
@click.pass_obj
def disconnecting(context: CliContext, harness: str) -> None:
    """Undo `holdfast connect`.

    A file that was not changed meanwhile is restored byte for byte. If it was changed, only our entry is
    removed. The program's token is revoked.

    \b
    Example:
      holdfast disconnect pi
    """
    from ..core.errors import ConfigError
    from .run_choice import find_harness

    program = find_harness(harness)
    if not _receipt(context, program.name).is_file():
        raise ConfigError(f"{program.title} is not connected", next_step=f"holdfast connect {program.name}")
    path = _undo(context, program.name)
    say(f"{program.title} is no longer connected to the gateway ({path})")


def connected_programs(context: CliContext) -> Iterator[tuple[str, str, list[InTheWay]]]:
    """Yield each connected program, what changed since it was connected ("" when nothing did), and what of
    the user's own settings wins over the connection."""
    from ..core.errors import HoldfastError
    from ..gateway.registry import standing
    from ..harness import HARNESSES
    from ..harness.attach import drift, receipt_of, written_by

    urls = [gateway.url for gateway in standing(context.home.state)]
    for path in sorted(directory(context).glob("*.json")):
        try:
            receipt = receipt_of(path.read_text("utf-8"))
            changed = drift(receipt, urls or [context.configured_url])
            yield path.stem, changed, _in_the_way(HARNESSES.get(path.stem), written_by(receipt))
        except (HoldfastError, OSError) as error:
            yield path.stem, str(error).partition("\n")[0], []


def _in_the_way(program: Harness | None, ours: Ours) -> list[InTheWay]:
    """Return the user's own settings that would win over a connection, here and in this shell."""
    from ..harness.own_settings import in_the_way

    if program is None or program.settings is None:
        return []
    return in_the_way(program.settings, ours, os.environ, Path.cwd())


def _runs(context: CliContext, root: str) -> bool:
    """Return whether the gateway of this home listens at `root`. Raises ConfigError where another program
    does: the connected program would show it the token."""
    from ..core.errors import ConfigError
    from ..gateway.listener import Listener

    listener = context.listener_at(root)
    if listener is Listener.STRANGER:
        what = f"the program that listens at {root} does not prove that it is the gateway of this home"
        step = (
            "holdfast serve --listen 127.0.0.1:0   (or restart the gateway, if an older version runs there)"
        )
        raise ConfigError(f"{what}; nothing was changed", next_step=step)
    return listener is Listener.OURS


def _token_command(context: CliContext, root: str, token: Path) -> tuple[str, ...]:
    """Return the command that prints a program's token once the gateway at `root` has proved whose it is."""
    from ..distribution.interpreter import module_command
    from ..harness.own_entry import SHOW_TOKEN

    pepper = context.config.store.pepper or str(context.home.pepper)
    return (*module_command(SHOW_TOKEN, root, pepper, str(token)),)


def directory(context: CliContext) -> Path:
    """Return the directory of receipts and tokens."""
    return context.home.state / "connected"


def _receipt(context: CliContext, name: str) -> Path:
    return directory(context) / f"{name}.json"


def _unconnectable(program: Harness) -> Exception:
    """Return the refusal of a program that cannot be connected."""
    from ..core.errors import CannotHandOver

    why, step = program.no_plan, "holdfast run --list"
    if not why:
        why = f"it takes its key {program.no_attach}"
        step = f"holdfast run {program.name}"
    return CannotHandOver(f"{program.title} cannot be connected: {why}", next_step=step)


def _pin(context: CliContext, program: Harness, text: str | None) -> Pin | None:
    """Return the pin to start with, checked like that of a run."""
    from ..core.compatibility import dialect_for
    from ..core.routing import provider_of
    from .pins import parsed_pin

    if text is None:
        return None
    pin = parsed_pin(context, text)
    config = context.config
    provider = provider_of(config, pin)
    dialect_for(
        program.name,
        program.speaks,
        provider,
        [other for other in config.providers.values() if other is not provider],
        wire=program.wire,
        known_at=config.known_at,
    )
    return pin


def _models(context: CliContext, program: Harness) -> list[Option]:
    """Return the models that this program can use. Raises CannotHandOver when there are none."""
    from ..core.errors import CannotHandOver
    from .pin_question import usable_models

    usable = usable_models(context, program)
    if not usable:
        raise CannotHandOver(
            f"none of your models can be used by {program.title}",
            next_step=f"holdfast models --harness {program.name} --all"
            if context.config.providers
            else SETUP,
        )
    return usable


def _issue(context: CliContext, name: str) -> str:
    """Create the program's token and return it."""
    from ..gateway.tokens import issue, label_of_program

    return issue(context.store, label_of_program(name))[1]


def _undo(context: CliContext, name: str) -> str:
    """Undo an earlier connect, if there was one. Return the path of the program's file."""
    from ..harness.attach import disconnect, receipt_of

    kept_at = _receipt(context, name)
    if not kept_at.is_file():
        return ""
    receipt = receipt_of(kept_at.read_text("utf-8"))
    for member in disconnect(receipt):
        note(f"{member} was changed since, and was left as it is in {receipt.path}")
    _revoke(context, name)
    return receipt.path


def _revoke(context: CliContext, name: str) -> None:
    """Revoke the program's token, and remove its file and the receipt."""
    from ..gateway.tokens import label_of_program

    for token in context.store.tokens():
        if token.label in (label_of_program(name), f"connect {name}") and token.revoked_at is None:
            context.store.revoke_token(token.id)
    for path in (directory(context) / f"{name}.token", _receipt(context, name)):
        path.unlink(missing_ok=True)
