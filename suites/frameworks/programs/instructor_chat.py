"""Instructor over the library: it patches the SDK's own client."""

from __future__ import annotations

import asyncio
from typing import Any

import instructor
from common import CITY, QUESTION, play
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

import holdfast


class look_up(BaseModel):  # noqa: N801 - the name of the tool
    """Look a city up."""

    city: str


def client(session: holdfast.Session) -> Any:
    return instructor.from_openai(OpenAI(**session.for_openai()))


def plain(session: holdfast.Session) -> Any:
    messages = [{"role": "user", "content": QUESTION}]
    answer = client(session).chat.completions.create(
        model=session.model, messages=messages, response_model=None
    )
    return answer.choices[0].message.content


def stream(session: holdfast.Session) -> Any:
    messages = [{"role": "user", "content": QUESTION}]
    chunks = client(session).chat.completions.create(
        model=session.model, messages=messages, response_model=None, stream=True
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def tools(session: holdfast.Session) -> Any:
    messages = [{"role": "user", "content": f"Look up {CITY}"}]
    made = client(session).chat.completions.create(
        model=session.model, messages=messages, response_model=look_up
    )
    return {"tool": type(made).__name__, "arguments": {"city": made.city}}


def later(session: holdfast.Session) -> Any:
    async def ask() -> Any:
        asking = instructor.from_openai(AsyncOpenAI(**session.for_openai_async()))
        messages = [{"role": "user", "content": QUESTION}]
        return await asking.chat.completions.create(
            model=session.model, messages=messages, response_model=None
        )

    return asyncio.run(ask()).choices[0].message.content


play(plain, stream, tools, later)
