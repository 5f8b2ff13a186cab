"""`holdfast provider edit`: change what a provider offers, and how it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from . import complete
from .config import edit_file
from .context import CliContext
from .model_limits import limit_options, with_limits
from .output import say


@click.command()
@click.argument("name", shell_complete=complete.providers)
@click.option("--add-model", "added", multiple=True, metavar="MODEL", help="Offer this model too.")
@limit_options
@click.option("--remove-model", "removed", multiple=True, metavar="MODEL", help="No longer offer this model.")
@click.option("--strategy", help="The order of its keys: fill-first, round-robin or least-used.")
@click.option("--translate", help="What a translation may lose: label, exact or never.")
@click.option(
    "--forward-header",
    "forwarded",
    multiple=True,
    metavar="HEADER",
    help="A header that passes to and from it, in place of those in the file.",
)
@click.pass_obj
def edit(
    context: CliContext, /, name: str, added: Sequence[str], removed: Sequence[str], **given: Any
) -> None:
    """Change a provider; without options, in your editor.

    Its addresses are changed by holdfast provider endpoint, its keys by holdfast key.

    \b
    Example:
      holdfast provider edit mimo-plan --add-model mimo-v2.5-flash
      holdfast provider edit mimo-plan --add-model mimo-v2.5-pro --context 1048576 --output 131072
      holdfast provider edit mimo-plan --strategy round-robin
    """
    from ..config.provider_fields import set_fields

    provider = context.provider(name)
    offered = with_limits(added, given, f"holdfast provider edit {name} --add-model MODEL --context TOKENS")
    fields: dict[str, object] = {}
    if given["forwarded"]:
        fields["forward_headers"] = [*_texts(given["forwarded"])]
    fields |= {field: given[field] for field in ("strategy", "translate") if given[field] is not None}
    if not (fields or added or removed):
        edit_file(context)
        return
    if fields:
        set_fields(context.editable, name, fields)
    if added or removed:
        _offer(context, name, provider.models or (), added=offered, removed=removed)
    say(f"Changed provider '{name}' in {context.home.config}", f"  next: holdfast provider show {name}")


def _texts(value: object) -> Sequence[str]:
    return value if isinstance(value, list | tuple) else ()


def _offer(
    context: CliContext, name: str, models: Sequence[str], *, added: Sequence[object], removed: Sequence[str]
) -> None:
    """Write the list of models with those that were added and without those that were removed."""
    from ..config import set_models
    from ..config.model_tables import name_of
    from ..core.config import near
    from ..core.errors import ConfigError

    unknown = [model for model in removed if model not in models]
    if unknown:
        raise ConfigError(
            f"provider '{name}' declares no model '{unknown[0]}': {near(unknown[0], models)}",
            next_step=f"holdfast provider show {name}",
        )
    by_name: dict[str, object] = {model: model for model in models}
    by_name |= {name_of(model): model for model in added}
    kept = [model for each, model in by_name.items() if each not in removed]
    set_models(context.editable, name, kept or None)
