"""A provider's list of models, read in every shape that is known: the one reader that all who ask for a
list go by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.identity import can_be_pinned
from ..core.model_roles import OfferedModel

# The members of an answer that hold the list: OpenAI's and Anthropic's, then Ollama's and Gemini's.
_LISTS = ("data", "models")
# The members of an item that name the model. LiteLLM's `model_name` comes first: its `id` is that of a
# deployment.
_NAMES = ("model_name", "id", "model", "name")


def read_models(document: Any) -> tuple[OfferedModel, ...] | None:
    """Return the models that a decoded answer lists, each once and in its order; None when it is no list of
    models.

    Names that no pin can write are left out. A list of things that have no name at all is no list of models;
    an empty one is, and says that this key may use none.
    """
    items = document
    if isinstance(document, Mapping):
        items = next((document[name] for name in _LISTS if isinstance(document.get(name), list)), None)
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


def _offer(item: Any) -> OfferedModel:
    if isinstance(item, str):
        return OfferedModel(item)
    if not isinstance(item, Mapping):
        return OfferedModel("")
    named = [item[name] for name in _NAMES if isinstance(item.get(name), str) and item[name]]
    info = item.get("model_info")
    mode = info.get("mode") if isinstance(info, Mapping) else item.get("mode")
    return OfferedModel(named[0] if named else "", mode if isinstance(mode, str) else "")
