"""litellm as a client: one question of the kind asked for, what came of it as one line of JSON."""

from __future__ import annotations

import json
import os
import sys

import litellm

kind, vendor = sys.argv[1], sys.argv[2]
litellm.suppress_debug_info = True
base = os.environ["GATEWAY"] + ("/v1" if vendor == "openai" else "")
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
ASK = {
    "model": f"{vendor}/{os.environ['MODEL']}",
    "api_base": base,
    "api_key": os.environ["TOKEN"],
    "messages": [{"role": "user", "content": "Say something."}],
    "max_tokens": 64,
}


def plain() -> dict:
    return {"text": litellm.completion(**ASK).choices[0].message.content}


def stream() -> dict:
    return {
        "text": "".join(
            chunk.choices[0].delta.content or "" for chunk in litellm.completion(**ASK, stream=True)
        )
    }


def tools() -> dict:
    call = litellm.completion(**ASK, tools=[TOOL]).choices[0].message.tool_calls[0]
    return {"tool": call.function.name, "arguments": json.loads(call.function.arguments)}


try:
    report = {"plain": plain, "error": plain, "stream": stream, "tools": tools}[kind]()
except Exception as error:  # noqa: BLE001 - litellm has an exception class for every vendor
    report = {
        "status": getattr(error, "status_code", None),
        "kind": type(error).__name__,
        "message": str(error),
    }
print(json.dumps(report))
