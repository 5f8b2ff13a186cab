"""What a service says of its models, read in any shape; a failure is never an empty list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..core.identity import can_be_pinned
from ..core.model_roles import Listed, Listing, OfferedModel

_STATUSES = {
    401: Listed.REFUSED,
    403: Listed.FORBIDDEN,
    404: Listed.UNSUPPORTED,
    405: Listed.UNSUPPORTED,
    501: Listed.UNSUPPORTED,
}


def read_list(status: int | None, body: bytes, told: str = "", *, refused: bool = False) -> Listing:
    """The list in an answer of any known shape: OpenAI's and Anthropic's `data`, LiteLLM's `/model/info`, a
    bare array, Ollama's `models`. `told` is what a message may say of a failure; `refused` that it speaks of
    the key, at whatever status. Never raises."""
    if status != 200:
        return Listing(
            Listed.REFUSED if refused else _STATUSES.get(status or 0, Listed.UNREACHABLE), told=told
        )
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    items = document.get("data", document.get("models")) if isinstance(document, dict) else document
    if not isinstance(items, list):
        return Listing(Listed.MALFORMED, told="the answer is no list of models")
    offers = tuple({offer.name: offer for offer in map(_offer, items) if can_be_pinned(offer.name)}.values())
    if items and not offers:
        return Listing(Listed.MALFORMED, told="the answer lists things without a name")
    return Listing(
        Listed.OK if offers else Listed.EMPTY,
        offers,
        "" if offers else "the list is empty: this key may use no model",
    )


def _offer(item: Any) -> OfferedModel:
    if not isinstance(item, dict):
        return OfferedModel(item if isinstance(item, str) else "")
    info = item.get("model_info")
    name = next((item[key] for key in ("model_name", "id", "model", "name") if item.get(key)), "")
    mode = info.get("mode") if isinstance(info, dict) else item.get("mode")
    return OfferedModel(name if isinstance(name, str) else "", mode if isinstance(mode, str) else "")


def merged(listings: Sequence[Listing]) -> Listing:
    """What several sources say together: the names of the first that has any, with the modes that any of them
    knows; without names, the first that says anything definite."""
    modes = {offer.name: offer.mode for listing in listings for offer in listing.offers if offer.mode}
    first = next((one for one in listings if one.offers), None)
    if first is not None:
        return first._replace(
            offers=tuple(OfferedModel(offer.name, modes.get(offer.name, "")) for offer in first.offers)
        )
    rank = [
        Listed.EMPTY,
        Listed.REFUSED,
        Listed.FORBIDDEN,
        Listed.MALFORMED,
        Listed.UNSUPPORTED,
        Listed.UNREACHABLE,
    ]
    return min(
        listings,
        key=lambda one: rank.index(one.kind),
        default=Listing(Listed.UNSUPPORTED, told="nothing lists models here"),
    )
