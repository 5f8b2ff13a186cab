"""Programs that cannot be handed a connection, with the reason: their wire is none of ours, or they keep keys
in the clear."""

from __future__ import annotations

from ..core.identity import Dialect
from .base import Handover, Harness, LaunchRequest


def _none(task: LaunchRequest) -> Handover:
    raise AssertionError(f"no plan for {task.way.pin}")  # pragma: no cover - hand_over refuses before


GEMINI = Harness(
    "gemini",
    "Gemini CLI",
    "gemini",
    "npm install -g @google/gemini-cli",
    (),
    _none,
    wire="generateContent of the Gemini API",
    no_plan="it speaks generateContent of the Gemini API, which is no dialect of ours",
)
CLINE = Harness(
    "cline",
    "Cline",
    "cline",
    "npm install -g cline",
    (Dialect.OPENAI_CHAT,),
    _none,
    no_plan="it takes a key only as an argument or as plain text in a file of its own, never by reference",
)
