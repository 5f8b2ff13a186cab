"""Programs that cannot be handed a connection, with the reason: their protocol is not one of ours, or they
keep keys in plain text."""

from __future__ import annotations

from ..core.identity import Dialect
from .base import Handover, Harness, LaunchRequest


def _none(request: LaunchRequest) -> Handover:
    raise AssertionError(f"no plan for {request.target.pin}")  # pragma: no cover - hand_over refuses before


GEMINI = Harness(
    name="gemini",
    title="Gemini CLI",
    executable="gemini",
    install="npm install -g @google/gemini-cli",
    speaks=(),
    plan=_none,
    wire="generateContent of the Gemini API",
    no_plan="it speaks generateContent of the Gemini API, which is no dialect of ours",
)
CLINE = Harness(
    name="cline",
    title="Cline",
    executable="cline",
    install="npm install -g cline",
    speaks=(Dialect.OPENAI_CHAT,),
    plan=_none,
    no_plan="it takes a key only as an argument or as plain text in a file of its own, never by reference",
)
