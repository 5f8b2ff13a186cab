"""`holdfast init`: create the home and a commented holdfast.toml. For keys in the environment it prints the
commands that would use them, and runs none."""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from .context import CliContext
from .output import say

TEMPLATE = """\
#:schema ./holdfast.schema.json
# Your decisions. `holdfast provider` and `holdfast key` edit this file and keep its comments.
# `holdfast doctor` checks it. A key is never written here, only a reference to it:
# env:VARIABLE, file:PATH, cmd:PROGRAM ARGUMENTS, keyring:SERVICE/USER, store:LABEL.

# [provider.my-gateway]
# url    = "https://gateway.example/v1"          # with dialect = "openai-chat", the default
# models = ["some-model"]
# keys   = ["env:MY_GATEWAY_KEY", { from = "store:team", account = "team" }]

# [provider.bilingual]                           # one URL for each dialect
# endpoints = { openai-chat = "https://two.example/v1", anthropic-messages = "https://two.example/anthropic" }
# keys   = ["env:BILINGUAL_KEY"]

# [provider.router]
# preset = "openrouter"                          # a known provider
# keys   = ["env:ROUTER_KEY"]

# [fallback]                                     # what may answer while a choice cannot; no other ever does
# "my-gateway/some-model" = { then = ["router/vendor/some-model"], return_after = "10m" }

# [settings]
# probe_delays = [0.5, 1.0, 2.0]                 # seconds before each test of a key that used to work
# wait_budget  = "60s"                           # how long recovery may wait for one request

# [gateway]
# listen = "127.0.0.1:4141"
"""


@click.command()
@click.pass_obj
def command(context: CliContext) -> None:
    """Create the home directory and a commented holdfast.toml. An existing file is never overwritten.

    Beside it goes holdfast.schema.json, by which editors complete and check it.

    \b
    Example:
      HOLDFAST_HOME=~/.holdfast holdfast init
    """
    from .._files import locked, write_private
    from ..config import schema_file
    from ..core.errors import ConfigError

    path = context.home.config
    with locked(path):
        if path.exists():
            raise ConfigError(f"{path} exists already; nothing was changed", next_step="holdfast doctor")
        write_private(path, TEMPLATE)
    schema_file.put(context.home)
    say(f"Created {path} (mode 0600) with commented examples")
    offers = _offers(os.environ)
    if offers:
        say("", "Your environment seems to hold keys. None was stored. To use one:", *offers)
    else:
        say("  next: holdfast provider add NAME --url URL --key env:VARIABLE")


def _offers(environ: Mapping[str, str]) -> list[str]:
    """Return the commands that would use keys of the environment."""
    from ..providers import presets

    return [
        f"  holdfast provider add {name} --preset {name} --key env:{variable}"
        for name, variable in presets.filled(environ).items()
    ]
