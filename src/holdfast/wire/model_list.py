"""The one reader of providers' lists of models, in every shape that is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.config import ModelFacts
from ..core.identity import can_be_pinned
from ..core.model_roles import OfferedModel
from .listed_facts import facts_of

# The members of an answer that hold the list: OpenAI's and Anthropic's, then Ollama's and Gemini's.
_LISTS = ("data", "models")
# The members of an item that name the model. LiteLLM's `model_name` comes first: its `id` is that of a
# deployment.
_NAMES = ("model_name", "id", "model", "name")


def read_models(document: Any) -> tuple[OfferedModel, ...] | None:
    """Return the models that a decoded answer lists, each once and in its order; None when it is no list of
    models.

    Names that cannot be part of a pin are left out. A list of things that have no name at all is no list of
    models; an empty one is, and says that this key may use none.
    """
    items = _items(document)
    if not isinstance(items, list):
        return None
    offers: dict[str, OfferedModel] = {}
    for item in items:
        offer = _offer(item)
        if can_be_pinned(offer.name):
            offers[offer.name] = offer
    if items and not offers:
        return None
    return tuple(offers.values())


def read_facts(document: Any) -> dict[str, ModelFacts]:
    """Return what a decoded list says of its models, by their names; a model of which it says nothing is left
    out."""
    items = _items(document)
    if not isinstance(items, list):
        return {}
    known = {_offer(item).name: facts_of(item) for item in items if isinstance(item, Mapping)}
    return {name: facts for name, facts in known.items() if facts and can_be_pinned(name)}


def _items(document: Any) -> Any:
    if not isinstance(document, Mapping):
        return document
    return next((document[name] for name in _LISTS if isinstance(document.get(name), list)), None)


def _offer(item: Any) -> OfferedModel:
    if isinstance(item, str):
        return OfferedModel(item)
    if not isinstance(item, Mapping):
        return OfferedModel("")
    values = [item.get(name) for name in _NAMES]
    names = [value for value in values if isinstance(value, str)]
    return OfferedModel(next(filter(None, names), ""), _mode(item))


def _mode(item: Mapping[str, Any]) -> str:
    """Return what the list says that a model does (`chat`, `embedding`): LiteLLM says it in `model_info`."""
    info = item.get("model_info")
    if not isinstance(info, Mapping):
        info = item
    mode = info.get("mode")
    if not isinstance(mode, str):
        return ""
    return mode
