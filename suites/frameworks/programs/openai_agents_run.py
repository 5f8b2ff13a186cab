"""The OpenAI Agents SDK over the library. Its tracing would call OpenAI, so it is off."""

from __future__ import annotations

import asyncio
from typing import Any

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from common import CITY, QUESTION, play
from openai import AsyncOpenAI

import holdfast

set_tracing_disabled(True)


def agent(session: holdfast.Session, *tools: Any) -> Agent[Any]:
    model = OpenAIChatCompletionsModel(
        model=session.model, openai_client=AsyncOpenAI(**session.for_openai_async())
    )
    return Agent(name="asks", model=model, tools=list(tools))


def plain(session: holdfast.Session) -> Any:
    return Runner.run_sync(agent(session), QUESTION).final_output


def stream(session: holdfast.Session) -> Any:
    async def read() -> str:
        events = Runner.run_streamed(agent(session), QUESTION).stream_events()
        raw = [event.data async for event in events if event.type == "raw_response_event"]
        return "".join(data.delta for data in raw if data.type == "response.output_text.delta")

    return asyncio.run(read())


def tools(session: holdfast.Session) -> Any:
    asked: dict[str, Any] = {}

    def look_up(city: str) -> str:
        """Look a city up."""
        asked["tool"], asked["arguments"] = "look_up", {"city": city}
        return city

    Runner.run_sync(agent(session, function_tool(look_up)), f"Look up {CITY}")
    return asked


def later(session: holdfast.Session) -> Any:
    return asyncio.run(Runner.run(agent(session), QUESTION)).final_output


play(plain, stream, tools, later)
