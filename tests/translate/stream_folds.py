"""What a caller has in its hands at the end of a stream, put together by hand for each dialect.

A fold is a list of (kind, text) and (call, id, name, arguments), in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Wire = dict[str, Any]
Fold = list[tuple[str, ...]]


def messages(events: Sequence[Wire]) -> Fold:
    """Fold a stream of the Messages dialect."""
    blocks: dict[int, list[str]] = {}
    heads: dict[int, Wire] = {}
    for event in events:
        if event["type"] == "content_block_start":
            heads[event["index"]], blocks[event["index"]] = event["content_block"], []
        elif event["type"] == "content_block_delta" and event["delta"]["type"] != "signature_delta":
            (text,) = (value for name, value in event["delta"].items() if name != "type")
            blocks[event["index"]].append(text)
    folded: Fold = []
    for index, head in heads.items():
        text = "".join(blocks[index])
        if head["type"] == "tool_use":
            folded.append(("call", head["id"], head["name"], text))
        else:
            folded.append((head["type"], text))
    return folded


def responses(events: Sequence[Wire]) -> Fold:
    """Fold a stream of the Responses dialect: the items that were done."""
    folded: dict[int, tuple[str, ...]] = {}
    for event in events:
        if event["type"] != "response.output_item.done":
            continue
        item = event["item"]
        if item["type"] == "message":
            text = "".join(part.get("text", part.get("refusal", "")) for part in item["content"])
            folded[event["output_index"]] = ("text", text)
        elif item["type"] == "reasoning":
            text = "".join(part["text"] for part in item["summary"] + item.get("content", []))
            folded[event["output_index"]] = ("thinking", text)
        else:
            args = item.get("arguments", item.get("input"))
            folded[event["output_index"]] = ("call", item["call_id"], item["name"], args)
    return [folded[index] for index in sorted(folded)]


FOLDS: dict[str, Callable[[Sequence[Wire]], Fold]] = {"messages": messages, "responses": responses}
