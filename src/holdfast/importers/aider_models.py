"""The names of models that aider and the library under it (LiteLLM) understand."""

from __future__ import annotations

import re

ALIASES = frozenset(
    """
    sonnet haiku opus 4 4o mini 4-turbo 35turbo 35-turbo 3 deepseek r1 flash flash-lite gemini gemini-2.5-pro
    gemini-exp grok3 quasar optimus
    """.split()
)
"""Names that aider replaces, by other models from version to version."""
_BARE = ((re.compile(r"(?:gpt|chatgpt|o\d)[-\d.]|o\d\Z"), "openai"), (re.compile(r"claude-"), "anthropic"))


def family_and_model(text: str) -> tuple[str | None, str]:
    """Return the prefix of a provider, None where the name tells of none, and the model's own name."""
    prefix, slash, name = text.partition("/")
    if slash:
        return prefix, name
    return next((family for pattern, family in _BARE if pattern.match(text)), None), text
