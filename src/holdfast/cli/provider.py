"""`holdfast provider`: the entries of holdfast.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .endpoints import endpoint
from .groups import Nouns
from .guards import also_in, refuse_while_used, sessions_of, sign_out, still_using
from .model_facts import described
from .output import if_any, json_option, say, show_json, some_of, table
from .presets import presets
from .progress import waiting
from .provider_add import add
from .provider_edit import edit

if TYPE_CHECKING:
    from ..core.config import Config, ModelFacts
    from ..core.identity import Key, Pin, Provider


@click.group(cls=Nouns)
def command() -> None:
    """Add, list, show, extend, rename and remove providers.

    \b
    Example:
      holdfast provider add mimo-plan --url https://token-plan-cn.xiaomimimo.com/v1
    """


command.add_command(edit)
command.add_command(endpoint)
command.add_command(presets)
command.add_command(add)


@command.command("list")
@json_option
@click.pass_obj
def list_(context: CliContext, as_json: bool) -> None:
    """List the providers in the order of the file.

    \b
    Example:
      holdfast provider list
    """
    views = [view(context.config, provider) for provider in context.config.providers.values()]
    if as_json:
        show_json(views)
        return
    table(
        ("PROVIDER", "DIALECTS", "URL", "KEYS", "MODELS"),
        [_cells(shown) for shown in views],
        empty="no provider yet\n  run: holdfast provider add NAME --url URL",
    )


def view(config: Config, provider: Provider) -> dict[str, Any]:
    """Return a provider as JSON values. `models` is null when none are declared."""
    return {
        "name": provider.name,
        "preset": provider.preset,
        "endpoints": [
            {
                "dialect": str(endpoint.dialect),
                "url": endpoint.url,
                "auth": str(endpoint.auth),
                "source": config.endpoint_source(provider, endpoint.dialect),
            }
            for endpoint in provider.endpoints
        ],
        "keys": [key.label for key in provider.keys],
        "models": provider.models if provider.models is None else list(provider.models),
        "model_facts": {pin.model: facts for pin, facts in _facts(config, provider)},
        "strategy": str(provider.strategy),
        "profile": provider.profile,
        "forward_headers": list(provider.forward_headers),
    }


def _cells(shown: dict[str, Any]) -> list[str]:
    """Return a provider's row of the table."""
    urls = dict.fromkeys(endpoint["url"] for endpoint in shown["endpoints"])
    models = "not declared"
    if shown["models"] is not None:
        models = str(len(shown["models"]))
    return [
        shown["name"],
        ", ".join(endpoint["dialect"] for endpoint in shown["endpoints"]),
        ", ".join(urls),
        ", ".join(shown["keys"]) or "none",
        models,
    ]


@command.command()
@click.argument("name", shell_complete=complete.providers)
@json_option
@click.pass_obj
def show(context: CliContext, name: str, as_json: bool) -> None:
    """Show one provider.

    That is where each value comes from, and which sessions use it.

    \b
    Example:
      holdfast provider show mimo-plan
    """
    provider = context.provider(name)
    chains = [chain for chain in context.config.fallbacks.values() if chain.pin.provider == name]
    sessions = sessions_of(context.existing_store, name)
    shown = view(context.config, provider) | {
        "fallbacks": {str(chain.pin): [str(pin) for pin in chain.then] for chain in chains},
        "sessions": [session.id for session in sessions if session.pin.provider == name],
    }
    if as_json:
        show_json(shown)
        return
    say(f"provider {name}{if_any(', from preset {}', provider.preset)}")
    for address in shown["endpoints"]:
        say("  endpoint  {dialect}  {url}  auth {auth}  ({source})".format_map(address))
    for key in provider.keys:
        say(f"  key       {_key_line(key)}")
    say(f"  strategy  {provider.strategy}")
    say(f"  models    {_models_line(provider)}")
    for pin, facts in _facts(context.config, provider):
        say(f"  model     {pin.model}: {described(facts)}")
    if provider.forward_headers:
        say(f"  forwards  {', '.join(provider.forward_headers)}")
    for pin, then in shown["fallbacks"].items():
        say(f"  fallback  {pin}, then {', then '.join(then)}")
    say(f"  sessions  {some_of(shown['sessions']) or 'none'}")


def _key_line(key: Key) -> str:
    account = if_any(", account {}", key.account)
    own = "".join(f", only for {endpoint.dialect} at {endpoint.url}" for endpoint in key.endpoints)
    return f"{key.label}{account}{own}"


def _facts(config: Config, provider: Provider) -> list[tuple[Pin, ModelFacts]]:
    """Return the models of a provider that are written as tables, with what is written about them."""
    from ..core.identity import Pin

    pins = [Pin(provider.name, model) for model in provider.models or ()]
    return [(pin, config.facts[pin]) for pin in pins if pin in config.facts]


def _models_line(provider: Provider) -> str:
    if provider.models is None:
        return "not declared"
    return ", ".join(provider.models) or "none"


@command.command()
@click.argument("old", shell_complete=complete.providers)
@click.argument("new")
@click.pass_obj
def rename(context: CliContext, old: str, new: str) -> None:
    """Rename a provider wherever it is used.

    That is in holdfast.toml, among the stored keys, and in the sessions.

    \b
    Example:
      holdfast provider rename mimo mimo-plan
    """
    from .. import config as config_file
    from ..core.errors import StoreError
    from ..store.listing import PartlyRenamed

    store = context.existing_store  # a store that cannot be read is reported before anything is changed
    using = sessions_of(store, old)
    # An interruption between the file and the store leaves sessions on the old name: the same command then
    # finishes them.
    finishing = bool(using) and old not in context.config.providers and new in context.config.providers
    if not finishing:
        config_file.rename_provider(context.editable, old, new)
    try:
        with waiting("renaming it in the sessions"):
            moved = context.store.rename_provider(old, new)
    except PartlyRenamed:
        raise
    except StoreError:
        if not finishing:
            config_file.rename_provider(context.editable, new, old)
        raise
    say(f"provider '{old}' is now '{new}'{also_in(moved)}")


@command.command()
@click.argument("name", shell_complete=complete.providers)
@click.option(
    "--force",
    is_flag=True,
    help="Remove it although sessions use it. They are kept, and refuse requests until they get another pin.",
)
@click.pass_obj
def remove(context: CliContext, name: str, force: bool) -> None:
    """Remove a provider and the keys that were stored for it.

    Refused while sessions use it.

    \b
    Example:
      holdfast provider remove mimo-plan
    """
    from .. import config as config_file

    provider = context.provider(name)
    using = sessions_of(context.existing_store, name)
    if not force:
        refuse_while_used(f"provider '{name}'", using, f"holdfast provider remove {name} --force")
    config_file.remove_provider(context.editable, name)
    ended = [line for key in provider.keys for line in sign_out(context, key.ref)]
    say(f"Removed provider '{name}' from {context.home.config}", *ended, *still_using(name, using))
