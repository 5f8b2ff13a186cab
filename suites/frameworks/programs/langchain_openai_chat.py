"""LangChain's ChatOpenAI over the library."""

from __future__ import annotations

import asyncio
from typing import Any

from common import CITY, QUESTION, play
from langchain_openai import ChatOpenAI

import holdfast


def model(session: holdfast.Session) -> ChatOpenAI:
    return ChatOpenAI(
        model=session.model,
        **session.for_openai(),
        http_async_client=session.for_openai_async()["http_client"],
    )


def plain(session: holdfast.Session) -> Any:
    return model(session).invoke(QUESTION).content


def stream(session: holdfast.Session) -> Any:
    return "".join(str(chunk.content) for chunk in model(session).stream(QUESTION))


def look_up(city: str) -> str:
    """Look a city up."""
    return city


def tools(session: holdfast.Session) -> Any:
    (call,) = model(session).bind_tools([look_up]).invoke(f"Look up {CITY}").tool_calls
    return {"tool": call["name"], "arguments": call["args"]}


def later(session: holdfast.Session) -> Any:
    return asyncio.run(model(session).ainvoke(QUESTION)).content


play(plain, stream, tools, later)
