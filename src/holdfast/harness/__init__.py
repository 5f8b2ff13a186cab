"""Agent programs that we can hand a connection to: one file for each harness, with a pure plan. Importing
this package runs none of them."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.identity import Dialect
from . import (
    aider,
    claude,
    codex,
    continue_,
    copilot,
    crush,
    droid,
    goose,
    hermes,
    kilo,
    kimi,
    llm,
    opencode,
    others,
    pi,
    qwen,
)
from .base import Harness

_KNOWN = (
    pi.HARNESS,
    claude.HARNESS,
    codex.HARNESS,
    opencode.HARNESS,
    copilot.HARNESS,
    droid.HARNESS,
    kimi.HARNESS,
    kilo.HARNESS,
    hermes.HARNESS,
    qwen.HARNESS,
    continue_.HARNESS,
    aider.HARNESS,
    llm.HARNESS,
    crush.HARNESS,
    goose.HARNESS,
    others.CLINE,
    others.GEMINI,
)
HARNESSES: Mapping[str, Harness] = {harness.name: harness for harness in _KNOWN}
"""All programs by the name that `holdfast run` takes."""
SPEAKS: Mapping[str, tuple[Dialect, ...]] = {
    name: harness.speaks for name, harness in sorted(HARNESSES.items())
}
"""The dialects that each program can speak to an address of the user's own; measured on the wire."""
