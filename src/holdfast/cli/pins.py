"""A pin as its user types it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.identity import Pin
    from .context import CliContext


def parsed_pin(context: CliContext, text: str) -> Pin:
    """Return the pin that a text is. Raises IdentityError for another text; where it is the name of a model,
    with the pins that have it."""
    from ..core.errors import IdentityError
    from ..core.identity import Pin

    try:
        return Pin.parse(text)
    except IdentityError as error:
        pins = pins_of(context, text)
        if not pins:
            raise
        details = [f"could be: {pin}" for pin in pins]
        raise IdentityError(error.what, details=details, next_step=error.next_step) from None


def pins_of(context: CliContext, model: str) -> list[str]:
    """Return the pins of a model, of each provider that declares or listed it; none where that cannot be
    read."""
    from ..core.errors import HoldfastError
    from .models import known_models

    with suppress(HoldfastError):
        return [
            f"{provider.name}/{model}"
            for provider in context.providers(None)
            if model in (provider.models or ()) or model in known_models(context, provider)
        ]
    return []
