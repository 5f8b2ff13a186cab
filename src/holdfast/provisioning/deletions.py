"""What the answers to requests for the deletion of a key say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core.faults import Reply
from ..core.provisioning_state import Record
from .base import Fate, MalformedAnswer, Tools, document_of, not_given_back

_DELETED = ("deleted", "deleted_keys")
"""The members that say what was deleted (OpenRouter, LiteLLM)."""
_NO_ROUTE = "Not Found"
"""The detail of FastAPI for an address that it does not have."""


def fate_of(replies: Iterable[Reply], record: Record, tools: Tools) -> Fate:
    """Return what the answers to requests for a deletion say. Raises NotReady for one that says nothing."""
    fate = Fate.NOT_KNOWN
    for reply in replies:
        if says_deleted(reply):
            fate = Fate.GIVEN_BACK
        elif not says_not_known(reply):
            raise not_given_back(record, tools.summary(reply))
    return fate


def says_deleted(reply: Reply) -> bool:
    """Return whether an answer says that a key was deleted. A page, which may be of what stands before the
    service, says nothing."""
    if reply.status == 204:
        return True
    document = _object(reply)
    if reply.status != 200 or document is None or document.get("error"):
        return False
    return all(document[name] for name in _DELETED if name in document)


def says_not_known(reply: Reply) -> bool:
    """Return whether a 404 is the service's own for a key that it does not know. What stands before one that
    sleeps or has moved says 404 in another form, and so does a service without this route."""
    document = _object(reply)
    if reply.status != 404 or document is None:
        return False
    return isinstance(document.get("error"), dict) or document.get("detail", _NO_ROUTE) != _NO_ROUTE


def _object(reply: Reply) -> dict[str, Any] | None:
    """Return the JSON object in an answer; None if it is none."""
    try:
        document = document_of(reply.body)
    except MalformedAnswer:
        return None
    return document if isinstance(document, dict) else None
