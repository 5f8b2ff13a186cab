"""The program that is killed in the first scene: it asks for a long answer in a session, and prints pieces
on arrival.

It runs in its own process, so that it leaves the state of a killed program. `python -m holdfast.demo.child
SESSION PIN`"""

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
