"""Requests that chance makes up: those in which everything stands once, with members changed or left out."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

from holdfast.core.identity import Dialect
from translate.test_no_chat_request_breaks_a_translation import WHOLE as CHAT_WHOLE
from translate.test_no_messages_request_breaks_a_translation import WHOLE as MESSAGES_WHOLE
from translate.test_no_responses_request_breaks_a_translation import WHOLE as RESPONSES_WHOLE

WHOLE: dict[Dialect, dict[str, Any]] = {
    Dialect.OPENAI_CHAT: CHAT_WHOLE,
    Dialect.OPENAI_RESPONSES: RESPONSES_WHOLE,
    Dialect.ANTHROPIC_MESSAGES: MESSAGES_WHOLE,
}
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, "", " ", "x", "auto", "none", "text", "low", "max"),
    *([], {}, [[]], ["x"], {"type": "text"}, {"type": "text", "text": "x"}, {"type": "object"}),
    *([{"type": "text", "text": "x"}], {"type": "auto"}, {"type": "none"}, "\u00e9\U0001f600", "a" * 70),
)


_NEEDED = ("model", "messages", "input", "max_tokens")
_STOPS = ("stop", "stop_sequences")
"""Responses has no texts to stop at: with them a request is refused there."""


def request(rng: Random, dialect: Dialect) -> dict[str, Any]:
    """Return a request of a dialect: with fewer members, and up to three changes somewhere in it."""
    body = copy.deepcopy(WHOLE[dialect])
    kept = rng.random()
    for name in list(body):
        if name not in _NEEDED and rng.random() > (kept / 4 if name in _STOPS else kept):
            del body[name]
    if not {"tools", "tool_choice"} <= body.keys():  # a choice names a tool
        body.pop("tool_choice", None)
    for _ in range(rng.randrange(4)):
        holder, key = rng.choice(_slots(body))
        if rng.random() < 0.3 and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = copy.deepcopy(rng.choice(_VALUES))
    return body


_PASSED_ON = ("parameters", "input_schema", "schema", "service_tier")
"""What a caller writes there is passed on as it is."""


def _slots(value: Any) -> list[tuple[Any, Any]]:
    """Return every object and list in a value, with each of its keys."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = [key for key in value if key not in _PASSED_ON]
    elif isinstance(value, list):
        keys = list(range(len(value)))
    return [(value, key) for key in keys] + [slot for key in keys for slot in _slots(value[key])]
