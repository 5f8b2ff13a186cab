"""CrewAI's LLM through the gateway: it has one set of arguments for its sync and its async client."""

from __future__ import annotations

import asyncio
import os
from typing import Any

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true", CREWAI_TRACING_ENABLED="false")

from common import CITY, GATEWAY, QUESTION, TOKEN, play
from crewai import LLM

import holdfast

LOOK_UP = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a city up.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def model(session: holdfast.Session, **more: Any) -> Any:
    return LLM(
        model=str(session.pin),
        provider="openai",
        base_url=f"{GATEWAY}/v1",
        api_key=TOKEN,
        max_retries=0,
        **more,
    )


def plain(session: holdfast.Session) -> Any:
    return model(session).call(QUESTION)


def stream(session: holdfast.Session) -> Any:
    return model(session, stream=True).call(QUESTION)


def tools(session: holdfast.Session) -> Any:
    asked: dict[str, Any] = {}

    def look_up(city: str) -> str:
        asked["tool"], asked["arguments"] = "look_up", {"city": city}
        return city

    model(session).call(f"Look up {CITY}", tools=[LOOK_UP], available_functions={"look_up": look_up})
    return asked


def later(session: holdfast.Session) -> Any:
    return asyncio.run(model(session).acall(QUESTION))


play(plain, stream, tools, later)
