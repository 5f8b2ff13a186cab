"""`holdfast models`: all models that can be chosen, declared and discovered together."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .model_facts import described
from .output import SETUP, if_any, json_option, note, say, show_json, table
from .progress import waiting

if TYPE_CHECKING:
    from ..config.catalog import Option
    from ..core.config import ModelFacts
    from ..core.identity import Dialect, Key, Provider


@click.command()
@click.option("--provider", help="Only of this provider.", shell_complete=complete.providers)
@click.option("--harness", help="Only models that this program can use, such as pi, claude or codex.")
@click.option(
    "--refresh",
    is_flag=True,
    help="Ask the providers for their lists first. A failure is not held against any key.",
)
@click.option(
    "--all", "everything", is_flag=True, help="Also show models that cannot be used, with the reason."
)
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

    With --harness: grouped by provider, each with the endpoint that this program would use. Exit 1: with
    --refresh, no provider gave a list.

    \b
    Example:
      holdfast models --provider mimo-plan --refresh
    """
    from ..config.catalog import options

    context: CliContext = ctx.obj
    providers = context.providers(provider)
    failures = _refresh(context, providers) if refresh else []
    discovered = {str(entry.name): known_models(context, entry) for entry in providers}
    shown = [
        option
        for option in options(context.config, discovered, _spoken(harness))
        if option.pin.provider in discovered and (everything or not option.why_not)
    ]
    if as_json and harness:
        show_json(_grouped(context, shown))
    elif as_json:
        show_json([_described(option) for option in shown])
    elif not context.config.providers:
        say("no provider yet", f"  run: {SETUP}")
    elif harness:
        table(
            ("PROVIDER", "PIN", "BY", "AT", "STATE"),
            [[option.pin.provider, str(option.pin), *_where(option), _state(option)] for option in shown],
            empty=_nothing_for(harness, everything, refresh, provider),
        )
    else:
        table(
            ("PIN", "DIALECTS", "STATE"),
            [[str(option.pin), ", ".join(option.dialects), _state(option)] for option in shown],
            empty=_nothing(everything, refresh, provider),
        )
    for failure in failures:
        note(failure)
    ctx.exit(int(bool(failures) and len(failures) == len(providers)))


def _described(option: Option) -> dict[str, Any]:
    return {
        "pin": str(option.pin),
        "dialects": [*map(str, option.dialects)],
        "declared": option.declared,
        "why_not": option.why_not,
        "translated": option.translated and str(option.translated),
        "facts": option.facts,
    }


def _grouped(context: CliContext, shown: list[Option]) -> list[dict[str, Any]]:
    """Return the options as pickers show them: a group for each provider, and in each option the connection
    that it means."""
    return [
        {
            "label": str(name),
            "options": [
                {"label": option.pin.model, "value": str(option.pin)}
                | _described(option)
                | {"connection": _connection(context, option)}
                for option in group
            ],
        }
        for name, group in groupby(shown, key=lambda option: option.pin.provider)
    ]


def _connection(context: CliContext, option: Option) -> dict[str, Any] | None:
    """Return the connection of an option as JSON values; None when it has no endpoint."""
    endpoint = option.endpoint
    if endpoint is None:
        return None
    keys: tuple[Key, ...] = ()
    if option.dialects or option.translated:
        keys = context.provider(option.pin.provider).keys_for(endpoint.dialect)
    return {
        "provider": str(option.pin.provider),
        "dialect": str(endpoint.dialect),
        "url": endpoint.url,
        "auth": str(endpoint.auth),
        "keys": [key.label for key in keys],
    }


def _where(option: Option) -> tuple[str, str]:
    if option.endpoint is None:
        return "", ""
    return str(option.endpoint.dialect), option.endpoint.host


def _state(option: Option) -> str:
    if option.why_not:
        return option.why_not
    return if_any("translated from {}, ", option.translated or "") + _listed(option)


def _listed(option: Option) -> str:
    """Return who names a model, and what is known of it."""
    listed = "declared" if option.declared else "listed by the provider"
    return f"{listed}{if_any(': {}', described(option.facts))}"


def _nothing(everything: bool, refreshed: bool, provider: str | None) -> str:
    """Return the line for an empty list, with what to try next."""
    step = f"models{if_any(' --provider {}', provider)}"
    if not refreshed:
        step += " --refresh"
    elif not everything:
        step += " --all"
    else:
        step = "provider list"
    return f"no model to choose from\n  run: holdfast {step}"


def _nothing_for(harness: str, everything: bool, refreshed: bool, provider: str | None) -> str:
    """Return the line for a program that can use no model: --all shows why."""
    if everything:
        return _nothing(everything, refreshed, provider)
    only = if_any(" --provider {}", provider)
    return f"no model that {harness} can use\n  run: holdfast models{only} --harness {harness} --all"


def _spoken(harness: str | None) -> tuple[Dialect, ...] | None:
    """Return the dialects of a program; None without one. Raises ConfigError for an unknown program."""
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


def known_models(context: CliContext, provider: Provider) -> dict[str, ModelFacts]:
    """Return the models that the provider listed at its present endpoints, those of single keys included,
    with what it said of them."""
    from ..engine.model_lists import stored_models

    return stored_models(context.existing_store, provider)


def _refresh(context: CliContext, providers: list[Provider]) -> list[str]:
    """Ask the providers for their lists and store them. Return a sentence for each that gave none."""
    from ..core.errors import HoldfastError
    from ..engine.model_lists import refresh_provider

    failures = []
    for provider in providers:
        try:
            with waiting(f"listing the models of {provider.name}"):
                refresh_provider(context.vault, lambda: context.store, provider, context.home.profiles)
        except HoldfastError as error:
            failures.append(f"{provider.name}: {error}")
    return failures
