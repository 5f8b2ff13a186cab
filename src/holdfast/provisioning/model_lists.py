"""Lists of models, read in any format; a failure is never an empty list."""

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
_BY_CERTAINTY = [
    Listed.EMPTY,
    Listed.REFUSED,
    Listed.FORBIDDEN,
    Listed.MALFORMED,
    Listed.UNSUPPORTED,
    Listed.UNREACHABLE,
]
"""Lists without names, the one that says most first."""


def read_list(status: int | None, body: bytes, summary: str = "", *, refused: bool = False) -> Listing:
    """Return the list in a response. `summary` describes a failure; `refused` says that the key was refused,
    whatever the status. Never raises."""
    if status != 200:
        kind = _STATUSES.get(status or 0, Listed.UNREACHABLE)
        if refused:
            kind = Listed.REFUSED
        return Listing(kind, detail=summary)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    offers = read_models(document)
    if offers is None:
        return Listing(Listed.MALFORMED, detail="the response is not a list of models")
    if not offers:
        return Listing(Listed.EMPTY, detail="the list is empty: this key may use no model")
    return Listing(Listed.OK, offers)


def merged(listings: Sequence[Listing]) -> Listing:
    """Merge lists: the names of the first that has any, with the modes that any of them has; without names,
    the list that says most."""
    modes = {offer.name: offer.mode for listing in listings for offer in listing.offers if offer.mode}
    for listing in listings:
        if listing.offers:
            offers = (OfferedModel(offer.name, modes.get(offer.name, "")) for offer in listing.offers)
            return listing._replace(offers=tuple(offers))
    return min(
        listings,
        key=lambda listing: _BY_CERTAINTY.index(listing.kind),
        default=Listing(Listed.UNSUPPORTED, detail="there is no list of models here"),
    )
