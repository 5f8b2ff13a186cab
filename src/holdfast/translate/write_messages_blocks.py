"""Writes the blocks of a message for an endpoint that speaks Messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from .context import Target
from .form import FREE, Call, File, Image, Opaque, Part, Refusal, Result, Seal, Text, Thinking, Turn
from .losses import Losses
from .media import is_readable, text_of
from .names import wire_name

_IMAGES = {
    "image/jpeg": "image/jpeg",
    "image/jpg": "image/jpeg",
    "image/png": "image/png",
    "image/gif": "image/gif",
    "image/webp": "image/webp",
}


_WORDS = (Text, Refusal)


def cleaned(turn: Turn, target: Target, model: str) -> Turn:
    """Return a turn without blank texts, and without thoughts that its endpoint would not know again. `model`
    is what the caller calls it."""
    kept = [part for part in turn.parts if _stays(part, target, model)]
    if len(kept) == len(turn.parts):
        return turn
    return Turn(turn.role, tuple(kept), turn.at)


def _stays(part: Part, target: Target, model: str) -> bool:
    if type(part) is Result:
        return True
    if type(part) is Thinking:
        return _is_known_again(part, target, model)
    if isinstance(part, _WORDS):
        return bool(part.text.strip())
    if type(part) is Call and part.seal is not None:
        target.losses.less("thinking_of_another_model", part.at)
    return True


_MESSAGES = (Opaque.SIGNATURE, Opaque.REDACTED)


def _is_known_again(thinking: Thinking, target: Target, model: str) -> bool:
    """Return whether the endpoint's model wrote a thought itself. Without a mark it came from a caller that
    speaks Messages too, and names the model."""
    seal = thinking.seal
    if seal is None:
        if thinking.text:
            target.losses.less("reasoning_not_returned", thinking.at)
        return False
    own = seal.mark == target.mark and seal.kind in (*_MESSAGES, Opaque.PLAIN)
    if own or (not seal.mark and seal.kind in _MESSAGES and model == target.model):
        return True
    target.losses.less("thinking_of_another_model", thinking.at)
    return False


def blocks_of(parts: Iterable[Part], target: Target) -> list[dict[str, Any]]:
    """Return the blocks of a cleaned turn. Raises Untranslatable."""
    return [_WRITES[type(part)](part, target) for part in parts]


def _text(part: Text | Refusal, _: Target) -> dict[str, Any]:
    return {"type": "text", "text": part.text}


def _thinking(part: Thinking, _: Target) -> dict[str, Any]:
    seal = part.seal or Seal(Opaque.PLAIN)
    if seal.kind is Opaque.REDACTED:
        return {"type": "redacted_thinking", "data": seal.value}
    return {"type": "thinking", "thinking": part.text, "signature": seal.value}


def _image(part: Image, target: Target) -> dict[str, Any]:
    if part.detail not in ("", "auto"):
        target.losses.less("detail", part.at)
    if part.url:
        if not target.caps.image_urls:
            target.losses.refuse(
                part.at, "the endpoint fetches no images", "send the image as data:...;base64,..."
            )
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    media = _IMAGES.get(part.media)
    if media is None:
        target.losses.refuse(
            part.at, f"an image of type '{part.media}' is not taken", "send PNG, JPEG, GIF or WebP"
        )
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": part.data}}


def _file(part: File, target: Target) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "document", "source": _source(part, target.losses)}
    if part.name:
        block["title"] = part.name
    return block


def _source(part: File, losses: Losses) -> dict[str, Any]:
    if part.url:
        return {"type": "url", "url": part.url}
    if part.media == "application/pdf":
        return {"type": "base64", "media_type": part.media, "data": part.data}
    if not is_readable(part.media):
        losses.refuse(part.at, f"a document of type '{part.media}' is not taken", "send a PDF, or its text")
    text = text_of(part)
    if text is None:
        losses.refuse(part.at, "the document's data are no base64 of a UTF-8 text")
    return {"type": "text", "media_type": "text/plain", "data": text}


def _call(part: Call, target: Target) -> dict[str, Any]:
    name = wire_name(part.group, part.name)
    return {"type": "tool_use", "id": part.id, "name": name, "input": _input(part, target.losses)}


def _input(call: Call, losses: Losses) -> Mapping[str, Any]:
    """Return a call's arguments as an object. Raises Untranslatable if they are none."""
    if call.kind is FREE:
        return {"input": call.args}
    if call.args.strip() in _NOTHING:
        return {}
    try:
        values = _DECODER.decode(call.args)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        losses.refuse(call.at, f"the arguments of the call of '{call.name}' are no JSON object", _MEND)
    return values


_NOTHING = ("", "null")
_MEND = "take this call and its result out of the history"


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return value


_DECODER = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)


def _result(part: Result, target: Target) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.call}
    kept = [inner for inner in part.parts if not isinstance(inner, Text) or inner.text.strip()]
    if len(kept) == 1 and isinstance(kept[0], Text):
        block["content"] = kept[0].text
    elif kept:
        block["content"] = blocks_of(kept, target)
    if part.failed:
        block["is_error"] = True
    return block


_WRITES: dict[type[Part], Callable[[Any, Target], dict[str, Any]]] = {
    Text: _text,
    Refusal: _text,
    Thinking: _thinking,
    Image: _image,
    File: _file,
    Call: _call,
    Result: _result,
}
