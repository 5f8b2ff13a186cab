"""Run a provider on this machine that misbehaves as real ones did, for docs/guides/tour.md. Ctrl-C ends it.

Key one has no credit left after its first answer. Key two is rejected once without a reason, with its second
request. Other keys are unknown, and so are other paths than that of openai-chat.

python examples/provider.py [--port PORT]     port 41017 unless you name another; 0 takes a free one
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections import Counter
from contextlib import suppress

from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status, wrong_door

QUOTA = {
    "message": "You exceeded your current quota, please check your plan and billing details.",
    "type": "insufficient_quota",
    "code": "insufficient_quota",
}
BAD_KEY = {
    "message": "Incorrect API key provided",
    "type": "invalid_request_error",
    "code": "invalid_api_key",
}
PORT = 41017
"""The port that the tour shows."""
asked: Counter[str | None] = Counter()


def answer(seen: SeenRequest) -> Behaviour:
    """Answer by the key, and by how often that key was seen."""
    if not seen.path.endswith("/chat/completions"):
        return wrong_door()
    asked[seen.key] += 1
    match seen.key, asked[seen.key]:
        case ("tour-key-number-one", 1) | ("tour-key-number-two", 1 | 3 | 4):
            return ok("Still here.")
        case "tour-key-number-one", _:
            return status(429, {"error": QUOTA})
        case _:
            return status(401, {"error": BAD_KEY})


def main() -> int:
    """Serve until Ctrl-C. Return 1 when the port is in use."""
    parser = argparse.ArgumentParser(description="A provider that misbehaves, for the tour.")
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0 takes a free port")
    port = parser.parse_args().port
    try:
        provider = ScriptedProvider(answer, models=["mimo-v2.5-pro"], port=port)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        print(f"Cannot listen on port {port}: {reason}. Choose another with --port.", file=sys.stderr)
        return 1
    with provider, suppress(KeyboardInterrupt):
        print(f"A provider that misbehaves listens at {provider.url}", flush=True)
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
