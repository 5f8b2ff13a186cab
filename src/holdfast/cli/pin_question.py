"""The question of which model a program runs on, asked in a terminal where nothing says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .context import CliContext
from .model_facts import described
from .models import known_models
from .picker import Item, can_pick, pick

if TYPE_CHECKING:
    from ..config.catalog import Option
    from ..harness.base import Harness


def usable_models(context: CliContext, program: Harness) -> list[Option]:
    """Return the models that this program can use."""
    from ..config.catalog import options

    providers = context.config.providers.values()
    listed = {str(provider.name): known_models(context, provider) for provider in providers}
    return [option for option in options(context.config, listed, program.speaks) if not option.why_not]


def asked_for_pin(context: CliContext, program: Harness) -> str | None:
    """Return the pin that the user picks for a program; None where nobody can be asked, or there is none."""
    usable = usable_models(context, program) if can_pick() else []
    if not usable:
        return None
    return pick(
        f"Model for {program.title}", [Item(str(option.pin), described(option.facts)) for option in usable]
    )
