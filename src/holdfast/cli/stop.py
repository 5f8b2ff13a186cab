"""`holdfast stop`: end the gateways of this home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .context import CliContext
from .output import say
from .progress import waiting

if TYPE_CHECKING:
    from ..gateway.registry import RunningGateway

_BEYOND_DRAIN = 60.0
"""Seconds that a gateway may need beyond its time to drain: one may be renewing a sign-in."""


@click.command()
@click.argument("url", required=False)
@click.option("--all", "everything", is_flag=True, help="End all gateways that run.")
@click.pass_context
def command(ctx: click.Context, url: str | None, everything: bool) -> None:
    """End the gateway, after its running answers.

    That is the one that holdfast serve started.

    Exit 1: it did not end in time.

    \b
    Example:
      holdfast stop
      holdfast stop http://127.0.0.1:4141
    """
    from ..gateway.registry import standing
    from .background import stop

    context: CliContext = ctx.obj
    patience = context.config.gateway.drain + _BEYOND_DRAIN
    failed = 0
    for gateway in _meant(standing(context.home.state), url, everything=everything):

        def still_runs(instance: str = gateway.instance) -> bool:
            return instance in [entry.instance for entry in standing(context.home.state)]

        with waiting(f"the gateway at {gateway.url} lets its running answers end"):
            ended = stop(gateway, still_runs, patience)
        if ended:
            say(f"The gateway at {gateway.url} has ended.")
        else:
            failed = 1
            say(f"The gateway at {gateway.url} still runs.", f"  run: kill -9 {gateway.pid}")
    ctx.exit(failed)


def _meant(gateways: list[RunningGateway], url: str | None, *, everything: bool) -> list[RunningGateway]:
    """Return the gateways to end. Raises ConfigError where none runs, or one of several has to be chosen."""
    from ..core.errors import ConfigError

    gateways = [entry for entry in gateways if not entry.draining]
    if not gateways:
        raise ConfigError("no gateway runs", next_step="holdfast serve")
    matches = [entry for entry in gateways if url in (None, entry.url)]
    if not matches:
        raise ConfigError(f"no gateway runs at {url}", next_step="holdfast status")
    if len(matches) > 1 and not everything:
        raise ConfigError(
            "several gateways run",
            details=[f"it could be {entry.url}" for entry in matches],
            next_step="holdfast stop URL   (or: holdfast stop --all)",
        )
    return matches
