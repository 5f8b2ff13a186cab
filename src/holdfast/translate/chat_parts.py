"""Reads what a message of a chat request holds: its content, its thoughts and its calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TypeVar

from .envelope import Sealer
from .fields import Fields
from .form import Call, File, Image, Opaque, Part, Refusal, Seal, Text, Thinking, ToolKind
from .lenient import count_of
from .losses import Losses
from .media import from_address, is_data, type_by_name

_ADDRESSES = ("https://", "http://")
_CACHE_MARKS = {"cache_control": "cache_control", "prompt_cache_breakpoint": "cache_control"}
_P = TypeVar("_P", bound=Part)


def content(
    message: Fields, losses: Losses, reads: Mapping[str, Callable[[Fields, Losses], _P]], *, needed: bool
) -> list[_P]:
    """Return the parts of a message's content: a text, or a list of parts of the types of `reads`."""
    raw = message.raw.get("content")
    if isinstance(raw, str):
        return [reads["text"](Fields({"text": raw}, message.path("content"), losses), losses)]
    if raw is None and needed:
        message.refuse("content", "is missing")
    return [_part(part, losses, reads) for part in message.objects("content")]


def _part(part: Fields, losses: Losses, reads: Mapping[str, Callable[[Fields, Losses], _P]]) -> _P:
    kind = part.text("type")
    read = reads.get(kind)
    if read is None:
        part.refuse("type", _unknown(kind, reads))
    part.drop(_CACHE_MARKS)
    return read(part, losses)


def _unknown(kind: str, known: Collection[str]) -> str:
    if not kind:
        return f"is missing; known are {', '.join(known)}"
    return f"'{kind}' cannot be translated here; known are {', '.join(known)}"


def _text(part: Fields, _: Losses) -> Text:
    part.only(_CACHE_MARKS, ("type", "text"))
    return Text(part.needed("text"), part.at)


def _refusal(part: Fields, _: Losses) -> Refusal:
    part.only(("type", "refusal"))
    return Refusal(part.needed("refusal"), part.at)


def _image(part: Fields, losses: Losses) -> Image:
    part.only(_CACHE_MARKS, ("type", "image_url"))
    if isinstance(part.raw.get("image_url"), str):
        return _image_at(part.text("image_url"), "", part.at, losses)
    inner = _inner(part, "image_url", losses)
    inner.only(("url", "detail"))
    return _image_at(inner.needed("url"), inner.text("detail"), part.at, losses)


def _file(part: Fields, losses: Losses) -> File:
    part.only(_CACHE_MARKS, ("type", "file"))
    inner = _inner(part, "file", losses)
    inner.only(("file_data", "filename", "file_id"))
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


def thoughts(message: Fields, sealer: Sealer) -> list[Thinking]:
    """Return what the model thought. Its text is in `reasoning_content` or `reasoning`; our seals are in
    `reasoning_details`, beside the text that each belongs to, or alone. Details of others are for their own
    endpoint, and left."""
    text = message.text("reasoning_content") or message.text("reasoning")
    details = list(message.objects("reasoning_details"))
    made = [_detail(detail, sealer) for detail in details]
    if any(thought.text for thought in made):
        return [thought for thought in made if thought.text or thought.seal]
    sealed = [thought for thought in made if thought.seal]
    if not text:
        return sealed
    lengths = [count_of(detail.raw.get("length")) or 0 for detail in details]
    if sum(lengths) == len(text) and len(sealed) == len(made):
        return _cut(text, lengths, made)
    return _with_text(text, sealed, message.at)


def _cut(text: str, lengths: Sequence[int], sealed: Sequence[Thinking]) -> list[Thinking]:
    """Give each thought its part of the text, by the lengths that our answers tell (`chat_answer`)."""
    ends = accumulate(lengths)
    return [
        replace(thought, text=text[end - length : end])
        for thought, length, end in zip(sealed, lengths, ends, strict=True)
    ]


def _detail(detail: Fields, sealer: Sealer) -> Thinking:
    sealed = detail.text("signature") or detail.text("data")
    return Thinking(detail.text("text") or detail.text("summary"), sealer.open(sealed), detail.at)


def _with_text(text: str, sealed: Sequence[Thinking], at: str) -> list[Thinking]:
    """Give the text to the only seal that is one of a text. Several such seals cannot be told apart, and
    only those that hold nothing need not be."""
    apart = [thought for thought in sealed if _is(thought.seal, Opaque.REDACTED)]
    seals = {thought.seal for thought in sealed if not _is(thought.seal, Opaque.REDACTED)}
    seal = None
    if len(seals) == 1:
        seal = seals.pop()
    return [Thinking(text, seal, at), *apart]


def _is(seal: Seal | None, kind: Opaque) -> bool:
    return seal is not None and seal.kind is kind


def calls(message: Fields, sealer: Sealer, losses: Losses) -> list[Call]:
    """Return the calls of a message."""
    return [_call(call, sealer, losses) for call in message.objects("tool_calls")]


def _call(call: Fields, sealer: Sealer, losses: Losses) -> Call:
    kind = call.text("type", "function")
    if kind not in _CALLS:
        call.refuse("type", _unknown(kind, _CALLS))
    call.only(("type", "id", "index", "extra_content", kind))
    inner, (arguments, tool_kind) = _inner(call, kind, losses), _CALLS[kind]
    inner.only(("name", arguments))
    return Call(
        id=call.text("id"),
        name=inner.needed("name"),
        args=inner.text(arguments),
        kind=tool_kind,
        seal=_thought_of(call, sealer),
        at=call.at,
    )


_CALLS = {"function": ("arguments", ToolKind.FUNCTION), "custom": ("input", ToolKind.FREE)}


def _thought_of(call: Fields, sealer: Sealer) -> Seal | None:
    """Return the signature beside a call, as Google's endpoints give it."""
    extra = call.inner("extra_content")
    if extra is None:
        return None
    extra.only(("google", "vertex"))
    for owner in filter(None, (extra.inner("google"), extra.inner("vertex"))):
        signature = owner.text("thought_signature")
        if signature:
            return sealer.open(signature) or Seal(Opaque.THOUGHT, signature)
    return None
