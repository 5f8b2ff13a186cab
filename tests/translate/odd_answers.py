"""Requests of callers that are answered as servers do that follow the dialects loosely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.exchange import CallerRequest, Destination, Translation

Wire = dict[str, Any]
CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES


def asked(caller: Dialect, endpoint: Dialect, **members: Any) -> Translation:
    """Return a request of a caller's, for an endpoint of another dialect."""
    says = {"input": "hi"} if caller is RESPONSES else {"messages": [{"role": "user", "content": "hi"}]}
    body = {"model": "m", "max_tokens": 99, "stream": True, **says, **members}
    if caller is CHAT:
        body["stream_options"] = {"include_usage": True}
    request = CallerRequest(caller, body, Sealer(b"k" * 32), seed="seed", now=1.7e9)
    return request.to(Destination(endpoint, "https://api.example", "m", Caps()))


def streamed(caller: Dialect, endpoint: Dialect, events: Sequence[Wire]) -> list[Wire]:
    """Return what a caller gets for a stream."""
    stream = asked(caller, endpoint).stream()
    return [piece for event in events for piece in stream.feed(event)] + stream.end()
