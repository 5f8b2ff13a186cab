"""Good answers in the three dialects, whole and streamed, as the providers publish them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.identity import Dialect
from . import chat_answers, messages_answers, responses_answers
from .parts import named_event
from .script import Behaviour, SeenRequest

_PREAMBLE = 2
"""The number of events of each dialect before the output begins."""
_ENDS = {
    "/chat/completions": Dialect.OPENAI_CHAT,
    "/embeddings": Dialect.OPENAI_CHAT,
    "/responses": Dialect.OPENAI_RESPONSES,
    "/messages": Dialect.ANTHROPIC_MESSAGES,
}
_WHOLE = {
    Dialect.OPENAI_CHAT: chat_answers.whole,
    Dialect.OPENAI_RESPONSES: responses_answers.whole,
    Dialect.ANTHROPIC_MESSAGES: messages_answers.whole,
}
_EVENTS = {
    Dialect.OPENAI_CHAT: chat_answers.events,
    Dialect.OPENAI_RESPONSES: responses_answers.events,
    Dialect.ANTHROPIC_MESSAGES: messages_answers.events,
}


def dialect_of(path: str) -> Dialect | None:
    """Return the dialect of a request to this path; None if it is no model request."""
    path = path.partition("?")[0]
    return next((dialect for end, dialect in _ENDS.items() if path.endswith(end)), None)


def model_list(models: Sequence[str]) -> dict[str, Any]:
    """Return a list of models that both SDKs read."""
    first = last = None
    if models:
        first, last = models[0], models[-1]
    items = [
        {
            "id": name,
            "object": "model",
            "type": "model",
            "display_name": name,
            "created": 1,
            "created_at": "2026-01-01T00:00:00Z",
            "owned_by": "scripted",
        }
        for name in models
    ]
    return {
        "object": "list",
        "data": items,
        "has_more": False,
        "first_id": first,
        "last_id": last,
    }


def answer(seen: SeenRequest, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole good answer."""
    if seen.path.partition("?")[0].endswith("/embeddings"):
        return chat_answers.embeddings(seen, behaviour)
    return _WHOLE[seen.dialect or Dialect.OPENAI_CHAT](seen, behaviour)


def events(seen: SeenRequest, dialect: Dialect, behaviour: Behaviour) -> tuple[list[bytes], list[bytes]]:
    """Return the events before the output of a stream, and the output events up to the terminal one, a word
    each."""
    stream = list(_EVENTS[dialect](seen, behaviour))
    return stream[:_PREAMBLE], stream[_PREAMBLE:]


def error(dialect: Dialect, content: Mapping[str, Any]) -> bytes:
    """Return an error event of the dialect."""
    if dialect is Dialect.OPENAI_CHAT:
        return f"data: {json.dumps({'error': dict(content)})}\n\n".encode()
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return named_event("error", error=dict(content))
    values = {name: value for name, value in content.items() if name != "type"}
    return named_event("error", **values, sequence_number=9, param=None)
