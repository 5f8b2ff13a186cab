"""Another program of the same user: `worker.py SESSION JOB COUNT [PIN]`. Says "ready", waits for a line, does
its job, and tells as JSON what came of it.

It has no SDK, because four of them take long to start: a client of httpx2 over the session's transport is
what an SDK is underneath."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import httpx2

from holdfast.sdk import api
from holdfast.sdk.api import Session

PATH = "http://holdfast.invalid/v1/chat/completions"


def print_line(line: str) -> None:
    """Print it for the parent process, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def body(session: Session, **more: Any) -> dict[str, Any]:
    """A turn."""
    return {"model": session.model, "messages": [{"role": "user", "content": "Where were we?"}], **more}


def turns(session: Session, count: int) -> list[int]:
    """One turn after the other; the status of each."""
    with httpx2.Client(transport=session.transport()) as client:
        return [client.post(PATH, json=body(session)).status_code for _ in range(count)]


def together(session: Session, count: int) -> list[int]:
    """So many turns at once; the status of each."""

    async def all_at_once() -> list[int]:
        async with httpx2.AsyncClient(transport=session.async_transport(), timeout=30) as client:
            return [
                answer.status_code
                for answer in await asyncio.gather(
                    *[client.post(PATH, json=body(session)) for _ in range(count)]
                )
            ]

    return asyncio.run(all_at_once())


def streams(session: Session, count: int) -> list[int]:
    """One streamed answer; every line of it is printed as it comes."""
    with (
        httpx2.Client(transport=session.transport()) as client,
        client.stream("POST", PATH, json=body(session, stream=True)) as answer,
    ):
        for line in answer.iter_lines():
            print_line(line)
        return [answer.status_code]


def main(session_id: str, job: str, count: str, pin: str | None = None) -> None:
    """Resume the session, or create it on the pin; wait for the word to go, do the job."""
    with api.open() as held:
        session = held.session(session_id, pin)
        print_line("ready")
        sys.stdin.readline()
        print_line(
            json.dumps(
                Counter({"turns": turns, "together": together, "streams": streams}[job](session, int(count)))
            )
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
