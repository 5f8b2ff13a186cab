"""AutoGen's OpenAIChatCompletionClient over the library."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from autogen_core.models import CreateResult, ModelFamily, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models.openai import OpenAIChatCompletionClient
from common import CITY, QUESTION, play

import holdfast

INFO = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "structured_output": True,
    "family": ModelFamily.UNKNOWN,
}


def model(session: holdfast.Session) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(model=session.model, model_info=INFO, **session.for_openai_async())


def asked(text: str) -> list[UserMessage]:
    return [UserMessage(content=text, source="user")]


def plain(session: holdfast.Session) -> Any:
    return asyncio.run(model(session).create(asked(QUESTION))).content


def stream(session: holdfast.Session) -> Any:
    async def read() -> str:
        chunks = model(session).create_stream(asked(QUESTION))
        return "".join([chunk async for chunk in chunks if not isinstance(chunk, CreateResult)])

    return asyncio.run(read())


def look_up(city: str) -> str:
    """Look a city up."""
    return city


def tools(session: holdfast.Session) -> Any:
    offered = [FunctionTool(look_up, description="Look a city up.")]
    (call,) = asyncio.run(model(session).create(asked(f"Look up {CITY}"), tools=offered)).content
    return {"tool": call.name, "arguments": json.loads(call.arguments)}


play(plain, stream, tools)
