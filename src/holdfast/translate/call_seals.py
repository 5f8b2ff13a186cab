"""Gives the seals of calls back to their calls. A caller has no place for them there: it gets each as a
thought of its own, which says the call's id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .form import Call, Opaque, Part, Seal, Thinking
from .losses import Losses


def with_call_seals(parts: Sequence[Part], losses: Losses) -> list[Part]:
    """Return the parts of a turn of the model with the seals of calls at their calls."""
    seals: dict[str, tuple[Seal, str]] = {}
    others: list[Part] = []
    for part in parts:
        if type(part) is Thinking and part.seal is not None and part.seal.kind is Opaque.THOUGHT:
            seals[part.seal.item] = part.seal, part.at
        else:
            others.append(part)
    if not seals:
        return others
    for number, part in enumerate(others):
        if isinstance(part, Call) and part.id in seals:
            others[number] = replace(part, seal=seals.pop(part.id)[0])
    for _, at in seals.values():
        losses.less("reasoning_not_returned", at)
    return others
