"""Reads what a message, an output or a thought of a Responses request holds."""

from __future__ import annotations

from .envelope import Sealer, is_sealed
from .fields import Fields
from .form import File, Image, Opaque, Refusal, Seal, Text, Thinking
from .losses import Losses
from .openai_parts import MARKS, Reads, file, image, refusal, text
from .responses_tools import NATIVE

_TEXT = frozenset({"type", "text"})
_THOUGHT = frozenset({"type", "id", "status", "summary", "content", "encrypted_content"})
_ID = "what is kept at another provider cannot be read; send the data, as data:image/png;base64,..."
_CIPHER = "gAAAA"
"""The begin of what OpenAI encrypts. Codex calls a message between agents encrypted even where a model of
another provider wrote it, in plain words."""


def _encrypted(part: Fields) -> Text:
    part.only({"type", "encrypted_content"})
    words = part.needed("encrypted_content")
    if words.startswith(_CIPHER):
        why = "only the provider that encrypted this message can read it; start a new session"
        part.refuse("", why, NATIVE)
    return Text(words, part.at)


def _image(part: Fields) -> Image:
    part.forbid({"file_id": (_ID, NATIVE)})
    part.only({"type", "image_url", "detail"}, MARKS)
    return image(part, "image_url", part.at)


def _file(part: Fields) -> File:
    part.forbid({"file_id": (_ID, NATIVE)})
    part.only({"type", "file_data", "file_url", "filename"}, {"detail": "detail", **MARKS})
    return file(part, part.at)


WORDS: Reads[Text] = {"input_text": text, "output_text": text, "text": text}
USERS: Reads[Text | Image | File] = {**WORDS, "input_image": _image, "input_file": _file}
MODELS: Reads[Text | Refusal] = {**WORDS, "refusal": refusal}
AGENTS: Reads[Text | Image | File] = {**USERS, "encrypted_content": _encrypted}
"""What agents write to each other, and what tools give."""


def thinking(item: Fields, sealer: Sealer, losses: Losses) -> list[Thinking]:
    """Return what the model thought: nothing, where another home sealed it."""
    item.only(_THOUGHT)
    summary = [_words(part, "summary_text") for part in item.objects("summary")]
    spoken = [_words(part, "reasoning_text") for part in item.objects("content")]
    opaque, seal = item.text("encrypted_content"), None
    if opaque and is_sealed(opaque):
        seal = sealer.open(opaque)
        if seal is None:
            losses.less("thinking_of_another_model", item.at)
            return []
    elif opaque:
        seal = Seal(Opaque.ENCRYPTED, opaque, item=item.text("id"))
    words = "\n\n".join([each for each in spoken or summary if each])
    if not words and seal is None:
        return []
    return [Thinking(words, seal, item.at)]


def _words(part: Fields, kind: str) -> str:
    if part.text("type", kind) not in (kind, "text"):
        part.refuse("type", f"must be {kind}")
    part.only(_TEXT)
    return part.needed("text")
