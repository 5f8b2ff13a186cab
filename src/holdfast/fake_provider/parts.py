"""The parts of a good answer: a thought, a text and calls of tools, in this order."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..core.identity import Dialect
from .script import Behaviour, SeenRequest

THOUGHT, TEXT, CALL = "thought", "text", "call"
INPUT_TOKENS, OUTPUT_TOKENS, THOUGHT_TOKENS = 3, 7, 4
_CALL_IDS = {Dialect.ANTHROPIC_MESSAGES: "toolu"}


class AnswerPart(NamedTuple):
    """A part of an answer. The `text` of a call is its arguments, as JSON."""

    kind: str
    text: str
    id: str = ""
    name: str = ""

    @property
    def pieces(self) -> list[str]:
        """Return the text a word each, as a stream gives it."""
        pieces = [word + " " for word in self.text.split(" ")]
        pieces[-1] = pieces[-1][:-1]
        return pieces


def parts_of(seen: SeenRequest, behaviour: Behaviour) -> list[AnswerPart]:
    """Return the parts of the answer to a request: without a thought and calls a text, be it empty."""
    parts: list[AnswerPart] = []
    if behaviour.thought:
        parts.append(AnswerPart(THOUGHT, behaviour.thought))
    if behaviour.text or not (behaviour.thought or behaviour.calls):
        parts.append(AnswerPart(TEXT, behaviour.text))
    for number, (name, arguments) in enumerate(behaviour.calls):
        prefix = _CALL_IDS.get(seen.dialect or Dialect.OPENAI_CHAT, "call")
        parts.append(AnswerPart(CALL, json.dumps(arguments), f"{prefix}_{seen.number}_{number}", name))
    return parts


def texts(parts: list[AnswerPart], kind: str) -> str:
    """Return the texts of all parts of a kind."""
    return "".join(part.text for part in parts if part.kind == kind)


def model_of(seen: SeenRequest, behaviour: Behaviour) -> str:
    """Return the model that an answer names."""
    return behaviour.model or seen.model or "scripted-1"


def named_event(kind: str, **members: Any) -> bytes:
    """Return an event of a stream that names its events."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | members)}\n\n".encode()
