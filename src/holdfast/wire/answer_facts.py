"""What a whole good answer says of itself: tokens, model, and what it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .account_objects import is_stored, objects_made
from .answer_shape import Document
from .request_body import requested_model
from .usage import usage_in, usage_of


class AnswerFacts(NamedTuple):
    """The token counts under the provider's names, the model that answered ("" where none is named), and the
    objects that only the provider's account knows."""

    usage: Mapping[str, int]
    model: str
    objects: Sequence[str]


def facts_of(text: bytes, document: Document | None, asked: bytes | None = None) -> AnswerFacts:
    """Read a decoded answer; `document` is its JSON where it was parsed, `asked` the body of its request."""
    if document is None:
        return AnswerFacts(usage_of(text), requested_model(text) or "", ())
    objects = objects_made(document, stored="choices" in document and is_stored(asked))
    return AnswerFacts(usage_in(document), str(document.get("model") or ""), objects)
