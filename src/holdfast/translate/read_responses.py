"""Reads a request of OpenAI's Responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .envelope import Sealer
from .fields import Fields
from .form import ON, SYSTEM, USER, Effort, Limits, Request, Shape
from .losses import Losses
from .openai_parts import form_of, schema_in
from .responses_input import Items
from .responses_tools import NATIVE, Offers, choice_of

_READ = frozenset(
    """
    include input instructions max_output_tokens model parallel_tool_calls prompt_cache_key reasoning
    service_tier stream stream_options temperature text tool_choice tools top_p truncation
    """.split()
)
_LOST = {
    "client_metadata": "client_metadata",
    "context_management": "context_management",
    "max_tool_calls": "served_tools",
    "metadata": "client_metadata",
    "prompt_cache_options": "cache_control",
    "prompt_cache_retention": "cache_control",
    "safety_identifier": "user",
    "user": "user",
}
_NO_LOGPROBS = "probabilities of tokens have no counterpart; do not ask for them"
_STATE = "is at another provider; the whole conversation is wanted in `input` each time"
_REFUSED = {
    "background": ("an answer cannot be made in the background; send false, or nothing", NATIVE),
    "conversation": (f"the conversation {_STATE}", NATIVE),
    "moderation": ("a check of the input has no counterpart; leave it out", NATIVE),
    "previous_response_id": (f"the response before {_STATE}", NATIVE),
    "prompt": ("the prompt is at another provider; send its text as `instructions`", NATIVE),
    "store": ("an answer cannot be stored; send false, or nothing", NATIVE),
    "top_logprobs": (_NO_LOGPROBS, NATIVE),
}
_PATHS = {
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
_INCLUDED = "reasoning.encrypted_content"
_LOGPROBS = "message.output_text.logprobs"
_TRUNCATIONS = {"auto": True, "disabled": False}


def read(body: Mapping[str, Any], sealer: Sealer, losses: Losses) -> Request:
    """Return what a request asks for. Raises Untranslatable with the path of what is not understood."""
    fields = Fields(body, "", losses)
    fields.forbid(_REFUSED)
    fields.only(_READ, _LOST)
    model = fields.needed("model")
    _read_hints(fields, losses)
    offers = Offers(losses)
    offers.add(fields)
    items = Items(sealer, losses, offers)
    _read_input(fields, items)
    tools, choice = choice_of(fields, offers.all())
    shape, verbosity = _text(fields)
    return Request(
        model=model,
        turns=items.turns(),
        tools=tools,
        choice=choice,
        parallel=fields.flag("parallel_tool_calls"),
        limits=_limits(fields),
        shape=shape,
        effort=_effort(fields),
        cache_key=fields.text("prompt_cache_key"),
        tier=fields.text("service_tier"),
        verbosity=verbosity,
        stream=fields.flag("stream") is ON,
        paths=_PATHS,
    )


def _read_hints(fields: Fields, losses: Losses) -> None:
    """Read what changes nothing of the answer, or only what an answer would have beside it."""
    for at, included in fields.items("include"):
        if included == _LOGPROBS:
            fields.refuse("include", _NO_LOGPROBS, NATIVE)
        if included != _INCLUDED:
            losses.less("unknown_member", at)
    truncation = fields.text("truncation", "disabled")
    if truncation not in _TRUNCATIONS:
        fields.refuse("truncation", f"'{truncation}' is not known; known are {', '.join(_TRUNCATIONS)}")
    if _TRUNCATIONS[truncation]:
        fields.less("context_management", "truncation")
    options = fields.inner("stream_options")
    if options is not None:
        options.only({"include_obfuscation"})


def _read_input(fields: Fields, items: Items) -> None:
    instructions = fields.text("instructions")
    if instructions:
        items.say(SYSTEM, instructions, "instructions")
    given = fields.raw.get("input")
    if given is None:
        fields.refuse("input", "is missing")
    if isinstance(given, str):
        items.say(USER, given, "input")
        return
    for item in fields.objects("input"):
        items.take(item)


def _limits(fields: Fields) -> Limits:
    longest = fields.count("max_output_tokens")
    if longest == 0:
        fields.refuse("max_output_tokens", "must be 1 or more")
    return Limits(max_output=longest, temperature=fields.number("temperature"), top_p=fields.number("top_p"))


def _effort(fields: Fields) -> Effort:
    reasoning = fields.inner("reasoning")
    if reasoning is None:
        return Effort()
    reasoning.only({"effort", "summary", "generate_summary"})
    summary = reasoning.text("summary") or reasoning.text("generate_summary")
    return Effort(reasoning.text("effort"), shown=summary not in ("", "none"))


def _text(fields: Fields) -> tuple[Shape | None, str]:
    """Return the form that the answer must have, and how long it may be."""
    text = fields.inner("text")
    if text is None:
        return None, ""
    text.only({"format", "verbosity"})
    return _shape(text.inner("format")), text.text("verbosity")


def _shape(wanted: Fields | None) -> Shape | None:
    if wanted is None:
        return None
    kind = form_of(wanted)
    wanted.only({"type", "schema", "name", "strict", "description"})
    if kind == "text":
        return None
    if kind == "json_object":
        return Shape()
    return schema_in(wanted)
