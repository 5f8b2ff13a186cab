"""`holdfast provider add`: a new entry of holdfast.toml, and what its host is known or found to speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from . import complete, siblings
from .context import CliContext
from .endpoints import in_other_dialects, of_its_host, of_its_keys, parsed
from .model_limits import limit_options, with_limits
from .new_provider import check_address, check_dialect, check_given, public_reference
from .output import if_any, in_a_terminal, say
from .references import is_free_to_read

if TYPE_CHECKING:
    from ..core.identity import Provider

_FIELDS = ("url", "dialect", "preset", "auth")


@click.command()
@click.argument("name")
@click.option(
    "--url", help="The endpoint's base URL: what precedes /chat/completions, /responses or /v1/messages."
)
@click.option(
    "--dialect",
    help="The dialect of --url: openai-chat (the default), openai-responses or anthropic-messages.",
)
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    metavar="DIALECT=URL",
    help="Instead of --url, once per dialect.",
)
@click.option("--preset", help="A known provider to start from.", shell_complete=complete.presets)
@click.option("--auth", help="How a key is sent: bearer (the default), x-api-key, api-key, or none.")
@click.option("--model", "models", multiple=True, help="A model it offers; may be repeated.")
@limit_options
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="REF",
    help="A key's reference, such as env:MY_KEY; may be repeated.",
)
@click.option(
    "--probe/--no-probe",
    default=in_a_terminal,
    help="Ask the host which other dialects it speaks, with the first key. Default: in a terminal.",
)
@click.option("--yes", is_flag=True, help="Ask the host, and add the endpoints that are found.")
@click.pass_obj
def add(
    context: CliContext,
    /,
    name: str,
    endpoints: Sequence[str],
    models: Sequence[str],
    keys: Sequence[str],
    probe: bool,
    yes: bool,
    **given: Any,
) -> None:
    """Add a provider to holdfast.toml.

    Its host may speak other dialects than the one that is given. With --probe it is asked: a request to
    each known path on this host, which asks for no answer and costs nothing.

    \b
    Example:
      holdfast provider add mimo-plan --url https://token-plan-cn.xiaomimimo.com/v1 --key env:MIMO_KEY
      holdfast provider add router --preset openrouter
      holdfast provider add both --endpoint openai-chat=http://h/v1 --endpoint anthropic-messages=http://h
      holdfast provider add local --url http://127.0.0.1:8080/v1 --auth none
    """
    from .. import config as config_file
    from ..core.identity import ProviderName

    limited = with_limits(models, given, f"holdfast provider add {name} --model MODEL --context TOKENS")
    entry = {field: given[field] for field in _FIELDS if given[field] is not None}
    written = {
        **given,
        "endpoint": endpoints,
        "model": models,
        "key": [public_reference(key) for key in keys],
    }
    check_address(name, written)
    check_given("holdfast provider add", name, keys, written)
    if endpoints:
        entry["endpoints"] = parsed(endpoints, "holdfast provider add --help")
    check_dialect(name, written)
    if models:
        entry["models"] = list(limited)
    if keys:
        entry["keys"] = list(keys)
    config = config_file.add_provider(context.editable, name, entry)
    provider = config.providers[ProviderName(name)]
    misplaced = list(of_its_keys(context, provider, provider.keys))
    say(f"Added provider '{name}' to {context.home.config}")
    say(*(f"  {other.what}" for other in in_other_dialects(context, provider)))
    say(*of_its_host(context, provider), *misplaced)
    if misplaced:  # it must not be sent
        return
    if probe or yes:
        _probe(context, provider, yes=yes)
    say(_next_step(provider))


def _probe(context: CliContext, provider: Provider, *, yes: bool) -> None:
    """Ask the host for other dialects with a key that is free to read, and tell each step."""
    asked = []
    for each in siblings.asks(context, provider, [*filter(is_free_to_read, provider.keys)]):
        say(f"  asked  {siblings.line_of(each)}")
        asked.append(each)
    say(*(f"  {line}" for line in siblings.offer(context, provider, asked, yes=yes)))


def _next_step(provider: Provider) -> str:
    """Return the line with the next command for a new provider."""
    if not provider.served():
        step = f"holdfast key add {provider.name} --from env:VARIABLE"
        return f"  next: {step}   (without --from it asks for the key)"
    model = next(iter(provider.models or ()), "")
    return f"  next: holdfast check {provider.name}{if_any('/{}', model)}"
