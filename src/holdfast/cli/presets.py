"""`holdfast provider presets`: the known providers that a provider can be added from."""

from __future__ import annotations

from typing import Any

import click

from .output import json_option, show_json, table

_OPTIONAL: dict[str, Any] = {"auth": None, "profile": None, "docs": None, "key_prefixes": []}
"""Fields that a row may lack."""


@click.command()
@click.argument("word", default="", metavar="[WORD]")
@json_option
def presets(word: str, as_json: bool) -> None:
    """List the known providers, or those that a word is about.

    That is: whose name or address holds it. A preset brings addresses, dialects and the manner in which a key
    is sent. It brings no key: the variable is where its key is usually found.

    \b
    Example:
      holdfast provider presets
      holdfast provider presets xiaomi
    """
    from ..providers.presets import about, rows

    names = about(word)
    if as_json:
        show_json([{"preset": name, **_OPTIONAL, **rows()[name]} for name in names])
        return
    table(
        ("PRESET", "PROVIDER", "DIALECTS", "VARIABLE"),
        [
            (name, row["name"], ", ".join(row["endpoints"]), next(iter(row.get("env", ())), "none"))
            for name, row in ((name, rows()[name]) for name in names)
        ],
        empty=f"no preset has '{word}' in its name or address\n  run: holdfast provider add NAME --url URL",
    )
