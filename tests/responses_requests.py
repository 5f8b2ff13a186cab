"""Requests of Responses, read and written, and the parts that they are made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast.translate import (
    read_chat,
    read_messages,
    read_responses,
    write_chat,
    write_messages,
    write_responses,
)
from holdfast.translate.caps import Caps
from holdfast.translate.context import Target
from holdfast.translate.envelope import Sealer
from holdfast.translate.form import Request
from holdfast.translate.losses import Losses
from holdfast.translate.names import ToolNames

SEALER = Sealer(b"key of a home")
MARK = SEALER.mark("https://api.example", "m")
OTHER_MARK = SEALER.mark("https://api.example", "another")
PNG = "data:image/png;base64,aaaa"
PDF = "data:application/pdf;base64,aaaa"
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
CUSTOM = {"type": "custom", "name": "patch", "description": "Patch."}
SEARCH = {"type": "tool_search", "execution": "client", "description": "Find."}
USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
READERS = {"chat": read_chat.read, "messages": read_messages.read, "responses": read_responses.read}
WRITERS = {"chat": write_chat.write, "messages": write_messages.write, "responses": write_responses.write}


def codex_request() -> dict[str, Any]:
    """Return a request such as Codex sends, with everything that it may hold."""
    return json.loads((Path(__file__).parent / "data/translate/codex-request.json").read_text("utf-8"))


def understood(**members: Any) -> tuple[Request, tuple[str, ...]]:
    """Return what a request of Responses asks for, and what is lost."""
    losses = Losses()
    request = read_responses.read({"model": "m", "input": "hi"} | members, SEALER, losses)
    return request, losses.names


def written(
    request: Request, losses: Losses | None = None, *, mark: str = MARK, **caps: Any
) -> dict[str, Any]:
    """Return a request as an endpoint of Responses gets it."""
    losses = losses or Losses()
    target = Target(Caps(**caps), mark, "gpt", ToolNames(request.tools, losses), losses)
    return write_responses.write(request, target)


def translated(
    caller: str, body: dict[str, Any], endpoint: str, **caps: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a request of a `caller`'s dialect as an endpoint gets it, and what is lost."""
    losses = Losses()
    request = READERS[caller](body, SEALER, losses)
    target = Target(Caps(**caps), MARK, "gpt", ToolNames(request.tools, losses), losses)
    return WRITERS[endpoint](request, target), losses.names
