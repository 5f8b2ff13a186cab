"""Pydantic AI over the library, with OpenAI's model or Anthropic's (argument `anthropic`)."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from anthropic import AsyncAnthropic
from common import CITY, QUESTION, play
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

import holdfast

OF_ANTHROPIC = "anthropic" in sys.argv


def model(session: holdfast.Session) -> Any:
    if OF_ANTHROPIC:
        return AnthropicModel(
            session.model,
            provider=AnthropicProvider(anthropic_client=AsyncAnthropic(**session.for_anthropic_async())),
        )
    return OpenAIChatModel(
        session.model, provider=OpenAIProvider(openai_client=AsyncOpenAI(**session.for_openai_async()))
    )


def plain(session: holdfast.Session) -> Any:
    return Agent(model(session)).run_sync(QUESTION).output


def stream(session: holdfast.Session) -> Any:
    async def read() -> str:
        async with Agent(model(session)).run_stream(QUESTION) as answer:
            return "".join([text async for text in answer.stream_text(delta=True)])

    return asyncio.run(read())


def tools(session: holdfast.Session) -> Any:
    asked: dict[str, Any] = {}

    def look_up(city: str) -> str:
        """Look a city up."""
        asked["tool"], asked["arguments"] = "look_up", {"city": city}
        return city

    Agent(model(session), tools=[look_up]).run_sync(f"Look up {CITY}")
    return asked


def later(session: holdfast.Session) -> Any:
    return asyncio.run(Agent(model(session)).run(QUESTION)).output


play(plain, stream, tools, later)
