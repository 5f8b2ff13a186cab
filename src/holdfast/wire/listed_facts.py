"""What an item of a provider's list says of its model, in the names of every provider that says it.

Each provider has its own words: the first of a table that holds a usable value is believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.config import INPUTS, ModelFacts

# Where an item keeps its facts, beside itself: LiteLLM, OpenRouter, DeepInfra, llama.cpp, GitHub.
_WITHIN = ("model_info", "top_provider", "metadata", "meta", "limits")
_CONTEXT = (
    "context_length",
    "max_model_len",
    "context_window",
    "max_context_length",
    "context_size",
    "max_input_tokens",
    "inputTokenLimit",
    "n_ctx",
    "n_ctx_train",
)
# Last what LiteLLM means the output by, and others the context: there the others are asked first.
_OUTPUT = ("max_output_tokens", "max_completion_tokens", "outputTokenLimit", "max_tokens")
_KINDS = {
    "image": ("supports_vision", "supports_image_in", "supports_image_input", "vision", "image_input"),
    "audio": ("supports_audio_input",),
    "video": ("supports_video_in",),
    "pdf": ("supports_pdf_input", "pdf_input"),
}
_REASONS = ("supports_reasoning", "reasoning", "thinking")
_CALLED = {"file": "pdf"}
"""Kinds of input by another name than ours."""


def facts_of(item: Mapping[str, Any]) -> ModelFacts:
    """Return what an item says of its model; what it does not say, or says in no way that is known, is
    missing."""
    facts = ModelFacts()
    context, output = _limit(item, _CONTEXT), _limit(item, _OUTPUT)
    if context:
        facts["context"] = context
    if output:
        facts["output"] = output
    kinds = _kinds(item)
    if kinds:
        facts["input"] = kinds
    reasons = _reasons(item)
    if reasons:
        facts["reasoning"] = any(reasons)
    return facts


def _parts(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield item
    yield from (item[name] for name in _WITHIN if isinstance(item.get(name), Mapping))


def _limit(item: Mapping[str, Any], names: Sequence[str]) -> int:
    """Return the first number of tokens under one of the names; 0 for none."""
    for part in _parts(item):
        for name in names:
            value = part.get(name)
            if isinstance(value, int) and value is not True and value > 0:
                return value
    return 0


def _kinds(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the kinds of input: those of a list, else those that a switch says. () where nothing is said."""
    for part in (item, item.get("architecture"), item.get("modalities")):
        listed = part.get("input_modalities", part.get("input")) if isinstance(part, Mapping) else None
        if isinstance(listed, list):
            named = {_CALLED.get(kind, kind) for kind in listed if isinstance(kind, str)}
            return tuple(kind for kind in INPUTS if kind in named)
    switches = {kind: _switches(item, names) for kind, names in _KINDS.items()}
    if not any(switches.values()):
        return ()
    return tuple(kind for kind in INPUTS if kind == "text" or any(switches.get(kind, ())))


def _reasons(item: Mapping[str, Any]) -> list[bool]:
    """Return what is said of whether the model reasons; nothing where it is not said."""
    parameters = item.get("supported_parameters")
    if isinstance(parameters, list):
        return [bool({"reasoning", "include_reasoning", "reasoning_effort"} & {*map(str, parameters)})]
    return _switches(item, _REASONS)


def _switches(item: Mapping[str, Any], names: Sequence[str]) -> list[bool]:
    """Return the switches of these names: a boolean, or Anthropic's `{"supported": true}`."""
    abilities = item.get("capabilities")
    parts = [*_parts(item), *([abilities] if isinstance(abilities, Mapping) else [])]
    values = [part[name] for part in parts for name in names if name in part]
    values = [value.get("supported") if isinstance(value, Mapping) else value for value in values]
    return [value for value in values if isinstance(value, bool)]
