"""A streamed turn through the asynchronous Anthropic SDK, on a provider with an endpoint for
anthropic-messages.

python examples/anthropic_streaming.py issue-43 kimi/kimi-k2
"""

from __future__ import annotations

import asyncio
import sys

import anthropic

import holdfast


async def main(session_id: str, pin: str | None = None) -> None:
    with holdfast.open() as hf:
        session = hf.session(session_id, pin)
        async with anthropic.AsyncAnthropic(**session.for_anthropic_async()) as client:
            turn = client.messages.stream(
                model=session.model,
                max_tokens=200,
                messages=[{"role": "user", "content": "Are you still there?"}],
            )
            async with turn as stream:
                async for text in stream.text_stream:
                    print(text, end="", flush=True)
        print()
        print(session.why(), file=sys.stderr)


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:3]))
    except (holdfast.HoldfastError, anthropic.APIError) as error:
        sys.exit(str(error))
