"""Reads what a model thought, from a message of a chat request: a text, and our seals in its details."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .envelope import Sealer
from .fields import Fields
from .form import Call, Opaque, Part, Seal, Thinking

_MEMBERS = frozenset({"reasoning", "reasoning_content", "reasoning_details"})


@dataclass(frozen=True, slots=True)
class _Detail:
    """An entry of ours. `length` says how many characters of the text are its thought's; None where the
    caller did not keep that. `call` is the id of the call that follows the thought."""

    thought: Thinking
    length: int | None
    call: str


def with_thoughts(
    message: Fields, sealer: Sealer, words: Sequence[Part], calls: Sequence[Call]
) -> list[Part]:
    """Return words and calls of a message with the thoughts before them. Details of others are for their own
    endpoint, and left."""
    if not message.raw.keys() & _MEMBERS:
        return [*words, *calls]
    details = [_detail(entry, sealer) for entry in message.objects("reasoning_details")]
    if not any(detail.thought.text for detail in details):
        text = message.text("reasoning_content") or message.text("reasoning")
        details = _with_text(text, [detail for detail in details if detail.thought.seal], message.at)
    later: dict[str, list[Part]] = {call.id: [] for call in calls[1:]}
    first: list[Part] = []
    for detail in details:
        later.get(detail.call, first).append(detail.thought)
    made = [*first, *words]
    for call in calls:
        made += [*later.pop(call.id, ()), call]
    return made


def _detail(entry: Fields, sealer: Sealer) -> _Detail:
    sealed = entry.text("signature") or entry.text("data")
    thought = Thinking(entry.text("text") or entry.text("summary"), sealer.open(sealed), entry.at)
    length, call = entry.raw.get("length"), entry.raw.get("id")
    if isinstance(length, bool) or not isinstance(length, int):
        length = None
    if not isinstance(call, str):
        call = ""
    return _Detail(thought, length, call)


def _with_text(text: str, details: Sequence[_Detail], at: str) -> list[_Detail]:
    """Give each thought its piece of the text. A text that is not as long as the thoughts were has no seals
    that still hold, but those that need no text."""
    lengths = [detail.length for detail in details]
    if None in lengths:
        return _without_lengths(text, details, at)
    if sum(filter(None, lengths)) != len(text) or any(
        length is not None and length < 0 for length in lengths
    ):
        apart = [detail for detail in details if not detail.length]
        return [_Detail(Thinking(text, None, at), None, ""), *apart]
    made, start = [], 0
    for detail in details:
        end = start + (detail.length or 0)
        made.append(replace(detail, thought=replace(detail.thought, text=text[start:end])))
        start = end
    return made


def _without_lengths(text: str, details: Sequence[_Detail], at: str) -> list[_Detail]:
    """Give the text to the only seal that is one of a text. Several such seals cannot be told apart, and
    only those that hold nothing need not be."""
    if not text:
        return list(details)
    apart = [detail for detail in details if _is_redacted(detail.thought.seal)]
    seals = [detail.thought.seal for detail in details if not _is_redacted(detail.thought.seal)]
    seal = None
    if seals and all(other == seals[0] for other in seals):
        seal = seals[0]
    return [_Detail(Thinking(text, seal, at), None, ""), *apart]


def _is_redacted(seal: Seal | None) -> bool:
    return seal is not None and seal.kind is Opaque.REDACTED
