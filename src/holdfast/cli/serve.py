"""`holdfast serve`: start the gateway. It replaces this process by a program that does not load the packages
of the command line."""

from __future__ import annotations

import os

import click

from ..distribution.interpreter import module_command
from .output import json_option


@click.command()
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="The address to listen on; port 0 is any free port. Default: [gateway] listen, else 127.0.0.1:4141.",
)
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 256),
    help="The number of processes that share the port.",
)
@click.option("--public", is_flag=True, help="Allow an address that other machines can reach.")
@click.option("--access-log", is_flag=True, help="Log every request, not only errors.")
@click.option(
    "--fast-path",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="Whether a request like one before it is sent without deciding anew. Answers are the same.",
)
@json_option
def command(
    listen: str | None, workers: int, public: bool, access_log: bool, fast_path: str, as_json: bool
) -> None:
    """Start the gateway.

    Prints its URL once it accepts requests: any client can use it as its base URL. If there is no gateway
    token yet, it creates the first one and shows it once. SIGTERM lets running answers finish, SIGHUP reads
    the configuration again.

    \b
    Example:
      holdfast serve
      holdfast serve --listen 127.0.0.1:0 --workers 2 --json
    """
    flags = {"--public": public, "--access-log": access_log, "--json": as_json}
    given = ["--workers", str(workers), "--fast-path", fast_path]
    given += [name for name, wanted in flags.items() if wanted]
    if listen:
        given += ["--listen", listen]
    command = module_command("holdfast.gateway", *given)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted
