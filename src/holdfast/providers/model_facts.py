"""The limits and abilities of a model: of what the user wrote, what the endpoint listed and what our table
knows, the first that says it. Nothing else is known of a model, and nothing is assumed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

from ..core.config import Config, ModelFacts
from ..core.identity import Dialect, Endpoint, Pin, Provider
from .caps import members_of, vendor_of

_NAMES = {"context": "context", "max_output": "output", "input": "input", "reasoning": "reasoning"}
"""What rows of our table say of a model, and what that is called among its facts."""


def facts_of(
    config: Config, pin: Pin, listed: ModelFacts | None = None, *, endpoint: Endpoint | None = None
) -> ModelFacts:
    """Return what is known of a pin's model. `listed` is what a list of the endpoint's says; `endpoint` is
    where its requests go, where that is not the provider's first."""
    provider = config.providers.get(pin.provider)
    facts: dict[str, Any] = {}
    if provider is not None:
        facts |= in_table(provider, endpoint or provider.endpoints[0], pin.model)
    return cast("ModelFacts", facts | {**(listed or {})} | {**config.facts.get(pin, {})})


def in_table(provider: Provider, endpoint: Endpoint, model: str) -> ModelFacts:
    """Return what our table knows of a model at an endpoint."""
    return _known(vendor_of(provider, endpoint), endpoint.dialect, model)


@lru_cache(maxsize=4096)
def _known(vendor: str, dialect: Dialect, model: str) -> ModelFacts:
    members = members_of(vendor, dialect, model)
    return cast("ModelFacts", {ours: members[name] for name, ours in _NAMES.items() if name in members})
