"""A gateway loads no client of the library at its start: they would take 8 MB more."""

from __future__ import annotations

import subprocess
import sys

CLIENTS = ("httpx2", "httpx", "httpcore2", "anyio", "trio", "h2", "openai", "anthropic")
PROGRAM = f"""
import sys
import holdfast.gateway.process.worker, holdfast.gateway.gateway
import holdfast.engine.opening, holdfast.engine.login
print([name for name in {CLIENTS!r} if name in sys.modules])
"""


def test_a_gateway_starts_without_the_clients_of_the_library() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
