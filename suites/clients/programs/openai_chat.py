"""The official OpenAI SDK, chat completions: one question of the kind asked for, what came of it as one line
of JSON."""

from __future__ import annotations

import json
import os
import sys

import openai

client = openai.OpenAI(base_url=os.environ["GATEWAY"] + "/v1", api_key=os.environ["TOKEN"])
MODEL = os.environ["MODEL"]
SAY = [{"role": "user", "content": "Say something."}]
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def plain() -> dict:
    return {"text": client.chat.completions.create(model=MODEL, messages=SAY).choices[0].message.content}


def stream() -> dict:
    chunks = client.chat.completions.create(model=MODEL, messages=SAY, stream=True)
    return {"text": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)}


def tools() -> dict:
    call = (
        client.chat.completions.create(model=MODEL, messages=SAY, tools=[TOOL])
        .choices[0]
        .message.tool_calls[0]
    )
    return {"tool": call.function.name, "arguments": json.loads(call.function.arguments)}


try:
    report = {"plain": plain, "error": plain, "stream": stream, "tools": tools}[sys.argv[1]]()
except openai.APIStatusError as error:
    report = {"status": error.status_code, "kind": type(error).__name__, "message": str(error)}
print(json.dumps(report))
