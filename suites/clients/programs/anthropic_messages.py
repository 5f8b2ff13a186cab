"""The official Anthropic SDK: one question of the kind asked for, what came of it as one line of JSON."""

from __future__ import annotations

import json
import os
import sys

import anthropic

client = anthropic.Anthropic(base_url=os.environ["GATEWAY"], api_key=os.environ["TOKEN"])
ASK = {
    "model": os.environ["MODEL"],
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "Say something."}],
}
TOOL = {"name": "look_up", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def plain() -> dict:
    return {"text": client.messages.create(**ASK).content[0].text}


def stream() -> dict:
    with client.messages.stream(**ASK) as events:
        return {"text": "".join(events.text_stream)}


def tools() -> dict:
    use = next(
        block for block in client.messages.create(**ASK, tools=[TOOL]).content if block.type == "tool_use"
    )
    return {"tool": use.name, "arguments": use.input}


try:
    report = {"plain": plain, "error": plain, "stream": stream, "tools": tools}[sys.argv[1]]()
except anthropic.APIStatusError as error:
    report = {"status": error.status_code, "kind": type(error).__name__, "message": str(error)}
print(json.dumps(report))
