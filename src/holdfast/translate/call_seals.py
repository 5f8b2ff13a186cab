"""Gives the seals of calls back to their calls. A caller has no place for them there: it gets each as a
thought of its own, which says the call's id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .form import Call, Opaque, Part, Seal, Thinking
from .losses import Losses


def with_call_seals(parts: Sequence[Part], losses: Losses) -> list[Part]:
    """Return the parts of a turn of the model with the seals of calls at their calls."""
    seals = {seal.item: (seal, part.at) for part in parts if (seal := _seal_of_a_call(part))}
    if not seals:
        return list(parts)
    made: list[Part] = []
    for part in parts:
        if isinstance(part, Call) and part.id in seals:
            seal, _ = seals.pop(part.id)
            made.append(replace(part, seal=seal))
        elif not _seal_of_a_call(part):
            made.append(part)
    for _, at in seals.values():
        losses.less("reasoning_not_returned", at)
    return made


def _seal_of_a_call(part: Part) -> Seal | None:
    if not isinstance(part, Thinking) or part.seal is None or part.seal.kind is not Opaque.THOUGHT:
        return None
    return part.seal
