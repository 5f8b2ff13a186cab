"""The limits and abilities of a model, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.config import ModelFacts

_REASONING = {True: "reasoning", False: "no reasoning"}


def described(facts: ModelFacts) -> str:
    """Return what is known of a model: `context 200,000 tokens, output 32,000 tokens, input text and image,
    reasoning`; "" for nothing."""
    words = []
    if "context" in facts:
        words.append(f"context {facts['context']:,} tokens")
    if "output" in facts:
        words.append(f"output {facts['output']:,} tokens")
    if "input" in facts:
        words.append(f"input {' and '.join(facts['input'])}")
    if "reasoning" in facts:
        words.append(_REASONING[facts["reasoning"]])
    return ", ".join(words)
