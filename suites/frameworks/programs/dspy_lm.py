"""DSPy's LM through the gateway: it copies its arguments, and a client cannot be copied."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import dspy
from common import CITY, GATEWAY, QUESTION, TOKEN, play

import holdfast

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a city up.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def model(session: holdfast.Session) -> Any:
    return dspy.LM(
        f"openai/{session.pin}", api_base=f"{GATEWAY}/v1", api_key=TOKEN, num_retries=0, cache=False
    )


def plain(session: holdfast.Session) -> Any:
    return model(session)(QUESTION)[0]


def stream(session: holdfast.Session) -> Any:
    class Asks(dspy.Module):  # type: ignore[misc]
        def forward(self, question: str) -> Any:
            return dspy.Prediction(answer=model(session)(question)[0])

    async def read() -> str:
        parts = [part async for part in dspy.streamify(Asks())(question=QUESTION)]
        return "".join(part["choices"][0]["delta"]["content"] or "" for part in parts[:-1])

    return asyncio.run(read())


def tools(session: holdfast.Session) -> Any:
    (answer,) = model(session)(f"Look up {CITY}", tools=[LOOK_UP])
    (call,) = answer["tool_calls"]
    function = call["function"]
    return {"tool": function["name"], "arguments": json.loads(function["arguments"])}


def later(session: holdfast.Session) -> Any:
    return asyncio.run(model(session).acall(QUESTION))[0]


play(plain, stream, tools, later)
