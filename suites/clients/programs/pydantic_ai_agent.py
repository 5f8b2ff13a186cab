"""pydantic-ai's agent on the OpenAI or Anthropic model: one question of the kind asked for, what came of it
as one line of JSON."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from pydantic_ai import Agent, ModelHTTPError

kind, vendor = sys.argv[1], sys.argv[2]
if vendor == "openai":
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(
        os.environ["MODEL"],
        provider=OpenAIProvider(base_url=os.environ["GATEWAY"] + "/v1", api_key=os.environ["TOKEN"]),
    )
else:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    own = AsyncAnthropic(base_url=os.environ["GATEWAY"], api_key=os.environ["TOKEN"])
    model = AnthropicModel(os.environ["MODEL"], provider=AnthropicProvider(anthropic_client=own))
agent: Agent = Agent(model)
asked: list[dict] = []


class Asked(Exception):
    """The tool was called: that is all we want to know."""


if kind == "tools":

    @agent.tool_plain
    def look_up(city: str) -> str:
        asked.append({"tool": "look_up", "arguments": {"city": city}})
        raise Asked


async def ask() -> dict:
    if kind == "stream":
        async with agent.run_stream("Say something.") as answer:
            return {"text": "".join([part async for part in answer.stream_text(delta=True)])}
    return {"text": (await agent.run("Say something.")).output}


try:
    report = asyncio.run(ask())
except Asked:
    report = asked[0]
except ModelHTTPError as error:
    report = {"status": error.status_code, "kind": type(error).__name__, "message": str(error)}
print(json.dumps(report))
