"""The program that dies in the first scene: asks for a long answer in a session, and prints each piece as it
comes.

A process of its own, so that what it leaves behind is what a killed program leaves behind. `python -m
holdfast.demo.child SESSION PIN`"""

from __future__ import annotations

import sys

import httpx2

from ..sdk import api


def main(session_id: str, pin: str) -> None:
    """Stream one answer to stdout, an event a line."""
    question = {"messages": [{"role": "user", "content": "Tell me everything."}], "stream": True}
    with api.open() as hf:
        session = hf.session(session_id, pin)
        with (
            httpx2.Client(transport=session.transport(), base_url=f"{api.NOWHERE}/v1") as client,
            client.stream("POST", "/chat/completions", json={**question, "model": session.model}) as response,
        ):
            for line in response.iter_lines():
                print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
