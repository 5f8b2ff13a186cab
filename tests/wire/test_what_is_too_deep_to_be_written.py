"""A translated request that a caller's JSON can hold, but ours cannot, since the translation adds levels."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.exchange import CallerRequest, Destination
from holdfast.translate.losses import Untranslatable
from holdfast.wire.translated import TranslatedRequest


def test_a_request_that_is_too_deep_to_be_written_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"a": schema}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, "tools": [tool]}
    request = CallerRequest(Dialect.OPENAI_CHAT, body, Sealer(b"k" * 32), seed="seed", now=1.7e9)
    translation = request.to(Destination(Dialect.ANTHROPIC_MESSAGES, "https://api.example", "m", Caps()))
    with pytest.raises(Untranslatable, match="nested too deeply"):
        TranslatedRequest(translation, "m")
