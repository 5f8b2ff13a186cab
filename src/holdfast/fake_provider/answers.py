"""Good answers in the three dialects, whole and streamed, as in the providers' documentation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..core.identity import Dialect
from .script import Behaviour, SeenRequest

_PREAMBLE = 2
"""The number of events of each dialect before the output begins."""
_ENDS = {
    "/chat/completions": Dialect.OPENAI_CHAT,
    "/embeddings": Dialect.OPENAI_CHAT,
    "/responses": Dialect.OPENAI_RESPONSES,
    "/messages": Dialect.ANTHROPIC_MESSAGES,
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
    model, text = behaviour.model or seen.model or "scripted-1", behaviour.text
    if seen.path.partition("?")[0].endswith("/embeddings"):
        return {
            "object": "list",
            "model": model,
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}],
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        }
    if seen.dialect is Dialect.ANTHROPIC_MESSAGES:
        return _message(seen, model, [{"type": "text", "text": text}], "end_turn")
    if seen.dialect is Dialect.OPENAI_RESPONSES:
        return _response(seen, model, text)
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
    return {
        "id": f"chatcmpl-{seen.number}",
        "object": "chat.completion",
        "created": int(seen.at),
        "model": model,
        "choices": [choice],
        "usage": usage,
    }


def _message(
    seen: SeenRequest, model: str, content: list[dict[str, Any]], stop: str | None
) -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 7}
    return {
        "id": f"msg_{seen.number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def _response(seen: SeenRequest, model: str, text: str | None) -> dict[str, Any]:
    message = {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    usage = {
        "input_tokens": 3,
        "output_tokens": 7,
        "total_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    state: dict[str, Any] = {"status": "in_progress", "output": [], "usage": None}
    if text is not None:
        state = {"status": "completed", "output": [message], "usage": usage}
    rest: dict[str, Any] = {
        "error": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1.0,
        "top_p": 1.0,
        "metadata": {},
        "instructions": None,
        "incomplete_details": None,
    }
    return {
        "id": f"resp_{seen.number}",
        "object": "response",
        "created_at": int(seen.at),
        "model": model,
        **state,
        **rest,
    }


def events(seen: SeenRequest, dialect: Dialect, behaviour: Behaviour) -> tuple[list[bytes], list[bytes]]:
    """Return the events before the output of a stream, and the output events up to the terminal one, a word
    each."""
    model = behaviour.model or seen.model or "scripted-1"
    pieces = [word + " " for word in behaviour.text.split(" ")]
    pieces[-1] = pieces[-1][:-1]
    make: dict[Dialect, Callable[[SeenRequest, str, list[str]], Iterator[bytes]]] = {
        Dialect.OPENAI_CHAT: _chat_events,
        Dialect.OPENAI_RESPONSES: _response_events,
        Dialect.ANTHROPIC_MESSAGES: _message_events,
    }
    stream = list(make[dialect](seen, model, pieces))
    return stream[:_PREAMBLE], stream[_PREAMBLE:]


def _chat_events(seen: SeenRequest, model: str, pieces: list[str]) -> Iterator[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        event = {
            "id": f"chatcmpl-{seen.number}",
            "object": "chat.completion.chunk",
            "created": int(seen.at),
            "model": model,
            "choices": choices,
        }
        return f"data: {json.dumps(event)}\n\n".encode()

    yield b": scripted\n\n"
    yield chunk({"role": "assistant", "content": ""})
    yield from (chunk({"content": piece}) for piece in pieces)
    yield chunk({}, "stop")
    yield b"data: [DONE]\n\n"


def _named(kind: str, **more: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | more)}\n\n".encode()


def _response_events(seen: SeenRequest, model: str, pieces: list[str]) -> Iterator[bytes]:
    text = "".join(pieces)
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    yield _named("response.created", sequence_number=0, response=_response(seen, model, None))
    yield _named("response.in_progress", sequence_number=1, response=_response(seen, model, None))
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    yield _named("response.output_item.added", sequence_number=2, output_index=0, item=item)
    yield _named(
        "response.content_part.added",
        sequence_number=3,
        **at,
        part={"type": "output_text", "text": "", "annotations": []},
    )
    for number, piece in enumerate(pieces, start=4):
        yield _named("response.output_text.delta", sequence_number=number, **at, delta=piece, logprobs=[])
    yield _named("response.output_text.done", sequence_number=len(pieces) + 4, **at, text=text, logprobs=[])
    yield _named(
        "response.output_item.done",
        sequence_number=len(pieces) + 5,
        output_index=0,
        item=_response(seen, model, text)["output"][0],
    )
    yield _named("response.completed", sequence_number=len(pieces) + 6, response=_response(seen, model, text))


def _message_events(seen: SeenRequest, model: str, pieces: list[str]) -> Iterator[bytes]:
    yield _named("message_start", message=_message(seen, model, [], None))
    yield _named("ping")
    yield _named("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield from (
        _named("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
        for piece in pieces
    )
    yield _named("content_block_stop", index=0)
    yield _named(
        "message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 7}
    )
    yield _named("message_stop")


def error(dialect: Dialect, content: Mapping[str, Any]) -> bytes:
    """Return an error event of the dialect."""
    if dialect is Dialect.OPENAI_CHAT:
        return f"data: {json.dumps({'error': dict(content)})}\n\n".encode()
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return _named("error", error=dict(content))
    values = {name: value for name, value in content.items() if name != "type"}
    return _named("error", **values, sequence_number=9, param=None)
