"""LlamaIndex's OpenAILike over the library."""

from __future__ import annotations

import asyncio
from typing import Any

from common import CITY, QUESTION, play
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

import holdfast

ASKED = [ChatMessage(role="user", content=QUESTION)]


def model(session: holdfast.Session) -> OpenAILike:
    options = session.for_openai()
    return OpenAILike(
        model=session.model,
        api_base=options["base_url"],
        api_key=options["api_key"],
        http_client=options["http_client"],
        async_http_client=session.for_openai_async()["http_client"],
        max_retries=0,
        is_chat_model=True,
        is_function_calling_model=True,
    )


def plain(session: holdfast.Session) -> Any:
    return model(session).chat(ASKED).message.content


def stream(session: holdfast.Session) -> Any:
    return "".join(chunk.delta or "" for chunk in model(session).stream_chat(ASKED))


def look_up(city: str) -> str:
    """Look a city up."""
    return city


def tools(session: holdfast.Session) -> Any:
    answer = model(session).chat_with_tools([FunctionTool.from_defaults(look_up)], user_msg=f"Look up {CITY}")
    (call,) = model(session).get_tool_calls_from_response(answer)
    return {"tool": call.tool_name, "arguments": call.tool_kwargs}


def later(session: holdfast.Session) -> Any:
    return asyncio.run(model(session).achat(ASKED)).message.content


play(plain, stream, tools, later)
