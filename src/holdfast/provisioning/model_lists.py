"""What a service says of its models, read in any shape; a failure is never an empty list."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..core.model_roles import Listed, Listing, OfferedModel
from ..wire.model_list import read_models

_STATUSES = {
    401: Listed.REFUSED,
    403: Listed.FORBIDDEN,
    404: Listed.UNSUPPORTED,
    405: Listed.UNSUPPORTED,
    501: Listed.UNSUPPORTED,
}


def read_list(status: int | None, body: bytes, told: str = "", *, refused: bool = False) -> Listing:
    """Return what an answer lists. `told` is what a message may say of a failure; `refused` that it speaks of
    the key, at whatever status. Never raises."""
    if status != 200:
        return Listing(
            Listed.REFUSED if refused else _STATUSES.get(status or 0, Listed.UNREACHABLE), told=told
        )
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    offers = read_models(document)
    if offers is None:
        return Listing(Listed.MALFORMED, told="the answer is no list of models")
    if not offers:
        return Listing(Listed.EMPTY, told="the list is empty: this key may use no model")
    return Listing(Listed.OK, offers)


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
