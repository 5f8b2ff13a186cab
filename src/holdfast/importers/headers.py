"""Headers that other programs send to a provider: those that hold its key, those that ours may send too, and
the rest, which is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..wire.header_names import why_not_configured
from .base import ResultBuilder
from .keys import FoundKey, NoKey, looks_secret

_AUTH = {"authorization": "bearer", "api-key": "api-key", "x-api-key": "x-api-key"}
"""How a key is sent, by the header that holds it."""
_BEARER = "bearer "
_ANOTHER = "another key is used, and an entry has one way to send it"
_FORM = "a key there begins with Bearer: write keys = [ … ] yourself"
_ACCOUNTS = frozenset({"openai-organization", "openai-project"})
"""Headers whose values look like secrets and are none."""


def key_in(
    headers: Mapping[str, object], read: Callable[[str], FoundKey | NoKey]
) -> tuple[str, FoundKey | NoKey]:
    """Return the key in a provider's headers, as `read` reads its text, and the way in which it is sent; ""
    without one."""
    name = _holder(headers)
    if not name:
        return "", NoKey()
    auth, text = _AUTH[name.lower()], str(headers[name]).strip()
    if auth == "bearer":
        text = text[len(_BEARER) :].strip()
    return auth, read(text)


def key_text(headers: Mapping[str, object]) -> str:
    """Return the text of the header that holds a key; "" without one."""
    return str(headers.get(_holder(headers), "")).strip()


def _holder(headers: Mapping[str, object]) -> str:
    """Return the name of the first header that holds a key; "" for none."""
    return next((name for name, value in headers.items() if _holds_key(name, str(value).strip())), "")


def _holds_key(name: str, text: str) -> bool:
    auth = _AUTH.get(name.lower(), "")
    if auth == "bearer":
        return text.lower().startswith(_BEARER)
    return bool(auth and text)


def carried(
    builder: ResultBuilder, headers: Mapping[str, object], *, at: str, hold_the_key: bool = True
) -> dict[str, str] | None:
    """Return the headers that hold no secret, for the field `headers` of an entry, None for none; note each
    of the others by its name. That of `key_in` belongs to neither, where it holds the key that is used."""
    kept: dict[str, str] = {}
    used = ""
    if hold_the_key:
        used = _holder(headers)
    for name, value in headers.items():
        text = str(value).strip()
        if name.lower() in _AUTH:
            if text and name != used:
                builder.leave_out(f"header '{name}' of {at}", _why_not_used(name, text))
            continue
        why = why_not_configured(name, text)
        if not why and name.lower() not in _ACCOUNTS and (looks_secret(text) or text.startswith("!")):
            why = "its value may be a secret: if it is none, write headers = { … } yourself"
        if why or not text.isascii():
            builder.leave_out(f"header '{name}' of {at}", why or "its value is not ASCII")
        else:
            kept[name] = text
    return kept or None


def _why_not_used(name: str, text: str) -> str:
    """Return why a header that is for a key is not carried."""
    if _holds_key(name, text):
        return _ANOTHER
    return _FORM
