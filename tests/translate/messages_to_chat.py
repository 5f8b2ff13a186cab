"""Carries requests of the Messages API to chat endpoints, for tests."""

from __future__ import annotations

from typing import Any, NamedTuple

from holdfast.translate import read_messages, write_chat
from holdfast.translate.caps import Caps
from holdfast.translate.context import Target
from holdfast.translate.envelope import Sealer
from holdfast.translate.form import Request
from holdfast.translate.losses import Losses
from holdfast.translate.names import ToolNames
from translate.judges import judge_chat_request

MODEL = "served-model"
SEALER = Sealer(b"secret")
MARK = SEALER.mark("https://here.test", MODEL)


class Written(NamedTuple):
    body: dict[str, Any]
    less: tuple[str, ...]


def write(request: Request, losses: Losses, *, session: str = "", **caps: Any) -> Written:
    """Write a request for a chat endpoint, as OpenAI's types judge it."""
    names = ToolNames(request.tools, losses)
    target = Target(caps=Caps(**caps), mark=MARK, model=MODEL, names=names, losses=losses, cache_key=session)
    body = write_chat.write(request, target)
    judge_chat_request(body)
    return Written(body, losses.names)


def carried(body: dict[str, Any], *, exact: bool = False, **caps: Any) -> Written:
    """Carry a request of the Messages API to a chat endpoint."""
    losses = Losses(exact=exact)
    return write(read_messages.read(body, SEALER, losses), losses, **caps)


def asking(**members: Any) -> dict[str, Any]:
    """Return a small request, with members changed or added."""
    return {
        "model": "claude",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "hi"}],
    } | members
