"""Reads what a message of a chat request holds: its content and its calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from .envelope import Sealer
from .fields import Fields
from .form import FREE, FUNCTION, Call, File, Image, Opaque, Part, Refusal, Seal, Text
from .losses import Losses
from .media import detail_read, from_address, is_data, type_by_name

_ADDRESSES = ("https://", "http://")
_CACHE_MARKS = {"cache_control": "cache_control", "prompt_cache_breakpoint": "cache_control"}
_TEXT = frozenset({"type", "text"})
_P = TypeVar("_P", bound=Part)


def content(
    message: Fields, losses: Losses, reads: Mapping[str, Callable[[Fields, Losses], _P]], *, needed: bool
) -> list[_P | Text]:
    """Return the parts of a message's content: a text, or a list of parts of the types of `reads`."""
    raw = message.raw.get("content")
    if isinstance(raw, str):
        return [Text(raw, message.path("content"))]
    if raw is None and needed:
        message.refuse("content", "is missing")
    return [_part(part, losses, reads) for part in message.objects("content")]


def _part(part: Fields, losses: Losses, reads: Mapping[str, Callable[[Fields, Losses], _P]]) -> _P:
    kind = part.text("type")
    read = reads.get(kind)
    if read is None:
        part.refuse("type", _unknown(kind, reads))
    return read(part, losses)


def _unknown(kind: str, known: Collection[str]) -> str:
    if not kind:
        return f"is missing; known are {', '.join(known)}"
    return f"'{kind}' cannot be translated here; known are {', '.join(known)}"


def _text(part: Fields, _: Losses) -> Text:
    part.only(_TEXT, _CACHE_MARKS)
    return Text(part.needed("text"), part.at)


def _refusal(part: Fields, _: Losses) -> Refusal:
    part.only({"type", "refusal"})
    return Refusal(part.needed("refusal"), part.at)


def _image(part: Fields, losses: Losses) -> Image:
    part.only({"type", "image_url"}, _CACHE_MARKS)
    if isinstance(part.raw.get("image_url"), str):
        return _image_at(part.text("image_url"), "", part.at, losses)
    inner = _inner(part, "image_url", losses)
    inner.only({"url", "detail"})
    return _image_at(inner.needed("url"), detail_read(inner), part.at, losses)


def _file(part: Fields, losses: Losses) -> File:
    part.only({"type", "file"}, _CACHE_MARKS)
    inner = _inner(part, "file", losses)
    inner.only({"file_data", "filename", "file_id"})
    if inner.has("file_id"):
        inner.refuse("file_id", "a file at another provider cannot be read", "send its data as file_data")
    return _file_at(inner.needed("file_data"), inner.text("filename"), part.at, losses)


def _inner(part: Fields, name: str, losses: Losses) -> Fields:
    """Return an object that must be there."""
    return Fields(part.raw.get(name), part.path(name), losses)


def _image_at(url: str, detail: str, at: str, losses: Losses) -> Image:
    if url.startswith(_ADDRESSES):
        return Image(url=url, detail=detail, at=at)
    data = from_address(url)
    if data is None:
        losses.refuse(at, "an image is wanted as https://... or as data:image/png;base64,...")
    return Image(data=data[1], media=data[0], detail=detail, at=at)


def _file_at(text: str, name: str, at: str, losses: Losses) -> File:
    if text.startswith(_ADDRESSES):
        return File(url=text, name=name, at=at)
    media, data = from_address(text) or (type_by_name(name), text)
    if not media or is_data(data):
        losses.refuse(at, "a document is wanted as data:application/pdf;base64,... or as https://...")
    return File(data=data, media=media, name=name, at=at)


WORDS = {"text": _text}
USERS: dict[str, Callable[[Fields, Losses], Text | Image | File]] = {
    "text": _text,
    "image_url": _image,
    "file": _file,
}
MODELS: dict[str, Callable[[Fields, Losses], Part]] = {"text": _text, "refusal": _refusal}


def calls(message: Fields, sealer: Sealer, losses: Losses) -> list[Call]:
    """Return the calls of a message."""
    return [_call(call, sealer, losses) for call in message.objects("tool_calls")]


def _call(call: Fields, sealer: Sealer, losses: Losses) -> Call:
    kind = call.text("type", "function")
    if kind not in _CALLS:
        call.refuse("type", _unknown(kind, _CALLS))
    call.only({"type", "id", "index", "extra_content", kind})
    inner, (arguments, tool_kind) = _inner(call, kind, losses), _CALLS[kind]
    inner.only({"name", arguments})
    seal = None
    if "extra_content" in call.raw:
        seal = _thought_of(call, sealer)
    name, args = inner.needed("name"), inner.text(arguments)
    return Call(call.text("id"), name, args, tool_kind, seal=seal, at=call.at)


_CALLS = {"function": ("arguments", FUNCTION), "custom": ("input", FREE)}


def _thought_of(call: Fields, sealer: Sealer) -> Seal | None:
    """Return the signature beside a call, as Google's endpoints give it."""
    extra = call.inner("extra_content") or Fields({}, call.at, Losses())
    extra.only({"google", "vertex"})
    for owner in filter(None, (extra.inner("google"), extra.inner("vertex"))):
        signature = owner.text("thought_signature")
        if signature:
            return sealer.open(signature) or Seal(Opaque.THOUGHT, signature)
    return None
