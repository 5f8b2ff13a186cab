"""LangChain's ChatAnthropic through the gateway: it takes no client of its user."""

from __future__ import annotations

import asyncio
from typing import Any

from common import CITY, GATEWAY, QUESTION, TOKEN, play
from langchain_anthropic import ChatAnthropic

import holdfast


def model(session: holdfast.Session) -> ChatAnthropic:
    return ChatAnthropic(model=str(session.pin), base_url=GATEWAY, api_key=TOKEN, max_retries=0)


def plain(session: holdfast.Session) -> Any:
    return model(session).invoke(QUESTION).content


def stream(session: holdfast.Session) -> Any:
    parts = [chunk.content for chunk in model(session).stream(QUESTION)]
    return "".join(part if isinstance(part, str) else part[0]["text"] for part in parts if part)


def look_up(city: str) -> str:
    """Look a city up."""
    return city


def tools(session: holdfast.Session) -> Any:
    (call,) = model(session).bind_tools([look_up]).invoke(f"Look up {CITY}").tool_calls
    return {"tool": call["name"], "arguments": call["args"]}


def later(session: holdfast.Session) -> Any:
    return asyncio.run(model(session).ainvoke(QUESTION)).content


play(plain, stream, tools, later)
