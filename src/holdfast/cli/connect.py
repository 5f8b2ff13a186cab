"""`holdfast connect` and `disconnect`: an installed program learns the way to the gateway, and forgets it
again to the last byte."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import complete
from .context import CliContext
from .output import plain, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..core.identity import Dialect, Pin
    from ..harness.base import Harness


@click.command()
@click.argument("harness")
@click.option("--pin", help="The provider/model that the program starts with.", shell_complete=complete.pins)
@click.pass_obj
def command(context: CliContext, harness: str, pin: str | None) -> None:
    """Point an installed program to the gateway. `holdfast disconnect` undoes it.

    Adds one entry to its configuration, with every model that it can use as a pin and its token by reference.
    Nothing else there is changed. The gateway must be running (holdfast serve) when the program is used.
    Connect again to bring the entry up to date.

    \b
    Example:
      holdfast connect pi
    """
    from .._files import write_private
    from ..harness import attach as shell
    from ..harness.base import ConnectOffer
    from .run_choice import known

    program = known(harness)
    if program.attach is None:
        raise _unconnectable(program)
    chosen = _pin(context, program, pin)
    _undo(context, program.name)
    token = directory(context) / f"{program.name}.token"
    attachment = program.attach(
        ConnectOffer(root(context), str(token), _models(context, program), str(chosen or ""))
    )
    path = shell.config_path(attachment, os.environ)

    def keep(_: Path, text: str) -> None:
        write_private(_receipt(context, program.name), text)

    write_private(token, _issue(context, program.name))
    try:
        shell.connect(program.name, attachment, path, root(context), str(token), keep)
    except BaseException:
        _forget(context, program.name)
        raise
    say(
        f"{program.title} is connected to the gateway at {root(context)} ({path})",
        f"  run: {attachment.use}",
    )


@click.command()
@click.argument("harness")
@click.pass_obj
def disconnecting(context: CliContext, harness: str) -> None:
    """Undo `holdfast connect`.

    A file that was not changed meanwhile is restored byte for byte. In one that was changed, only the entry of
    Holdfast is removed. The program's token is revoked.

    \b
    Example:
      holdfast disconnect pi
    """
    from ..core.errors import ConfigError
    from .run_choice import known

    program = known(harness)
    if not _receipt(context, program.name).is_file():
        raise ConfigError(f"{program.title} is not connected", next_step=f"holdfast connect {program.name}")
    path = _undo(context, program.name)
    say(f"{program.title} is no longer connected to the gateway ({path})")


def root(context: CliContext) -> str:
    """Where the gateway of this home listens, by its configuration."""
    from ..core.config import Listen

    return Listen.parse(context.config.gateway.listen).url


def alarms(context: CliContext) -> Iterator[tuple[str, str]]:
    """Each connected program, and what of it is no longer as it was connected ("" when all is)."""
    from ..core.errors import HoldfastError
    from ..harness.attach import drift, receipt_of

    for path in sorted(directory(context).glob("*.json")):
        try:
            yield path.stem, drift(receipt_of(path.read_text("utf-8")), root(context))
        except (HoldfastError, OSError) as error:
            yield path.stem, str(error).partition("\n")[0]


def directory(context: CliContext) -> Path:
    """Where receipts and tokens are."""
    return context.home.state / "connected"


def _receipt(context: CliContext, name: str) -> Path:
    return directory(context) / f"{name}.json"


def _unconnectable(program: Harness) -> Exception:
    from ..core.errors import CannotHandOver

    why = (
        program.no_plan
        or "it takes its key from the environment only, where a token would stand for every program"
    )
    step = f"holdfast run {program.name}" if not program.no_plan else "holdfast run --list"
    return CannotHandOver(f"{program.title} cannot be connected: {why}", next_step=step)


def _pin(context: CliContext, program: Harness, text: str | None) -> Pin | None:
    """The pin to begin with, checked like that of a run."""
    from ..core.compatibility import dialect_for
    from ..core.identity import Pin
    from ..core.routing import provider_of

    if text is None:
        return None
    pin = Pin.parse(text)
    config = context.config
    provider = provider_of(config, pin)
    dialect_for(
        program.name,
        program.speaks,
        provider,
        [one for one in config.providers.values() if one is not provider],
        wire=program.wire,
        known_at=config.known_at,
    )
    return pin


def _models(context: CliContext, program: Harness) -> tuple[tuple[str, Dialect], ...]:
    """The one list of what can be chosen, as far as this program can speak to it. Raises CannotHandOver when
    there is nothing."""
    from ..core.catalog import options
    from ..core.errors import CannotHandOver
    from .models import known_models

    listed: dict[str, list[str]] = {
        one.name: known_models(context, one) for one in context.config.providers.values()
    }
    found = [
        (str(one.pin), one.dialects[0])
        for one in options(context.config, listed, program.speaks)
        if not one.why_not
    ]
    if not found:
        raise CannotHandOver(
            f"none of your models can be used by {program.title}",
            next_step=f"holdfast models --harness {program.name} --all",
        )
    return tuple(found)


def _issue(context: CliContext, name: str) -> str:
    from ..gateway.tokens import issue

    return issue(context.store, f"connect {name}")[1]


def _undo(context: CliContext, name: str) -> str:
    """Take back what an earlier connect did, if one did; the file it is about."""
    from ..harness.attach import disconnect, receipt_of

    kept_at = _receipt(context, name)
    if not kept_at.is_file():
        return ""
    receipt = receipt_of(kept_at.read_text("utf-8"))
    for member in disconnect(receipt):
        click.echo(
            f"holdfast: {plain(member)} was changed since, and was left as it is in {plain(receipt.path)}",
            err=True,
        )
    _forget(context, name)
    return receipt.path


def _forget(context: CliContext, name: str) -> None:
    """End the token, and remove it and the receipt."""
    for token in context.store.tokens():
        if token.label == f"connect {name}" and token.revoked_at is None:
            context.store.revoke_token(token.id)
    for path in (directory(context) / f"{name}.token", _receipt(context, name)):
        path.unlink(missing_ok=True)
