"""LiteLLM's SDK: `openai/*` over the library, `anthropic/*` through the gateway (argument `anthropic`)."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import litellm
from common import CITY, GATEWAY, QUESTION, TOKEN, play
from openai import AsyncOpenAI, OpenAI

import holdfast

OF_ANTHROPIC = "anthropic" in sys.argv
LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a city up.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(session: holdfast.Session, asked: str = QUESTION, **more: Any) -> Any:
    messages = [{"role": "user", "content": asked}]
    if OF_ANTHROPIC:
        return litellm.completion(
            model=f"anthropic/{session.pin}",
            api_base=GATEWAY,
            api_key=TOKEN,
            max_retries=0,
            messages=messages,
            **more,
        )
    return litellm.completion(
        model=f"openai/{session.model}",
        client=OpenAI(**session.for_openai()),
        max_retries=0,
        messages=messages,
        **more,
    )


def plain(session: holdfast.Session) -> Any:
    return ask(session).choices[0].message.content


def stream(session: holdfast.Session) -> Any:
    return "".join(chunk.choices[0].delta.content or "" for chunk in ask(session, stream=True))


def tools(session: holdfast.Session) -> Any:
    (call,) = ask(session, f"Look up {CITY}", tools=[LOOK_UP]).choices[0].message.tool_calls
    return {"tool": call.function.name, "arguments": json.loads(call.function.arguments)}


def later(session: holdfast.Session) -> Any:
    given: dict[str, Any] = {"model": f"anthropic/{session.pin}", "api_base": GATEWAY, "api_key": TOKEN}
    if not OF_ANTHROPIC:
        client = AsyncOpenAI(**session.for_openai_async())
        given = {"model": f"openai/{session.model}", "client": client}
    messages = [{"role": "user", "content": QUESTION}]
    turn = litellm.acompletion(**given, messages=messages, max_retries=0)
    return asyncio.run(turn).choices[0].message.content


play(plain, stream, tools, later)
