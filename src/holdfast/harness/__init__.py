"""Agent programs we can hand a connection to: one file per harness, each a pure plan. Never runs a harness by
itself."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.identity import Dialect
from . import aider, claude, codex, continue_, crush, goose, llm, opencode, others, pi, qwen
from .base import Harness

_KNOWN = (
    pi.HARNESS,
    claude.HARNESS,
    codex.HARNESS,
    opencode.HARNESS,
    qwen.HARNESS,
    continue_.HARNESS,
    aider.HARNESS,
    llm.HARNESS,
    crush.HARNESS,
    goose.HARNESS,
    others.CLINE,
    others.GEMINI,
)
HARNESSES: Mapping[str, Harness] = {one.name: one for one in _KNOWN}
"""All programs by the name that `holdfast run` takes."""
SPEAKS: Mapping[str, tuple[Dialect, ...]] = {name: one.speaks for name, one in sorted(HARNESSES.items())}
"""What each program can speak to an address of the user's own, as far as we speak it too; measured on the
wire."""
