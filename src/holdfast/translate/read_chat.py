"""Reads a request of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .chat_parts import MODELS, USERS, WORDS, calls
from .chat_thoughts import with_thoughts
from .chat_tools import choice_of, tools_of
from .envelope import Sealer
from .fields import Fields
from .form import ASSISTANT, OFF, ON, SYSTEM, USER, Effort, Limits, Refusal, Request, Result, Shape, Turn
from .losses import Losses
from .openai_parts import content, form_of, schema_in

_KNOWN = {
    "max_completion_tokens", "max_tokens", "messages", "modalities", "model", "n", "parallel_tool_calls",
    "prompt_cache_key", "reasoning", "reasoning_effort", "response_format", "service_tier", "stop", "stream",
    "stream_options", "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p", "verbosity",
}  # fmt: skip
_LOST = {
    "cache_control": "cache_control",
    "frequency_penalty": "penalties",
    "metadata": "client_metadata",
    "min_p": "temperature",
    "presence_penalty": "penalties",
    "prompt_cache_options": "cache_control",
    "prompt_cache_retention": "cache_control",
    "repetition_penalty": "penalties",
    "safety_identifier": "user",
    "seed": "seed",
    "top_a": "temperature",
    "user": "user",
}
_REFUSED = {
    "audio": ("spoken answers have no counterpart", 'ask for modalities ["text"], without audio'),
    "function_call": ("this older way to offer tools is not translated", "send tools and tool_choice"),
    "functions": ("this older way to offer tools is not translated", "send tools and tool_choice"),
    "logit_bias": ("a bias of tokens has no counterpart", "leave logit_bias out"),
    "logprobs": ("probabilities of tokens have no counterpart", "leave logprobs out"),
    "moderation": ("a check of the input has no counterpart", "leave moderation out"),
    "prediction": ("a predicted output has no counterpart", "leave prediction out"),
    "store": ("an answer cannot be stored", "send store: false, or nothing"),
    "top_logprobs": ("probabilities of tokens have no counterpart", "leave top_logprobs out"),
    "web_search_options": ("search by the provider is not offered", "leave web_search_options out"),
}
_ONLY = {"n": (1, "only 1 choice can be given"), "modalities": (["text"], 'only ["text"] can be given')}
"""Members that may have one value, and why no other."""


_OTHERS = {
    "max_tokens": ("max_completion_tokens", "max_completion_tokens"),
    "reasoning_effort": ("reasoning.effort", "reasoning"),
    "thinking": ("reasoning.max_tokens", "reasoning"),
}
"""Members that have another path where the caller wrote another member."""


def read(body: Mapping[str, Any], sealer: Sealer, losses: Losses) -> Request:
    """Return what a request asks for. Raises Untranslatable for what cannot be said without the dialect."""
    fields = Fields(body, "", losses)
    fields.forbid(_REFUSED)
    for name, (usual, why) in _ONLY.items():
        if fields.has(name) and fields.raw[name] != usual:
            fields.refuse(name, why, f"leave {name} out")
    if not fields.has("messages"):
        fields.refuse("messages", "is missing")
    fields.only(_KNOWN, _LOST)
    tools, choice = choice_of(fields, tools_of(fields))
    options = fields.inner("stream_options")
    return Request(
        model=fields.text("model"),
        turns=tuple(_turn(message, sealer) for message in fields.objects("messages")),
        tools=tools,
        choice=choice,
        parallel=fields.flag("parallel_tool_calls"),
        limits=_limits(fields),
        shape=_shape(fields),
        effort=_effort(fields),
        cache_key=fields.text("prompt_cache_key"),
        tier=fields.text("service_tier"),
        verbosity=fields.text("verbosity"),
        stream=fields.flag("stream") is ON,
        usage_asked=options is not None and options.flag("include_usage") is ON,
        paths={name: path for name, (path, other) in _OTHERS.items() if fields.has(other)},
    )


def _limits(fields: Fields) -> Limits:
    name = "max_tokens"
    if fields.has("max_completion_tokens"):
        name = "max_completion_tokens"
    longest = fields.count(name)
    if longest == 0:
        fields.refuse(name, "must be 1 or more")
    return Limits(
        max_output=longest,
        stop=_stop(fields),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.count("top_k"),
    )


def _stop(fields: Fields) -> tuple[str, ...]:
    if isinstance(fields.raw.get("stop"), str):
        return tuple(filter(None, [fields.text("stop")]))
    stops = []
    for at, stop in fields.items("stop"):
        if not isinstance(stop, str) or not stop:
            fields.refuse(at, "must be a text")
        stops.append(stop)
    return tuple(stops)


def _shape(fields: Fields) -> Shape | None:
    wanted = fields.inner("response_format")
    if wanted is None:
        return None
    kind = form_of(wanted)
    wanted.only({"type", "json_schema"})
    if kind == "text":
        return None
    if kind == "json_object":
        return Shape()
    inner = wanted.required("json_schema")
    inner.only({"schema", "name", "strict", "description"})
    return schema_in(inner)


def _effort(fields: Fields) -> Effort:
    """Return how much to think: in OpenAI's member, or in those with which others add a budget."""
    level, asked = fields.text("reasoning_effort"), fields.inner("reasoning")
    switch = fields.inner("thinking")
    effort = Effort(level)
    if asked is not None:
        asked.only({"effort", "max_tokens", "exclude", "enabled", "summary"})
        shown = asked.flag("exclude") is not ON
        effort = Effort(level or asked.text("effort"), asked.count("max_tokens"), shown)
        if asked.flag("enabled") is OFF:
            effort = Effort("none")
    if switch is not None:
        switch.only({"type", "budget_tokens"})
        effort = replace(effort, budget=switch.count("budget_tokens") or effort.budget)
        if switch.text("type") and asked is None and effort == Effort():
            effort = Effort(shown=True)
        if switch.text("type") == "disabled":
            effort = Effort("none")
    return effort


def _turn(message: Fields, sealer: Sealer) -> Turn:
    role = message.text("role")
    if role == "function":
        message.refuse("role", "results of functions are not translated", "send tools and role 'tool'")
    if role not in _ROLES:
        message.refuse("role", f"'{role}' is not known; known are {', '.join(_ROLES)}")
    return _ROLES[role](message, sealer)


def _system(message: Fields, _: Sealer) -> Turn:
    _rest(message)
    return Turn(SYSTEM, tuple(content(message, "content", WORDS)), message.at)


def _user(message: Fields, _: Sealer) -> Turn:
    _rest(message)
    return Turn(USER, tuple(content(message, "content", USERS)), message.at)


def _tool(message: Fields, _: Sealer) -> Turn:
    _rest(message)
    parts = tuple(content(message, "content", USERS))
    return Turn(USER, (Result(message.text("tool_call_id"), parts, at=message.at),), message.at)


def _assistant(message: Fields, sealer: Sealer) -> Turn:
    _rest(message)
    words = content(message, "content", MODELS, needed=False)
    if message.text("refusal"):
        words.append(Refusal(message.text("refusal"), message.at))
    parts = with_thoughts(message, sealer, words, calls(message, sealer))
    return Turn(ASSISTANT, tuple(parts), message.at)


_READ = frozenset({
    "content", "reasoning", "reasoning_content", "reasoning_details", "refusal", "role", "tool_call_id",
    "tool_calls",
})  # fmt: skip
_LOST_OF_MESSAGES = {"annotations": "citations", "name": "user"}
_REFUSED_OF_MESSAGES = {
    "audio": ("a spoken answer is at the other provider", "send its transcript as content"),
    "function_call": ("this older way to call tools is not translated", "send tool_calls"),
}


def _rest(message: Fields) -> None:
    """Look at the members of a message that nothing reads. Names of speakers have no counterpart."""
    message.forbid(_REFUSED_OF_MESSAGES)
    message.only(_READ, _LOST_OF_MESSAGES)


_ROLES: dict[str, Callable[[Fields, Sealer], Turn]] = {
    "system": _system,
    "developer": _system,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
}
