"""The official OpenAI SDK, responses: one question of the kind asked for, what came of it as one line of
JSON."""

from __future__ import annotations

import json
import os
import sys

import openai

client = openai.OpenAI(base_url=os.environ["GATEWAY"] + "/v1", api_key=os.environ["TOKEN"])
MODEL = os.environ["MODEL"]
TOOL = {
    "type": "function",
    "name": "look_up",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def plain() -> dict:
    return {"text": client.responses.create(model=MODEL, input="Say something.").output_text}


def stream() -> dict:
    events = client.responses.create(model=MODEL, input="Say something.", stream=True)
    return {"text": "".join(event.delta for event in events if event.type == "response.output_text.delta")}


def tools() -> dict:
    call = next(
        item
        for item in client.responses.create(model=MODEL, input="Weather?", tools=[TOOL]).output
        if item.type == "function_call"
    )
    return {"tool": call.name, "arguments": json.loads(call.arguments)}


try:
    report = {"plain": plain, "error": plain, "stream": stream, "tools": tools}[sys.argv[1]]()
except openai.APIStatusError as error:
    report = {"status": error.status_code, "kind": type(error).__name__, "message": str(error)}
print(json.dumps(report))
