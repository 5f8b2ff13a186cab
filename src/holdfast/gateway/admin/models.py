"""The model list as pins, in one shape that the OpenAI and the Anthropic SDKs both read.

It holds the models that are declared and those that providers listed recently (`config.catalog`), except the
ones that cannot be reached. No provider is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from ...config.catalog import Option, options
from ...core.config import Config, ModelFacts
from ...core.errors import AmbiguousModel, StoreError, UnknownModel
from ...core.identity import Dialect, Pin
from ...engine.model_lists import stored_models
from ...engine.state import Engine

ANTHROPIC = frozenset({Dialect.ANTHROPIC_MESSAGES})
OPENAI = frozenset(Dialect) - ANTHROPIC
_NAMES = {
    "max_input_tokens": "context",
    "context_length": "context",
    "max_model_len": "context",
    "max_tokens": "output",
    "max_completion_tokens": "output",
    "supports_reasoning": "reasoning",
}
"""The members of an item that say what is known of a model, and the fact of each."""
_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""The date that Anthropic's API gives for an unknown one."""


def spoken(headers: Mapping[bytes, bytes]) -> frozenset[Dialect] | None:
    """Return the dialects that the caller speaks, None where its headers do not show it.

    Anthropic's clients must send the API version; OpenAI's SDKs send their programming language.
    """
    if b"anthropic-version" in headers:
        return ANTHROPIC
    if b"x-stainless-lang" in headers:
        return OPENAI
    return None


def listing(
    engine: Engine, speaks: Collection[Dialect] | None, pins: Collection[Pin] | None
) -> dict[str, Any]:
    """Return all models, in the order of the configuration; with `pins` only those."""
    items = [_item(option) for option in _reachable(engine, speaks, pins)]
    first = last = None
    if items:
        first, last = items[0]["id"], items[-1]["id"]
    return {"object": "list", "data": items, "has_more": False, "first_id": first, "last_id": last}


def one(
    engine: Engine, name: str, speaks: Collection[Dialect] | None, pins: Collection[Pin] | None
) -> dict[str, Any]:
    """Return the model of this pin, or of this bare name where only one provider has it; with `pins` among
    those.

    Raises UnknownModel or AmbiguousModel, with the candidates.
    """
    offered = _reachable(engine, speaks, pins)
    named = [option for option in offered if str(option.pin) == name]
    if not named:
        named = [option for option in offered if option.pin.model == name]
    if len(named) == 1:
        return _item(named[0])
    if named:
        candidates = [str(option.pin) for option in named]
        raise AmbiguousModel(
            f"several providers list a model '{name}'", candidates=candidates, next_step="holdfast models"
        )
    alike = get_close_matches(name, [str(option.pin) for option in offered], n=3, cutoff=0.5)
    raise UnknownModel(f"no provider lists a model '{name}'", candidates=alike, next_step="holdfast models")


def _reachable(
    engine: Engine, speaks: Collection[Dialect] | None, pins: Collection[Pin] | None
) -> list[Option]:
    config = engine.config()
    reachable = [
        option for option in options(config, _discovered(engine, config), speaks) if not option.why_not
    ]
    if pins is None:
        return reachable
    return [option for option in reachable if option.pin in pins]


def _discovered(engine: Engine, config: Config) -> dict[str, dict[str, ModelFacts]]:
    """Return the models that each provider listed at its present endpoints, with what it said of them."""
    listed: dict[str, dict[str, ModelFacts]] = {}
    try:
        for provider in config.providers.values():
            listed[provider.name] = stored_models(engine.store, provider)
    except StoreError as error:  # the declared models can still be listed
        engine.journal_writer.warn_once(error)
    return listed


def _item(option: Option) -> dict[str, Any]:
    """Return one model. What is known of it is told in each name by which clients look for it: Anthropic's,
    OpenRouter's and vLLM's; what is not known is left out."""
    facts: Mapping[str, Any] = {**option.facts}
    known = {name: facts[fact] for name, fact in _NAMES.items() if fact in facts}
    if "input" in facts:
        known["architecture"] = {"input_modalities": list(facts["input"]), "output_modalities": ["text"]}
    item: dict[str, Any] = {
        "id": str(option.pin),
        "object": "model",
        "created": 0,
        "owned_by": option.pin.provider,
        "type": "model",
        "display_name": option.pin.model,
        "created_at": _UNKNOWN_DATE,
        "lifecycle": "active",
        "holdfast": {
            "dialects": [*map(str, option.dialects)],
            "translated": option.translated is not None,
            "declared": option.declared,
            "facts": {**facts},
        },
    }
    return item | known
