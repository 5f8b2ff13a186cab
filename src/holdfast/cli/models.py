"""`holdfast models`: the one list of what can be chosen, declared and discovered together."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .output import json_option, plain, show_json, table

if TYPE_CHECKING:
    from ..core.catalog import Option
    from ..core.identity import Dialect, Provider


@click.command()
@click.option("--provider", help="Only of this provider.", shell_complete=complete.providers)
@click.option("--harness", help="Only what this program can speak to, such as pi, claude or codex.")
@click.option(
    "--refresh", is_flag=True, help="Ask the providers for their lists first. This never blames a key."
)
@click.option("--all", "everything", is_flag=True, help="Also what cannot be reached, with the reason.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    provider: str | None,
    harness: str | None,
    refresh: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """List the models of your providers as pins.

    With --harness: grouped by provider, each with the endpoint that this program would be handed. Exit 1:
    with --refresh, none of the providers gave a list.

    \b
    Example:
      holdfast models --provider mimo-plan --refresh
    """
    from ..core.catalog import options

    context: CliContext = ctx.obj
    providers = [context.provider(provider)] if provider else list(context.config.providers.values())
    failures = [said for one in providers if (said := _ask(context, one))] if refresh else []
    discovered: dict[str, list[str]] = {one.name: known_models(context, one) for one in providers}
    found = [
        one
        for one in options(context.config, discovered, _spoken(harness))
        if one.pin.provider in discovered and (everything or not one.why_not)
    ]
    if as_json:
        show_json(_grouped(context, found) if harness else [_described(one) for one in found])
    elif harness:
        rows = [[one.pin.provider, str(one.pin), *_where(one), _state(one)] for one in found]
        table(
            ("PROVIDER", "PIN", "BY", "AT", "STATE"),
            rows,
            empty=_nothing_for(harness, everything, refresh, provider),
        )
    else:
        rows = [[str(one.pin), ", ".join(one.dialects), _state(one)] for one in found]
        table(("PIN", "DIALECTS", "STATE"), rows, empty=_nothing(everything, refresh, provider))
    for said in failures:
        click.echo(f"holdfast: {plain(said)}", err=True)
    ctx.exit(1 if failures and len(failures) == len(providers) else 0)


def _described(one: Option) -> dict[str, Any]:
    return {
        "pin": str(one.pin),
        "dialects": [*map(str, one.dialects)],
        "declared": one.declared,
        "why_not": one.why_not,
    }


def _grouped(context: CliContext, found: list[Option]) -> list[dict[str, Any]]:
    """The options as pickers show them: a group a provider, and in each option the connection that it stands
    for."""
    groups: list[dict[str, Any]] = []
    for name, options in groupby(found, key=lambda one: one.pin.provider):
        listed = []
        for one in options:
            keys = (
                [key.label for key in context.provider(name).keys_for(one.dialects[0])]
                if one.dialects
                else []
            )
            at = (
                {
                    "dialect": str(one.endpoint.dialect),
                    "url": one.endpoint.url,
                    "auth": str(one.endpoint.auth),
                }
                if one.endpoint is not None
                else {}
            )
            connection = {"provider": str(name), **at, "keys": keys} if one.endpoint is not None else None
            listed.append(
                {"label": one.pin.model, "value": str(one.pin), **_described(one), "connection": connection}
            )
        groups.append({"label": str(name), "options": listed})
    return groups


def _where(one: Option) -> tuple[str, str]:
    return (str(one.endpoint.dialect), one.endpoint.host) if one.endpoint is not None else ("", "")


def _state(one: Option) -> str:
    return one.why_not or ("declared" if one.declared else "listed by the provider")


def _nothing(everything: bool, refreshed: bool, provider: str | None) -> str:
    only = f" --provider {provider}" if provider else ""
    step = (
        "provider list"
        if everything and refreshed
        else f"models{only} --all"
        if refreshed
        else f"models{only} --refresh"
    )
    return f"no model to choose from\n  run: holdfast {step}"


def _nothing_for(harness: str, everything: bool, refreshed: bool, provider: str | None) -> str:
    """Return what to say where a program can use nothing: with --all it is shown why, after that only a list
    can help."""
    if everything:
        return _nothing(everything, refreshed, provider)
    only = f" --provider {provider}" if provider else ""
    return f"no model that {harness} can use\n  run: holdfast models{only} --harness {harness} --all"


def _spoken(harness: str | None) -> tuple[Dialect, ...] | None:
    """The dialects of a program. Raises ConfigError for one that is not known."""
    if harness is None:
        return None
    from ..core.config import near
    from ..core.errors import ConfigError
    from ..harness import SPEAKS

    if harness not in SPEAKS:
        raise ConfigError(
            f"no harness is called '{harness}': {near(harness, SPEAKS)}", next_step="holdfast models"
        )
    return SPEAKS[harness]


def known_models(context: CliContext, provider: Provider) -> list[str]:
    """What the provider listed at the addresses that it has now."""
    memory = context.memory
    seen = [memory.models(provider.name, one.url) for one in provider.endpoints] if memory is not None else []
    return [model for one in seen if one is not None for model in one[0]]


def _ask(context: CliContext, provider: Provider) -> str:
    """Ask the provider for its list at its first endpoint that has one, and remember it; what to say if none
    answers."""
    from ..core.errors import HoldfastError
    from .check import list_models

    said = ""
    for dialect in provider.dialects:
        try:
            list_models(context, provider, dialect)
        except HoldfastError as error:
            said = said or f"{provider.name}: {error}"
        else:
            return ""
    return said
