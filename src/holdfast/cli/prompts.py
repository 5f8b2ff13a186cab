"""Questions at the terminal, for keys and codes. Without one the error names a command that asks nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..values.plain_text import plain

if TYPE_CHECKING:
    from ..values.secret import Secret


def given_secret(provider: str, *, from_stdin: bool, otherwise: str, again: str) -> Secret:
    """Return a key as it is piped or typed. Raises ConfigError without repeating it.

    `otherwise` is the command that needs no terminal, `again` the one to try once more.
    """
    from ..core.errors import ConfigError
    from ..values.secret import Secret

    if from_stdin:
        text = sys.stdin.read()
    elif sys.stdin.isatty():
        text = click.prompt(f"Key of provider '{provider}' (not shown)", hide_input=True, err=True)
    else:
        raise ConfigError("there is no terminal to ask for the key on", next_step=otherwise)
    try:
        return Secret(text)
    except ValueError as error:
        raise ConfigError(f"this is not a key: {error}", next_step=again) from None


def given_code(name: str, what: str, otherwise: str) -> str:
    """Return a code as it is typed. Without a terminal, raise NotReady with the command that needs none."""
    from ..core.errors import NotReady

    if not sys.stdin.isatty():
        what = f"'{name}' needs a code, and there is no terminal to ask for it on"
        raise NotReady(what, reason="needs_operator", next_step=otherwise)
    return str(click.prompt(plain(what), err=True))
