"""The words and counts of answers in the chat dialect, as the providers give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .events import Usage, Why
from .lenient import count_of, members_of, objects_of

_REASONS = {
    Why.DONE: "stop end_turn eos eos_token stop_sequence stop_token complete completed end finished done",
    Why.TOOLS: "tool_calls tool_call tool_use tooluse function_call function_calls",
    Why.LENGTH: "length max_tokens max_output_tokens max_completion_tokens max_new_tokens max_length",
    Why.CONTEXT: "model_length model_context_window_exceeded context_length_exceeded context_length",
    Why.REFUSED: "content_filter content_filtered guardrail_intervened refusal safety sensitive"
    " prohibited_content recitation blocklist spii",
}
_WHY = {reason: why for why, reasons in _REASONS.items() for reason in reasons.split()}


def reason_of(choice: Mapping[str, Any]) -> object:
    """Return the `finish_reason` of a choice; "" where the answer goes on, for which some servers write the
    word null."""
    reason = choice.get("finish_reason")
    return "" if reason == "null" else reason


def why_of(reason: str) -> Why | None:
    """Return why an answer ended, by its `finish_reason`; None for a reason that nobody knows. Gemini adds
    its own word behind a colon."""
    return _WHY.get(reason.partition(":")[0].strip().lower())


def usage_of(usage: Mapping[str, Any]) -> Usage:
    """Return the counts of a chat answer, by the names that the providers use."""
    details = members_of(usage.get("prompt_tokens_details"))
    answered = members_of(usage.get("completion_tokens_details"))
    return Usage(
        input=count_of(usage.get("prompt_tokens")),
        cache_read=_first(
            details.get("cached_tokens"),
            usage.get("prompt_cache_hit_tokens"),
            usage.get("cached_tokens"),
            usage.get("cache_read_input_tokens"),
        ),
        cache_write=_first(
            details.get("cache_write_tokens"),
            details.get("cache_creation_tokens"),
            usage.get("cache_creation_input_tokens"),
        ),
        output=count_of(usage.get("completion_tokens")),
        thinking=count_of(answered.get("reasoning_tokens")),
    )


def _first(*values: object) -> int | None:
    counts = (count_of(value) for value in values)
    return next((count for count in counts if count is not None), None)


def as_deltas(choices: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the choices of a whole answer as those of a chunk. Some providers give the text and the calls in
    a choice each."""
    deltas: list[dict[str, Any]] = []
    calls = 0
    for choice in choices:
        message = dict(members_of(choice.get("message") or choice.get("delta")))
        pieces = objects_of(message.get("tool_calls"))
        message["tool_calls"] = [{**piece, "index": calls + number} for number, piece in enumerate(pieces)]
        calls += len(pieces)
        deltas.append({**choice, "delta": message})
    return deltas


def delta_of(choice: Mapping[str, Any], *, started: bool) -> object:
    """Return what a choice says: some servers send the whole message in place of a piece of it. After pieces,
    that is what they said already."""
    if "delta" in choice or started or not isinstance(choice.get("message"), dict):
        return choice.get("delta")
    return as_deltas([choice])[0]["delta"]
