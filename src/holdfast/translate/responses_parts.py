"""Reads what a message, an output or a thought of a Responses request holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from .envelope import Sealer, is_sealed
from .fields import Fields
from .form import File, Image, Opaque, Part, Refusal, Seal, Text, Thinking
from .losses import Losses
from .media import detail_read, from_address, is_data, type_by_name
from .responses_tools import NATIVE

_P = TypeVar("_P", bound=Part)
_Reads = Mapping[str, Callable[[Fields], _P]]
_MARKS = {"prompt_cache_breakpoint": "cache_control"}
_LOST_OF_TEXT = {"annotations": "citations", **_MARKS}
_TEXT = frozenset({"type", "text", "logprobs"})
_THOUGHT = frozenset({"type", "id", "status", "summary", "content", "encrypted_content"})
_ADDRESSES = ("https://", "http://")
_ID = "what is kept at another provider cannot be read; send the data, as data:image/png;base64,..."
_CIPHER = "gAAAA"
"""The begin of what OpenAI encrypts. Codex calls a message between agents encrypted even where a model of
another provider wrote it, in plain words."""


def content(fields: Fields, name: str, reads: _Reads[_P]) -> list[Text | _P]:
    """Return the parts of a member: a text, or a list of parts of the types of `reads`."""
    raw = fields.raw.get(name)
    if raw is None:
        fields.refuse(name, "is missing")
    if isinstance(raw, str):
        return [Text(raw, fields.path(name))]
    return [_part(part, reads) for part in fields.objects(name)]


def _part(part: Fields, reads: _Reads[_P]) -> _P:
    kind = part.needed("type")
    read = reads.get(kind)
    if read is None:
        part.refuse("type", f"'{kind}' is not known here; known are {', '.join(reads)}")
    return read(part)


def _text(part: Fields) -> Text:
    part.only(_TEXT, _LOST_OF_TEXT)
    return Text(part.needed("text"), part.at)


def _encrypted(part: Fields) -> Text:
    part.only({"type", "encrypted_content"})
    text = part.needed("encrypted_content")
    if text.startswith(_CIPHER):
        why = "only the provider that encrypted this message can read it; start a new session"
        part.refuse("", why, NATIVE)
    return Text(text, part.at)


def _refusal(part: Fields) -> Refusal:
    part.only({"type", "refusal"})
    return Refusal(part.needed("refusal"), part.at)


def _image(part: Fields) -> Image:
    part.forbid({"file_id": (_ID, NATIVE)})
    part.only({"type", "image_url", "detail"}, _MARKS)
    url, detail = part.needed("image_url"), detail_read(part)
    if url.startswith(_ADDRESSES):
        return Image(url=url, detail=detail, at=part.at)
    data = from_address(url)
    if data is None:
        part.refuse("image_url", "must be https://... or data:image/png;base64,...")
    return Image(data=data[1], media=data[0], detail=detail, at=part.at)


def _file(part: Fields) -> File:
    part.forbid({"file_id": (_ID, NATIVE)})
    part.only({"type", "file_data", "file_url", "filename"}, {"detail": "detail", **_MARKS})
    name, url = part.text("filename"), part.text("file_url")
    if url:
        return File(url=url, name=name, at=part.at)
    text = part.needed("file_data")
    media, data = from_address(text) or (type_by_name(name), text)
    if not media or is_data(data):
        part.refuse("file_data", "must be data:application/pdf;base64,... or the like")
    return File(data=data, media=media, name=name, at=part.at)


_WORDS: dict[str, Callable[[Fields], Text]] = {"input_text": _text, "output_text": _text, "text": _text}
WORDS: _Reads[Text] = _WORDS
USERS: _Reads[Text | Image | File] = {**_WORDS, "input_image": _image, "input_file": _file}
MODELS: _Reads[Text | Refusal] = {**_WORDS, "refusal": _refusal}
AGENTS: _Reads[Text | Image | File] = {**USERS, "encrypted_content": _encrypted}
"""What agents write to each other, and what tools give."""


def thinking(item: Fields, sealer: Sealer, losses: Losses) -> list[Thinking]:
    """Return what the model thought: nothing, where another home sealed it."""
    item.only(_THOUGHT)
    summary = [_words(part, "summary_text") for part in item.objects("summary")]
    text = [_words(part, "reasoning_text") for part in item.objects("content")]
    opaque, seal = item.text("encrypted_content"), None
    if is_sealed(opaque):
        seal = sealer.open(opaque)
        if seal is None:
            losses.less("thinking_of_another_model", item.at)
            return []
    elif opaque:
        seal = Seal(Opaque.ENCRYPTED, opaque, item=item.text("id"))
    words = "\n\n".join(filter(None, text or summary))
    if not words and seal is None:
        return []
    return [Thinking(words, seal, item.at)]


def _words(part: Fields, kind: str) -> str:
    if part.text("type", kind) not in (kind, "text"):
        part.refuse("type", f"must be {kind}")
    part.only(_TEXT)
    return part.needed("text")
