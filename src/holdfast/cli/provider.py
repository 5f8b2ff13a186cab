"""`holdfast provider`: the entries of holdfast.toml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .endpoints import endpoint, of_its_host, of_its_keys, parsed
from .output import count, json_option, say, show_json, table

if TYPE_CHECKING:
    from ..core.config import Config
    from ..core.identity import Provider
    from ..core.session import Session
    from ..store.base import Store


@click.group()
def command() -> None:
    """Add, list, show, extend, rename and remove providers.

    \b
    Example:
      holdfast provider add mimo-plan --url https://token-plan-cn.xiaomimimo.com/v1
    """


command.add_command(endpoint)


@command.command()
@click.argument("name")
@click.option(
    "--url", help="The endpoint's base URL: what precedes /chat/completions, /responses or /v1/messages."
)
@click.option(
    "--dialect", help="What --url speaks: openai-chat (the default), openai-responses or anthropic-messages."
)
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="DIALECT=URL",
    help="Instead of --url, once per dialect.",
)
@click.option("--preset", help="A known provider to start from.", shell_complete=complete.presets)
@click.option("--auth", help="How a key is shown: bearer (the default), x-api-key, api-key, or none.")
@click.option("--model", "models", multiple=True, help="A model it offers; may be repeated.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="REF",
    help="A key's reference, such as env:MY_KEY; may be repeated.",
)
@click.pass_obj
def add(
    context: CliContext,
    /,
    name: str,
    endpoints: Sequence[str],
    models: Sequence[str],
    keys: Sequence[str],
    **given: str | None,
) -> None:
    """Write a provider into holdfast.toml.

    \b
    Example:
      holdfast provider add mimo-plan --url https://token-plan-cn.xiaomimimo.com/v1 --key env:MIMO_KEY
      holdfast provider add router --preset openrouter
      holdfast provider add both --endpoint openai-chat=http://h/v1 --endpoint anthropic-messages=http://h
      holdfast provider add local --url http://127.0.0.1:8080/v1 --auth none
    """
    from .. import config as config_file

    entry: dict[str, object] = {field: value for field, value in given.items() if value is not None}
    _check_address(name, entry, endpoints)
    entry |= (
        {"endpoints": dict(parsed(one, "holdfast provider add --help") for one in endpoints)}
        if endpoints
        else {}
    )
    entry |= {field: list(values) for field, values in (("models", models), ("keys", keys)) if values}
    config = config_file.add_provider(context.home, name, entry)
    provider = next(one for one in config.providers.values() if one.name == name)
    misplaced = list(of_its_keys(context, provider, provider.keys))
    say(f"provider '{name}' now stands in {context.home.config}", *of_its_host(context, provider), *misplaced)
    if misplaced:
        return  # a check would send the key there
    if not provider.keys and not all(provider.takes_no_key(dialect) for dialect in provider.dialects):
        say(f"  next: holdfast key add {name} --from env:VARIABLE   (without --from it asks for the key)")
    else:
        say(f"  next: holdfast check {name}" + (f"/{provider.models[0]}" if provider.models else ""))


def _check_address(name: str, entry: dict[str, object], endpoints: Sequence[str]) -> None:
    from ..core.errors import ConfigError
    from ..providers import presets

    if endpoints and "url" in entry:
        raise ConfigError("--url and --endpoint exclude each other", next_step="holdfast provider add --help")
    if not endpoints and "url" not in entry and "preset" not in entry:
        step = f"--preset {name}" if name in presets.rows() else "--url URL"
        raise ConfigError(
            f"provider '{name}' needs an address: --url, --endpoint or --preset",
            next_step=f"holdfast provider add {name} {step}",
        )


@command.command("list")
@json_option
@click.pass_obj
def list_(context: CliContext, as_json: bool) -> None:
    """List the providers in the order of the file.

    \b
    Example:
      holdfast provider list
    """
    views = [view(context.config, one) for one in context.config.providers.values()]
    if as_json:
        show_json(views)
        return
    rows = [[one["name"], *_summary(one)] for one in views]
    table(
        ("PROVIDER", "DIALECTS", "URL", "KEYS", "MODELS"),
        rows,
        empty="no provider yet\n  run: holdfast provider add NAME --url URL",
    )


def view(config: Config, provider: Provider) -> dict[str, Any]:
    """A provider as JSON values. `models` is null when none are declared."""
    return {
        "name": provider.name,
        "preset": provider.preset,
        "endpoints": [
            {
                "dialect": str(one.dialect),
                "url": one.url,
                "auth": str(one.auth),
                "source": config.endpoint_source(provider, one.dialect),
            }
            for one in provider.endpoints
        ],
        "keys": [key.label for key in provider.keys],
        "models": list(provider.models) if provider.models is not None else None,
        "strategy": str(provider.strategy),
        "profile": provider.profile,
    }


def _summary(one: dict[str, Any]) -> list[str]:
    urls = list(dict.fromkeys(endpoint["url"] for endpoint in one["endpoints"]))
    models = "not declared" if one["models"] is None else str(len(one["models"]))
    return [
        ", ".join(e["dialect"] for e in one["endpoints"]),
        ", ".join(urls),
        ", ".join(one["keys"]) or "none",
        models,
    ]


@command.command()
@click.argument("name", shell_complete=complete.providers)
@json_option
@click.pass_obj
def show(context: CliContext, name: str, as_json: bool) -> None:
    """Show one provider: where each value comes from, and who uses it.

    \b
    Example:
      holdfast provider show mimo-plan
    """
    provider = context.provider(name)
    lists = [one for one in context.config.fallbacks.values() if one.pin.provider == name]
    fallbacks = {str(one.pin): [str(pin) for pin in one.then] for one in lists}
    memory = context.memory
    shown = view(context.config, provider) | {
        "fallbacks": fallbacks,
        "sessions": [one.id for one in memory.sessions() if one.pin.provider == name]
        if memory is not None
        else [],
    }
    if as_json:
        show_json(shown)
        return
    say(f"provider {name}" + (f", from preset {provider.preset}" if provider.preset else ""))
    for one in shown["endpoints"]:
        say(f"  endpoint  {one['dialect']}  {one['url']}  auth {one['auth']}  ({one['source']})")
    for key in provider.keys:
        own = "".join(f", only for {one.dialect} at {one.url}" for one in key.endpoints)
        say(f"  key       {key.label}" + (f", account {key.account}" if key.account else "") + own)
    say(f"  strategy  {provider.strategy}")
    say(
        "  models    "
        + ("not declared" if provider.models is None else ", ".join(provider.models) or "none on offer")
    )
    for pin, then in fallbacks.items():
        say(f"  fallback  {pin}, then {', then '.join(then)}")
    say("  sessions  " + (", ".join(shown["sessions"]) or "none"))


@command.command()
@click.argument("old", shell_complete=complete.providers)
@click.argument("new")
@click.pass_obj
def rename(context: CliContext, old: str, new: str) -> None:
    """Rename a provider wherever it is named.

    That is in holdfast.toml, among the kept keys, and in the sessions.

    \b
    Example:
      holdfast provider rename mimo mimo-plan
    """
    from .. import config as config_file
    from ..core.errors import StoreError

    memory = context.memory  # a store that cannot be read is told before anything is changed
    named = naming(memory, old) if memory is not None else []
    # An interruption between the file and the store leaves sessions on the old name: the same command then
    # finishes them.
    finishing = bool(named) and old not in context.config.providers and new in context.config.providers
    if not finishing:
        config_file.rename_provider(context.home, old, new)
    moved = []
    if memory is not None:
        try:
            moved = memory.rename_provider(old, new)
        except StoreError:
            if not finishing:
                config_file.rename_provider(context.home, new, old)
            raise
    say(
        f"provider '{old}' is now '{new}'"
        + (f", also in {count(len(moved), 'session')}: {', '.join(moved)}" if moved else "")
    )


@command.command()
@click.argument("name", shell_complete=complete.providers)
@click.option(
    "--force",
    is_flag=True,
    help="Also while sessions name it; they are kept, and refuse until they get another pin.",
)
@click.pass_obj
def remove(context: CliContext, name: str, force: bool) -> None:
    """Remove a provider and the keys that were kept for it.

    Refused while sessions name it.

    \b
    Example:
      holdfast provider remove mimo-plan
    """
    from .. import config as config_file
    from .key import sign_out

    entry = context.provider(name)
    memory = context.memory
    named = naming(memory, name) if memory is not None else []
    if named and not force:
        refuse_while_named(f"provider '{name}'", named, f"holdfast provider remove {name} --force")
    config_file.remove_provider(context.home, name)
    for key in entry.keys:
        sign_out(context, key.ref)
    say(f"provider '{name}' was removed from {context.home.config}")
    for one in named:
        say(f"  session {one.id} still names it: holdfast session pin {one.id} PROVIDER/MODEL")


def naming(store: Store, provider: str) -> list[Session]:
    """The sessions whose pin or stand-in is one of the provider's."""
    return [
        one
        for one in store.sessions()
        if one.pin.provider == provider
        or (one.active_fallback is not None and one.active_fallback.fallback.provider == provider)
    ]


def refuse_while_named(what: str, named: Sequence[Session], forced: str) -> None:
    """Raises ConfigError that lists the sessions which would be left without what they chose."""
    from ..core.errors import ConfigError

    lines = [
        f"{what} is named by {count(len(named), 'session')}; nothing was changed",
        *(f"  {one.id} on {one.pin}" for one in named),
    ]
    raise ConfigError(
        "\n".join(lines), next_step=f"holdfast session pin SESSION PROVIDER/MODEL   (or: {forced})"
    )
