"""Writes the messages of a chat request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from .caps import Caps
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
    Request,
    Result,
    Text,
    Thinking,
    Turn,
)
from .losses import Losses
from .media import address, is_data, is_readable, text_of
from .names import wire_name
from .turns import leading_words, paired, told_by_the_user

_FAILED = "[error] "
_WORDS = (Text, Refusal)
_SPOKEN = {
    SYSTEM: "a message of the system",
    USER: "a message of the user",
    ASSISTANT: "a message of the assistant",
}


class ChatTurns:
    """Writes the turns of one request. `thoughtless` is the path of the first turn with calls whose thoughts
    the endpoint wants back, but which are not there; "" if there is none."""

    def __init__(self, request: Request, target: Target) -> None:
        self._request, self._target = request, target
        self._caps: Caps = target.caps
        self._losses: Losses = target.losses
        self.thoughtless = ""

    def messages(self) -> list[dict[str, Any]]:
        """Return the messages."""
        request, caps, losses = self._request, self._caps, self._losses
        leading, rest = leading_words(request.turns)
        if len(rest) == 1:
            caps = replace(caps, mid_system=False)
        turns = paired(told_by_the_user(rest, caps, losses), caps, losses)
        made = self._system(Turn(SYSTEM, tuple(part for turn in leading for part in turn.parts)))
        first = len(made)
        for turn in turns:
            for message in self._written(turn):
                _add(made, message)
        if len(made) == first:
            losses.refuse(request.path("messages"), "no message says anything")
        if made[-1]["role"] == "assistant" and not caps.prefill:
            losses.refuse(turns[-1].at, "the endpoint does not go on from the beginning of an answer")
        return made

    def _written(self, turn: Turn) -> list[dict[str, Any]]:
        if turn.role is USER:
            return self._user(turn)
        if turn.role is SYSTEM:
            return self._system(turn)
        return self._assistant(turn)

    def _system(self, turn: Turn) -> list[dict[str, Any]]:
        words = self._words(turn, turn.parts)
        if not words:
            return []
        return [{"role": ("system", "developer")[self._caps.developer], "content": words}]

    def _user(self, turn: Turn) -> list[dict[str, Any]]:
        """Write the results of a turn as messages of their own, before what the user says."""
        made: list[dict[str, Any]] = []
        moved: list[Part] = []
        others: list[Part] = []
        for part in turn.parts:
            if type(part) is Result:
                made.append(self._result(part, moved))
            else:
                others.append(part)
        content = self._content(turn, moved + others)
        if content:
            made.append({"role": "user", "content": content})
        return made

    def _result(self, result: Result, moved: list[Part]) -> dict[str, Any]:
        """Write a result. Its images and files, which a tool's message cannot hold, go to `moved`."""
        others = [part for part in result.parts if type(part) is not Text]
        text = "\n".join([part.text for part in result.parts if isinstance(part, Text)])
        if others:
            self._losses.less("output_moved", result.at)
            moved += [Text(f"[content of {result.call}]"), *others]
            text = text or f"[content of {result.call} follows]"
        if result.failed:
            self._losses.less("error_flag", result.at)
            text = _FAILED + text
        return {"role": "tool", "tool_call_id": result.call, "content": text}

    def _assistant(self, turn: Turn) -> list[dict[str, Any]]:
        others: list[Part] = []
        calls: list[dict[str, Any]] = []
        thinking: list[Thinking] = []
        for part in turn.parts:
            if type(part) is Call:
                calls.append(self._call(part))
            elif type(part) is Thinking:
                thinking.append(part)
            else:
                others.append(part)
        message: dict[str, Any] = {"role": "assistant", "content": self._words(turn, others) or None}
        thoughts = self._thoughts(thinking)
        message |= thoughts
        if calls:
            message["tool_calls"] = calls
        if calls and self._caps.reasoning_back and not thoughts:
            self.thoughtless = self.thoughtless or turn.at
        if not calls and not message["content"]:
            return []
        return [message]

    def _call(self, call: Call) -> dict[str, Any]:
        arguments = call.args or "{}"
        if call.kind is FREE:
            arguments = json.dumps({"input": call.args}, ensure_ascii=False)
        function = {"name": wire_name(call.group, call.name), "arguments": arguments}
        written: dict[str, Any] = {"id": call.id, "type": "function", "function": function}
        if call.seal and call.seal.kind is Opaque.THOUGHT and call.seal.mark == self._target.mark:
            written["extra_content"] = call.seal.value
        elif call.seal:
            self._losses.less("thinking_of_another_model", call.at)
        return written

    def _thoughts(self, thoughts: Sequence[Thinking]) -> dict[str, Any]:
        """Write what the model thought, as far as it wants that back."""
        if not thoughts:
            return {}
        text = "".join(map(self._thought, thoughts))
        details = [detail for thought in thoughts for detail in self._details(thought)]
        written: dict[str, Any] = {}
        if text:
            written["reasoning_content"] = text
        if details:
            written["reasoning_details"] = details
        return written

    def _details(self, thought: Thinking) -> list[Any]:
        """Return what the endpoint gave of a thought, if it is to have that back as it was."""
        seal = thought.seal
        if seal is None or seal.kind is not Opaque.DETAILS or seal.mark != self._target.mark:
            return []
        if not isinstance(seal.value, list):
            return []
        return seal.value

    def _thought(self, thought: Thinking) -> str:
        """Return the text of a thought that the model may read again: its own, or one that came without a
        mark, from a dialect whose thoughts are no secret."""
        seal, text = thought.seal, thought.text
        if self._details(thought):
            return ""
        if seal and seal.mark != self._target.mark:
            self._losses.less("thinking_of_another_model", thought.at)
            if seal.mark or not self._caps.reasoning_back:
                return ""
            return text
        if seal and seal.kind is Opaque.PLAIN and isinstance(seal.value, str):
            text = text or seal.value
        if not self._caps.reasoning_back and (text or seal):
            self._losses.less("reasoning_not_returned", thought.at)
            return ""
        return text

    def _words(self, turn: Turn, parts: Sequence[Part]) -> str:
        """Return the texts of parts that can be nothing else."""
        if not parts:
            return ""
        texts: list[str] = []
        for part in parts:
            if not isinstance(part, _WORDS):
                self._losses.refuse(part.at, f"{_SPOKEN[turn.role]} holds texts only")
            texts.append(part.text)
        return _paragraphs(texts)

    def _content(self, turn: Turn, parts: Sequence[Part]) -> str | list[dict[str, Any]]:
        """Return what the user says: a text, which every endpoint takes, where it is nothing else."""
        if not parts:
            return ""
        if all(type(part) is Text for part in parts):
            return self._words(turn, parts)
        written = []
        for part in parts:
            if isinstance(part, Image):
                written.append(self._image(part))
            elif isinstance(part, File):
                written.append(self._file(part))
            elif text := self._words(turn, [part]):
                written.append({"type": "text", "text": text})
        return written

    def _as_text(self, file: File) -> dict[str, Any]:
        """Write a document as its text, if it is one."""
        if not is_readable(file.media):
            self._losses.refuse(file.at, "the endpoint takes no files", "send the text of the document")
        text = text_of(file)
        if text is None:
            self._losses.refuse(file.at, "the document's data are no base64 of a UTF-8 text")
        return {"type": "text", "text": "\n".join(filter(None, (file.name, text)))}

    def _image(self, image: Image) -> dict[str, Any]:
        url = address(image)
        if not self._caps.image_urls and not is_data(url):
            self._losses.refuse(image.at, "the endpoint takes no images by their address", "send the data")
        written = {"url": url}
        if image.detail:
            written["detail"] = image.detail
        return {"type": "image_url", "image_url": written}

    def _file(self, file: File) -> dict[str, Any]:
        if file.url and not is_data(file.url):
            self._losses.refuse(file.at, "chat takes no files by their address", "send the data")
        if not self._caps.files:
            return self._as_text(file)
        name = file.name or "document." + file.media.rpartition("/")[2]
        written = {"filename": name, "file_data": address(file)}
        return {"type": "file", "file": written}


def _add(made: list[dict[str, Any]], message: dict[str, Any]) -> None:
    """Add a message. Where the answer between two of the user's was nothing but thoughts, they become one:
    many endpoints want the speakers to take turns."""
    if not made or message["role"] != "user" or made[-1]["role"] != "user":
        made.append(message)
        return
    before, after = made[-1]["content"], message["content"]
    if isinstance(before, str) and isinstance(after, str):
        made[-1]["content"] = _paragraphs([before, after])
    else:
        made[-1]["content"] = [*_as_parts(before), *_as_parts(after)]


def _as_parts(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content


def _paragraphs(texts: Iterable[str]) -> str:
    """Return texts as one: many endpoints take no lists of them. What is blank says nothing."""
    return "\n\n".join([text for text in texts if text.strip()])
