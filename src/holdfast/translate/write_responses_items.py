"""Writes turns as the items of a Responses request's input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .context import Target
from .form import (
    ASSISTANT,
    FREE,
    SYSTEM,
    USER,
    Call,
    File,
    Image,
    Opaque,
    Part,
    Refusal,
    Result,
    Text,
    Thinking,
    ToolKind,
    Turn,
)
from .media import address
from .names import made_id, wire_name

_FAILED = "[error] "
_OUTPUTS = {FREE: "custom_tool_call_output"}
_SPEAKERS = {SYSTEM: "developer", USER: "user"}


class ItemWriter:
    """Writes the items of one request, whose turns are paired (`turns.paired`)."""

    def __init__(self, target: Target) -> None:
        self._target, self._losses = target, target.losses
        self._kinds: dict[str, ToolKind] = {}

    def items(self, turns: Iterable[Turn]) -> list[dict[str, Any]]:
        """Return the items."""
        made: list[dict[str, Any]] = []
        for turn in turns:
            if turn.role is ASSISTANT:
                made += self._answer(turn)
            else:
                made += self._words(turn)
        return made

    def _words(self, turn: Turn) -> list[dict[str, Any]]:
        """Write what the user or the system says, after the results of calls."""
        made = [self._result(part) for part in turn.parts if isinstance(part, Result)]
        content = self._content(part for part in turn.parts if not isinstance(part, Result))
        if content:
            made.append({"type": "message", "role": _SPEAKERS[turn.role], "content": content})
        return made

    def _answer(self, turn: Turn) -> list[dict[str, Any]]:
        """Write what the model said. Thoughts that nothing follows are left out: OpenAI refuses them."""
        made: list[dict[str, Any]] = []
        thoughts: list[dict[str, Any]] = []
        for part in turn.parts:
            if isinstance(part, Thinking):
                thoughts += self._thinking(part)
            elif item := self._said(part):
                made += [*thoughts, item]
                thoughts = []
        if thoughts:
            self._losses.less("reasoning_not_returned", turn.at)
        return made

    def _said(self, part: Part) -> dict[str, Any] | None:
        if isinstance(part, Call):
            return self._call(part)
        if isinstance(part, Refusal):
            refusal = {"type": "refusal", "refusal": part.text}
            name = made_id("msg_", part.at, part.text)
            written = {"type": "message", "id": name, "status": "completed", "role": "assistant"}
            return written | {"content": [refusal]}
        if not isinstance(part, Text):
            self._losses.refuse(part.at, "a message of the assistant holds texts only")
        if not part.text.strip():
            return None
        return {"type": "message", "role": "assistant", "content": part.text}

    def _call(self, call: Call) -> dict[str, Any]:
        self._kinds[call.id] = call.kind
        if call.seal is not None:
            self._losses.less("thinking_of_another_model", call.at)
        name = wire_name(call.group, call.name)
        if call.kind is FREE:
            return {"type": "custom_tool_call", "call_id": call.id, "name": name, "input": call.args}
        arguments = call.args or "{}"
        return {"type": "function_call", "call_id": call.id, "name": name, "arguments": arguments}

    def _result(self, result: Result) -> dict[str, Any]:
        kind = _OUTPUTS.get(self._kinds[result.call], "function_call_output")
        parts = result.parts
        if result.failed:
            self._losses.less("error_flag", result.at)
            parts = _marked_failed(parts)
        output: str | list[dict[str, Any]] = "\n".join(part.text for part in parts if isinstance(part, Text))
        if any(not isinstance(part, Text) for part in parts):
            output = self._content(parts)
        return {"type": kind, "call_id": result.call, "output": output}

    def _thinking(self, thought: Thinking) -> list[dict[str, Any]]:
        """Write a thought, if this model had it and wants it back."""
        seal = thought.seal
        if seal is None and not self._target.caps.reasoning_back:
            self._losses.less("reasoning_not_returned", thought.at)
            return []
        if seal is not None and seal.mark != self._target.mark:
            self._losses.less("thinking_of_another_model", thought.at)
            return []
        kind, item, value = Opaque.PLAIN, "", ""
        if seal is not None:
            kind, item, value = seal.kind, seal.item, seal.value
        written: dict[str, Any] = {
            "type": "reasoning",
            "id": item or made_id("rs_", thought.at, thought.text),
        }
        if kind is Opaque.ENCRYPTED:
            summary = [{"type": "summary_text", "text": text} for text in (thought.text,) if text]
            return [written | {"summary": summary, "encrypted_content": value}]
        if kind is Opaque.PLAIN and thought.text:
            return [written | {"summary": [], "content": [{"type": "reasoning_text", "text": thought.text}]}]
        self._losses.less("reasoning_not_returned", thought.at)
        return []

    def _content(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = []
        for part in parts:
            if isinstance(part, Image):
                made.append(self._image(part))
            elif isinstance(part, File):
                made.append(_file(part))
            elif not isinstance(part, Text):
                self._losses.refuse(part.at, "this belongs into a message of the assistant")
            elif part.text.strip():
                made.append({"type": "input_text", "text": part.text})
        return made

    def _image(self, image: Image) -> dict[str, Any]:
        if image.url and not self._target.caps.image_urls:
            self._losses.refuse(image.at, "the endpoint takes no images by their address", "send the data")
        return {"type": "input_image", "image_url": address(image), "detail": image.detail or "auto"}


def _file(file: File) -> dict[str, Any]:
    if file.url:
        return {"type": "input_file", "file_url": file.url}
    name = file.name or "document." + file.media.rpartition("/")[2]
    return {"type": "input_file", "filename": name, "file_data": address(file)}


def _marked_failed(parts: tuple[Text | Image | File, ...]) -> tuple[Text | Image | File, ...]:
    """Return a result whose text says that it failed."""
    if parts and isinstance(parts[0], Text):
        return (replace(parts[0], text=_FAILED + parts[0].text), *parts[1:])
    return (Text(_FAILED.strip()), *parts)
