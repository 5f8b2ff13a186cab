"""Finds out what an endpoint takes of its dialect, by small calls that differ from a good one in one thing.

What goes together is tried together first, and one by one only if that is refused. An endpoint that takes a
member may still ignore it: only a refusal is certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..core.faults import Reply
from ..core.identity import Dialect
from ..wire.answer_shape import judge
from ..wire.api_routes import answer_of
from ..wire.dialect_probe import PATHS
from ..wire.json_value import parsed
from ..wire.response_head import succeeded

_PROMPT = 'Answer with this JSON and nothing else: {"ok": true}'
_LIMIT = 16
"""The smallest limit of output that every dialect takes."""
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""An image of one pixel, in base64."""
_OBJECT = {
    "type": "object",
    "properties": {"ok": {"type": "boolean"}},
    "required": ["ok"],
    "additionalProperties": False,
}
_REFUSED = (400, 404, 413, 415, 422)


class Trial(NamedTuple):
    """A member of Caps, its values where the endpoint takes and refuses it, and what it adds to a request."""

    name: str
    taken: object
    refused: object
    adds: Mapping[str, Any]


class Result(NamedTuple):
    """The outcome of a trial: the member of Caps, its value, and whether the endpoint took it."""

    name: str
    value: object
    taken: bool


class Undecided(Exception):
    """An answer that says nothing about what was tried. Its text says what came."""


def _said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _function(**more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "done", "parameters": _OBJECT, **more}}


_WORDS = [_said(_PROMPT)]
_TOOLS = {"tools": [_function()]}
_SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": _OBJECT}}
_CHAT_IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}"}}
_IMAGE = ("text", "image")

_CHAT: tuple[tuple[Trial, ...], ...] = (
    (
        Trial("temperature", True, False, {"temperature": 0.5, "top_p": 0.9}),
        Trial("seed", True, False, {"seed": 7}),
        Trial("penalties", True, False, {"frequency_penalty": 0.1, "presence_penalty": 0.1}),
        Trial("stop_limit", 4, 0, {"stop": ["%%%%"]}),
    ),
    (
        Trial("tools", True, False, _TOOLS),
        Trial("tool_choice", True, False, {**_TOOLS, "tool_choice": "none"}),
        Trial("parallel_flag", True, False, {**_TOOLS, "parallel_tool_calls": False}),
        Trial("strict", True, False, {"tools": [_function(strict=True)]}),
    ),
    (Trial("top_k", True, False, {"top_k": 40}),),
    (Trial("usage_asked", True, False, {"stream": True, "stream_options": {"include_usage": True}}),),
    (Trial("json_object", True, False, {"response_format": {"type": "json_object"}}),),
    (Trial("schema", True, False, {"response_format": _SCHEMA}),),
    (
        Trial(
            "developer", True, False, {"messages": [{"role": "developer", "content": "Be brief."}, *_WORDS]}
        ),
    ),
    (Trial("mid_system", True, False, {"messages": [*_WORDS, {"role": "system", "content": "Be brief."}]}),),
    (Trial("efforts", None, (), {"reasoning_effort": "low"}),),
    (Trial("cache_key", True, False, {"prompt_cache_key": "holdfast-check"}),),
    (Trial("input", _IMAGE, ("text",), {"messages": [{"role": "user", "content": [_CHAT_IMAGE]}]}),),
)
_TOOL = {"name": "done", "input_schema": _OBJECT}
_SOURCE = {"type": "base64", "media_type": "image/png", "data": _PNG}
_MESSAGES: tuple[tuple[Trial, ...], ...] = (
    (
        Trial("temperature", True, False, {"temperature": 0.5}),
        Trial("stop_limit", 4, 0, {"stop_sequences": ["%%%%"]}),
    ),
    (
        Trial("tools", True, False, {"tools": [_TOOL]}),
        Trial("tool_choice", True, False, {"tools": [_TOOL], "tool_choice": {"type": "none"}}),
    ),
    (Trial("top_k", True, False, {"top_k": 40}),),
    (
        Trial(
            "input",
            _IMAGE,
            ("text",),
            {"messages": [{"role": "user", "content": [{"type": "image", "source": _SOURCE}]}]},
        ),
    ),
)
_FLAT = {"type": "function", "name": "done", "parameters": _OBJECT, "strict": False}
_RESPONSES: tuple[tuple[Trial, ...], ...] = (
    (Trial("temperature", True, False, {"temperature": 0.5}),),
    (
        Trial("tools", True, False, {"tools": [_FLAT]}),
        Trial("tool_choice", True, False, {"tools": [_FLAT], "tool_choice": "none"}),
        Trial("parallel_flag", True, False, {"tools": [_FLAT], "parallel_tool_calls": False}),
    ),
    (Trial("efforts", None, (), {"reasoning": {"effort": "low"}}),),
    (Trial("cache_key", True, False, {"prompt_cache_key": "holdfast-check"}),),
    (
        Trial(
            "input",
            _IMAGE,
            ("text",),
            {
                "input": [
                    {
                        "role": "user",
                        "content": [{"type": "input_image", "image_url": _CHAT_IMAGE["image_url"]}],
                    }
                ]
            },
        ),
    ),
)
_TRIALS = {
    Dialect.OPENAI_CHAT: _CHAT,
    Dialect.ANTHROPIC_MESSAGES: _MESSAGES,
    Dialect.OPENAI_RESPONSES: _RESPONSES,
}
_BASES: dict[Dialect, dict[str, Any]] = {
    Dialect.OPENAI_CHAT: {"messages": _WORDS, "max_tokens": _LIMIT},
    Dialect.ANTHROPIC_MESSAGES: {"messages": _WORDS, "max_tokens": _LIMIT},
    Dialect.OPENAI_RESPONSES: {"input": _WORDS, "max_output_tokens": _LIMIT},
}
Send = Callable[[dict[str, Any]], Reply]
"""Sends the body of a request, to which the model is added, and returns the whole answer."""


class Abilities:
    """The trials of one endpoint. `calls` and `tokens` are what they have cost so far, as far as the provider
    counts it."""

    def __init__(self, dialect: Dialect, send: Send) -> None:
        self._dialect, self._send = dialect, send
        self.calls = self.tokens = 0

    def find(self) -> Iterator[Result]:
        """Yield what each trial shows. Raises Undecided where an answer says nothing about what was tried."""
        base = {**_BASES[self._dialect]}
        if self._dialect is Dialect.OPENAI_CHAT:
            name = "max_tokens"
            if not self._takes(base):
                name = "max_completion_tokens"
                base = {"messages": _WORDS, name: _LIMIT}
                self._require(base)
            yield Result("max_tokens", name, taken=True)
        else:
            self._require(base)
        for group in _TRIALS[self._dialect]:
            yield from self._tried(base, group)

    def _require(self, base: dict[str, Any]) -> None:
        if not self._takes(base):
            raise Undecided("a plain call is refused, so nothing can be found out")

    def _tried(self, base: dict[str, Any], group: Sequence[Trial]) -> Iterator[Result]:
        together: dict[str, Any] = dict(base)
        for trial in group:
            together |= trial.adds
        if len(group) > 1 and self._takes(together):
            yield from (Result(trial.name, trial.taken, taken=True) for trial in group)
            return
        for trial in group:
            taken = self._takes({**base, **trial.adds})
            yield Result(trial.name, trial.taken if taken else trial.refused, taken=taken)
            if trial.name == "tools" and not taken:
                return

    def _takes(self, body: dict[str, Any]) -> bool:
        """Return whether a request is answered, and not refused. Raises Undecided for anything else."""
        reply = self._send(body)
        self.calls += 1
        if reply.status is not None and succeeded(reply.status):
            self.tokens += _tokens(reply.body)
            flaw = None if body.get("stream") else judge(answer_of(PATHS[self._dialect]), reply.body).flaw
            if flaw is None:
                return True
            raise Undecided("an answer came that is none")
        if reply.status in _REFUSED:
            return False
        came = "no answer came" if reply.status is None else f"the answer was HTTP {reply.status}"
        raise Undecided(came)


def _tokens(body: bytes) -> int:
    """Return the tokens that a whole answer counts; 0 where it counts none."""
    document = parsed(body)
    usage = document.get("usage") if isinstance(document, dict) else None
    counts = [value for name, value in (usage or {}).items() if name in _COUNTED]
    return sum(value for value in counts if isinstance(value, int))


_COUNTED = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
