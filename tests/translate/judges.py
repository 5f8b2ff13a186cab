"""What the vendors' own types say of a request: strict, to the last member, with no list read lazily."""

from __future__ import annotations

import collections.abc
import types
from functools import cache
from typing import Any, NotRequired, Required, Union, get_args, get_origin

from openai.types.chat import completion_create_params as chat
from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict, get_type_hints, is_typeddict

_BEYOND_OPENAI: dict[str, dict[str, Any]] = {
    "ChatCompletionAssistantMessageParam": {
        "reasoning_content": NotRequired[str],
        "reasoning_details": NotRequired[list[dict[str, Any]]],
    },
    "ChatCompletionMessageFunctionToolCallParam": {"extra_content": NotRequired[dict[str, Any]]},
    "CompletionCreateParamsNonStreaming": {
        "thinking": NotRequired[dict[str, str]],
        "top_k": NotRequired[int],
    },
}
"""What endpoints take although OpenAI's types do not have it."""


@cache
def _closed(kind: Any) -> Any:
    """Return a type that has lists for iterables, and objects without other members than those it names."""
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        members = {name: _member(hint) for name, hint in hints.items()}
        made = TypedDict(kind.__name__, members | _BEYOND_OPENAI.get(kind.__name__, {}))  # type: ignore[operator]
        made.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[attr-defined]
        return made
    origin, inner = get_origin(kind), tuple(_closed(item) for item in get_args(kind))
    if origin in (Union, types.UnionType):
        return Union[inner]  # noqa: UP007
    if origin is collections.abc.Iterable:
        return list[inner[0]]  # type: ignore[valid-type]
    if origin in (list, dict):
        return origin[inner]
    return kind


def _member(hint: Any) -> Any:
    """Return the type of a member, which may be left out unless it says otherwise."""
    if get_origin(hint) is Required:
        return Required[_closed(*get_args(hint))]
    return NotRequired[_closed(hint)]


@cache
def _chat() -> TypeAdapter[Any]:
    return TypeAdapter(_closed(chat.CompletionCreateParamsNonStreaming))


def judge_chat_request(body: dict[str, Any]) -> None:
    """Raise ValidationError if a body is no request of the chat API."""
    streaming = {"stream": False} if body.get("stream") else {}
    _chat().validate_python(body | streaming)
