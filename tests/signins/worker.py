"""A process that sends 25 requests at once, on a line of its stdin: `python worker.py HOME REQUESTS`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx2

import holdfast


async def ask_all(session: holdfast.Session, count: int) -> list[int]:
    async with httpx2.AsyncClient(
        transport=session.async_transport(), base_url="http://holdfast.invalid/v1", timeout=60
    ) as client:

        async def ask() -> int:
            return (await client.post("/chat/completions", json={"model": "m", "messages": []})).status_code

        return await asyncio.gather(*(ask() for _ in range(count)))


if __name__ == "__main__":
    with holdfast.open(Path(sys.argv[1])) as hf:
        session = hf.session("s", "corp/m")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        codes = asyncio.run(ask_all(session, int(sys.argv[2])))
        sys.stdout.write(f"{codes.count(200)}\n")
