"""Reads what a message of a chat request holds: its content and its calls."""

from __future__ import annotations

from .envelope import Sealer
from .fields import Fields
from .form import FREE, FUNCTION, Call, File, Image, Opaque, Part, Seal, Text
from .openai_parts import MARKS, Reads, file, image, refusal, text


def _image(part: Fields) -> Image:
    part.only({"type", "image_url"}, MARKS)
    if isinstance(part.raw.get("image_url"), str):
        return image(part, "image_url", part.at)
    inner = part.required("image_url")
    inner.only({"url", "detail"})
    return image(inner, "url", part.at)


def _file(part: Fields) -> File:
    part.only({"type", "file"}, MARKS)
    inner = part.required("file")
    inner.forbid({"file_id": ("a file at another provider cannot be read", "send its data as file_data")})
    inner.only({"file_data", "filename"})
    return file(inner, part.at)


WORDS: Reads[Text] = {"text": text}
USERS: Reads[Text | Image | File] = {"text": text, "image_url": _image, "file": _file}
MODELS: Reads[Part] = {"text": text, "refusal": refusal}


def calls(message: Fields, sealer: Sealer) -> list[Call]:
    """Return the calls of a message."""
    return [_call(call, sealer) for call in message.objects("tool_calls")]


def _call(call: Fields, sealer: Sealer) -> Call:
    kind = call.text("type", "function")
    if kind not in _CALLS:
        call.refuse("type", f"'{kind}' is not known here; known are {', '.join(_CALLS)}")
    call.only({"type", "id", "index", "extra_content", kind})
    inner, (arguments, tool_kind) = call.required(kind), _CALLS[kind]
    inner.only({"name", arguments})
    seal = None
    if "extra_content" in call.raw:
        seal = _thought_of(call, sealer)
    name, args = inner.needed("name"), inner.text(arguments)
    return Call(call.text("id"), name, args, tool_kind, seal=seal, at=call.at)


_CALLS = {"function": ("arguments", FUNCTION), "custom": ("input", FREE)}


def _thought_of(call: Fields, sealer: Sealer) -> Seal | None:
    """Return the signature beside a call, as Google's endpoints give it."""
    extra = call.inner("extra_content")
    if extra is None:
        return None
    extra.only({"google", "vertex"})
    for owner in filter(None, (extra.inner("google"), extra.inner("vertex"))):
        signature = owner.text("thought_signature")
        if signature:
            return sealer.open(signature) or Seal(Opaque.THOUGHT, signature)
    return None
