"""The words of a refusal go to callers, logs and the journal: of the request they repeat a short piece, and
never a key."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.exchange import CallerRequest, Destination
from holdfast.translate.losses import Untranslatable
from tables import rows

KEY = "sk-proj-" + "Ab1" * 16
STRANGE = ("x" * 90_000, KEY, "red\x1b[31m")
CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
HI = [{"role": "user", "content": "hi"}]


def _requests(text: str) -> list[tuple[Dialect, dict[str, Any]]]:
    """Return requests that hold a text where only certain words may be."""
    return [
        (CHAT, {"messages": [{"role": "user", "content": [{"type": text}]}]}),
        (CHAT, {"messages": [{"role": text, "content": ""}]}),
        (CHAT, {"messages": HI, "tool_choice": text}),
        (CHAT, {"messages": HI, "tools": [{"type": text}]}),
        (CHAT, {"messages": HI, text: 1}),
        (MESSAGES, {"messages": [{"role": "user", "content": [{"type": text}]}]}),
        (MESSAGES, {"messages": HI, "tool_choice": {"type": "tool", "name": text}}),
        (RESPONSES, {"input": [{"type": text}]}),
        (RESPONSES, {"input": [{"type": "function_call_output", "call_id": text, "output": ""}]}),
    ]


@rows("number", range(len(STRANGE)), ids=["long", "a key", "control characters"])
def test_a_refusal_is_short_and_holds_no_key(number: int) -> None:
    for caller, body in _requests(STRANGE[number]):
        request = CallerRequest(
            caller, {"model": "m", "max_tokens": 9, **body}, Sealer(b"k" * 32), seed="seed", now=1.7e9
        )
        endpoint = next(dialect for dialect in Dialect if dialect is not caller)
        with pytest.raises(Untranslatable) as refused:
            request.to(Destination(endpoint, "https://api.example", "m", Caps(), exact=True))
        words = f"{refused.value.path} {refused.value.what}"
        assert len(words) < 1_000
        assert KEY not in words
        assert "\x1b" not in words
