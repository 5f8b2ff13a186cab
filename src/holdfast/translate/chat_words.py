"""What a message of a chat answer, or a piece of it, says: its text, its thoughts, and what nobody reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .form import Refusal, Text, Thinking
from .lenient import json_of, members_of, says_something, text_of, words_of
from .losses import Losses
from .provider_errors import Senseless, unknown

Spoken = type[Text | Thinking | Refusal]
EMPTY: dict[Spoken, Text | Thinking | Refusal] = {
    Text: Text(""),
    Thinking: Thinking(),
    Refusal: Refusal(""),
}
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thinking_blocks")
"""Where servers give what the model thought: the first that is not empty counts."""
THOUGHTS, PLAIN = frozenset({*_THOUGHTS, "reasoning_details"}), frozenset({"role", "content"})
"""The members that hold thoughts, and those of most pieces of an answer."""
KNOWN = THOUGHTS | PLAIN | {"annotations", "audio", "function_call", "images", "refusal", "tool_calls"}
"""The members of a message that are read. One that is not, and holds something, is told as lost."""
_KINDS: dict[str, Spoken] = {
    **dict.fromkeys(("", "text", "output_text", "input_text"), Text),
    **dict.fromkeys(("thinking", "reasoning", "reasoning_text", "reasoning_content", "thought"), Thinking),
    "refusal": Refusal,
}
"""The parts of a content that is a list, by type."""
_SEALED = ("signature", "data", "encrypted_content")


def thought_in(delta: Mapping[str, Any], losses: Losses) -> str:
    """Return what the model thought."""
    blocks = delta.get("thinking_blocks")
    if blocks:
        _note_seals(blocks, losses)
    for name in _THOUGHTS:
        value = delta.get(name)
        text = words_of(value)
        if text:
            return text
        if value and value is not blocks:
            losses.note("unknown_member")
    return ""


def words_in(content: object, losses: Losses) -> Iterator[tuple[Spoken, str]]:
    """Yield the words of a content that is no text. Raises Senseless for a part without a counterpart."""
    if not isinstance(content, list):
        content = [content]
    for part in content:
        if isinstance(part, dict):
            yield from _part(part, losses)
        elif part:
            yield Text, json_of(part) or ""


def _part(part: Mapping[str, Any], losses: Losses) -> Iterator[tuple[Spoken, str]]:
    kind = text_of(part.get("type"))
    spoken = _KINDS.get(kind)
    if kind == "reference":
        losses.note("citations")
    elif kind == "redacted_thinking":
        losses.note("reasoning_not_returned")
    elif spoken is not None:
        text = words_of(part)
        if text or not says_something(part):
            yield spoken, text
            return
        raise Senseless(unknown("has a part of the type", kind))
    elif kind or says_something(part):
        raise Senseless(unknown("has a part of the type", kind))


def note_strays(delta: Mapping[str, Any], losses: Losses) -> None:
    """Note members that are not known, where they hold something."""
    if any(delta[name] for name in delta.keys() - KNOWN):
        losses.note("unknown_member")


def _note_seals(blocks: object, losses: Losses) -> None:
    """Note that what seals the blocks of LiteLLM cannot be given back."""
    listed = blocks if isinstance(blocks, list) else [blocks]
    if any(members_of(block).get(name) for block in listed for name in _SEALED):
        losses.note("reasoning_not_returned")
