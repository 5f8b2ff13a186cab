"""`holdfast serve`: start the gateway. It replaces this process by a program that does not load the packages
of the command line."""

from __future__ import annotations

import os
from typing import Any

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
@click.option(
    "--replace",
    is_flag=True,
    help="Take over the sockets of the gateway that runs, which then ends: for an upgrade without a gap.",
)
@click.option(
    "--wait-for-store",
    metavar="TIME",
    help="Wait so long for a database that does not answer yet, such as 60s. Default: not at all.",
)
@json_option
def command(listen: str | None, wait_for_store: str | None, as_json: bool, **options: Any) -> None:
    """Start the gateway.

    Prints its URL once it accepts requests: any client can use it as its base URL. If there is no gateway
    token yet, it creates the first one and shows it once. SIGTERM lets running answers finish, SIGHUP reads
    the configuration again. With --replace no connection is refused meanwhile, and if the new gateway cannot
    start, the other one goes on.

    \b
    Example:
      holdfast serve
      holdfast serve --listen 127.0.0.1:0 --workers 2 --json
      holdfast serve --replace
    """
    flags = {
        "--public": options["public"],
        "--access-log": options["access_log"],
        "--replace": options["replace"],
        "--json": as_json,
    }
    given = ["--workers", str(options["workers"]), "--fast-path", options["fast_path"]]
    given += [name for name, wanted in flags.items() if wanted]
    if listen:
        given += ["--listen", listen]
    if wait_for_store:
        given += ["--wait-for-store", wait_for_store]
    command = module_command("holdfast.gateway", *given)
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted
