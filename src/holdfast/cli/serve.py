"""`holdfast serve`: start the gateway. It replaces this process by a program that does not load the packages
of the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..distribution.interpreter import module_command
from .context import CliContext
from .output import json_option


@click.command()
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="The address to listen on; port 0 is any free port. Default: [gateway] listen, else 127.0.0.1:4141.",
)
@click.option("--host", help="Only the host of that address.")
@click.option("--port", type=click.IntRange(0, 65535), help="Only the port of that address.")
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
    "--log-file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the log to a file, of which two parts of 10 MiB are kept, instead of standard error.",
)
@click.option(
    "--fast-path",
    envvar="HOLDFAST_FAST_PATH",
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
@click.option(
    "--background",
    is_flag=True,
    help="Return once it accepts requests. Its log is a file; holdfast stop ends it.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """Start the gateway.

    Prints its URL once it accepts requests: any client can use it as its base URL. If there is no gateway
    token yet, it creates the first one and shows it once. SIGTERM lets running answers finish, SIGHUP reads
    the configuration again. With --replace no connection is refused meanwhile, and if the new gateway cannot
    start, the other one goes on.

    \b
    Example:
      holdfast serve
      holdfast serve --listen 127.0.0.1:0 --workers 2 --json
      holdfast serve --background
      holdfast serve --replace
    """
    context: CliContext = ctx.obj
    flags = ("public", "access_log", "replace", "background")
    values = {name: options[name] for name in ("log_file", "wait_for_store")}
    values["listen"] = _listen(context, options)
    if options["background"] and not options["log_file"]:
        from ..gateway.process.log_file import default_log

        values["log_file"] = str(default_log(context.home.state))
    given = ["--workers", str(options["workers"]), "--fast-path", options["fast_path"]]
    given += [_option(name) for name in flags if options[name]]
    given += ["--json"] * as_json
    for name, value in values.items():
        if value:
            given += [_option(name), value]
    command = module_command("holdfast.gateway", *given)
    if options["background"]:
        from .background import start

        ctx.exit(start(command, Path(values["log_file"]), as_json=as_json))
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _listen(context: CliContext, options: dict[str, Any]) -> str | None:
    """Return the address that is given, perhaps by its host or port alone; None for the configured one."""
    from ..config.listen import Listen
    from ..core.errors import ConfigError

    if options["host"] is None and options["port"] is None:
        return str(options["listen"]) if options["listen"] else None
    if options["listen"]:
        raise ConfigError("--listen excludes --host and --port", next_step="holdfast serve --help")
    configured = Listen.parse(context.config.gateway.listen)
    host, port = options["host"], options["port"]
    if host is None:
        host = configured.host
    if port is None:
        port = configured.port
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
