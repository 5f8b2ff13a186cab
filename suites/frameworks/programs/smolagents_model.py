"""smolagents' OpenAIModel over the library, without its own retries."""

from __future__ import annotations

import json
from typing import Any

from common import CITY, QUESTION, play
from smolagents import ChatMessage, OpenAIModel, tool

import holdfast

ASKED = [ChatMessage(role="user", content=QUESTION)]


def model(session: holdfast.Session) -> OpenAIModel:
    options = session.for_openai()
    return OpenAIModel(
        session.model,
        api_base=options["base_url"],
        api_key=options["api_key"],
        client_kwargs={**options},
        retry=False,
    )


def plain(session: holdfast.Session) -> Any:
    return model(session)(ASKED).content


def stream(session: holdfast.Session) -> Any:
    return "".join(delta.content or "" for delta in model(session).generate_stream(ASKED))


@tool
def look_up(city: str) -> str:
    """Look a city up.

    Args:
        city: its name
    """
    return city


def tools(session: holdfast.Session) -> Any:
    asked = [ChatMessage(role="user", content=f"Look up {CITY}")]
    answer = model(session)(asked, tools_to_call_from=[look_up])
    (call,) = answer.tool_calls or []
    arguments = call.function.arguments
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    return {"tool": call.function.name, "arguments": arguments}


play(plain, stream, tools)
