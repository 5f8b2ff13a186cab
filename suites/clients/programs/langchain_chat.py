"""LangChain's OpenAI or Anthropic chat model: one question of the kind asked for, what came of it as one line
of JSON."""

from __future__ import annotations

import json
import os
import sys

from langchain_core.tools import tool

kind, vendor = sys.argv[1], sys.argv[2]
if vendor == "openai":
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(
        model=os.environ["MODEL"], base_url=os.environ["GATEWAY"] + "/v1", api_key=os.environ["TOKEN"]
    )
else:
    from langchain_anthropic import ChatAnthropic

    model = ChatAnthropic(
        model=os.environ["MODEL"], base_url=os.environ["GATEWAY"], api_key=os.environ["TOKEN"]
    )


@tool
def look_up(city: str) -> str:
    """The weather."""
    return city


def text(message: object) -> str:
    content = message.content
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def tools() -> dict:
    call = model.bind_tools([look_up]).invoke("Weather?").tool_calls[0]
    return {"tool": call["name"], "arguments": call["args"]}


def plain() -> dict:
    return {"text": text(model.invoke("Say something."))}


try:
    report = {
        "plain": plain,
        "error": plain,
        "stream": lambda: {"text": "".join(text(part) for part in model.stream("Say something."))},
        "tools": tools,
    }[kind]()
except Exception as error:  # noqa: BLE001 - whichever SDK it wraps
    report = {
        "status": getattr(error, "status_code", None),
        "kind": type(error).__name__,
        "message": str(error),
    }
print(json.dumps(report))
