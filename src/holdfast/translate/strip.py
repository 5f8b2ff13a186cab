"""Takes sealed values out of a request that is sent as it came: its endpoint has never seen them, and would
refuse what it cannot open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..core.identity import Dialect
from .envelope import is_sealed

_Item = Mapping[str, Any]


def stripped(dialect: Dialect, body: _Item) -> dict[str, Any] | None:
    """Return the body without sealed values, and without what they leave empty; None where it has none."""
    member, strip = _PLACES[dialect]
    items = body.get(member)
    if not isinstance(items, list):
        return None
    kept = list(_kept(items, strip))
    if len(kept) == len(items) and all(new is old for new, old in zip(kept, items, strict=True)):
        return None
    return {**body, member: kept}


def _kept(items: Iterable[Any], strip: Callable[[_Item], _Item | None]) -> Iterable[Any]:
    """Yield the items as `strip` leaves them; None leaves nothing of one."""
    for item in items:
        if not isinstance(item, Mapping):
            yield item
            continue
        left = strip(item)
        if left is not None:
            yield left


def _without(item: _Item, member: str, is_sealed_part: Callable[[Any], bool]) -> _Item:
    """Return an item without those parts of its list `member` that are sealed."""
    parts = item.get(member)
    if not isinstance(parts, list):
        return item
    left = [part for part in parts if not is_sealed_part(part)]
    if len(left) == len(parts):
        return item
    return {**item, member: left}


def _message(item: _Item) -> _Item | None:
    """Return a turn of Messages without sealed thoughts; None if it held nothing else."""
    left = _without(item, "content", _is_thought)
    if left is not item and not left["content"]:
        return None
    return left


def _is_thought(block: Any) -> bool:
    if not isinstance(block, Mapping):
        return False
    return is_sealed(block.get("signature")) or is_sealed(block.get("data"))


def _chat_message(item: _Item) -> _Item | None:
    """Return a message of chat without sealed details of its reasoning, and of its calls."""
    left = dict(_without(item, "reasoning_details", _is_detail))
    if left.get("reasoning_details") == []:
        del left["reasoning_details"]
    calls = left.get("tool_calls")
    if isinstance(calls, list):
        left["tool_calls"] = [_call(call) for call in calls]
    if left == item:
        return item
    return left


def _is_detail(detail: Any) -> bool:
    return isinstance(detail, Mapping) and is_sealed(detail.get("data"))


def _call(call: Any) -> Any:
    """Return a call without a sealed signature of its thought."""
    extra = call.get("extra_content") if isinstance(call, Mapping) else None
    if not isinstance(extra, Mapping):
        return call
    for vendor in extra.values():
        if isinstance(vendor, Mapping) and is_sealed(vendor.get("thought_signature")):
            return {name: value for name, value in call.items() if name != "extra_content"}
    return call


def _input_item(item: _Item) -> _Item | None:
    """Return an item of Responses; None for a reasoning whose content is sealed."""
    if is_sealed(item.get("encrypted_content")):
        return None
    return item


_PLACES: dict[Dialect, tuple[str, Callable[[_Item], _Item | None]]] = {
    Dialect.OPENAI_CHAT: ("messages", _chat_message),
    Dialect.ANTHROPIC_MESSAGES: ("messages", _message),
    Dialect.OPENAI_RESPONSES: ("input", _input_item),
}
