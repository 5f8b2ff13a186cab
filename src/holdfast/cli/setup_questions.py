"""The questions of `holdfast setup`, asked in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ..values.plain_text import plain
from .context import CliContext
from .known_provider import Address
from .output import note
from .picker import Item, can_pick, pick
from .references import new_label

if TYPE_CHECKING:
    from ..core.identity import Provider

_ADDRESS = "URL of the provider, or the name of a preset"
_MOST_SHOWN = 20
"""Models that are listed by number; any other can be typed."""


def asked_for_address(given: Address, environ: Mapping[str, str]) -> Address:
    """Return the address that the user types or picks: a URL, or the name of a preset. Keys that the
    environment seems to hold are told; the first of their presets is the default."""
    from ..core.errors import HoldfastError
    from ..providers import presets

    filled = presets.filled(environ)
    if can_pick():
        text = pick(_ADDRESS, _known(filled), lambda text: "this URL" if "://" in text else "")
        return _addressed(given, text)
    if filled:
        keys = ", ".join(f"{variable} ({name})" for name, variable in filled.items())
        note(f"your environment seems to hold keys: {keys}")
    note("known providers are listed by: holdfast provider presets")
    while True:
        text = str(_ask(_ADDRESS, next(iter(filled), None))).strip()
        if "://" in text:
            return _addressed(given, text)
        try:
            presets.find(text)
        except HoldfastError as unknown:
            note(f"{unknown.what}: {unknown.next_step}")
        else:
            return _addressed(given, text)


def _addressed(given: Address, text: str) -> Address:
    return replace(given, url=text) if "://" in text else replace(given, preset=text)


def _known(filled: Mapping[str, str]) -> list[Item]:
    """Return the presets, those first for which the environment seems to hold a key."""
    from ..providers import presets

    rows = presets.rows()
    names = dict.fromkeys([*filled, *rows])
    keys = {name: f", key in {variable}" for name, variable in filled.items()}
    return [Item(name, f"{rows[name]['name']}{keys.get(name, '')}") for name in names]


def asked_for_key(context: CliContext, provider: Provider) -> Provider:
    """Return the provider with a key that the user types, which is stored in secrets.toml."""
    from .. import config as config_file
    from .prompts import given_secret

    otherwise = f"holdfast key add {provider.name} --from env:VARIABLE"
    secret = given_secret(provider.name, from_stdin=False, otherwise=otherwise, again="holdfast setup")
    entry = {"from": f"store:{new_label()}"}
    config = config_file.add_key(context.editable, provider.name, entry, secret)
    context.forget_config()
    return config.providers[provider.name]


def asked_for_model(provider: Provider, listed: Sequence[str]) -> str | None:
    """Return the model that the user picks, by number in plain lines, or types; None for an empty answer
    where the provider lists none."""
    known = [*dict.fromkeys([*(provider.models or ()), *listed])]
    if known and can_pick():
        return pick("Model", [Item(model) for model in known], lambda _: "not listed by the provider")
    shown = known[:_MOST_SHOWN]
    for number, model in enumerate(shown, start=1):
        click.echo(f"  {number:>2}  {plain(model)}", err=True)
    if len(listed) > len(shown):
        note(f"and {len(listed) - len(shown)} more: holdfast models --provider {provider.name}")
    default = "1" if shown else ""
    while True:
        answer = str(_ask("Model, by number or name", default)).strip()
        if not shown or not answer.isdecimal():
            return answer or None
        if 0 < int(answer) <= len(shown):
            return shown[int(answer) - 1]
        if answer in known:
            return answer
        note(f"there is no number {answer}: the last is {len(shown)}")


def _ask(question: str, default: str | None) -> object:
    try:
        return click.prompt(question, default=default, err=True)
    except click.Abort:
        click.echo(err=True)  # the terminal shows ^C behind the question
        raise
