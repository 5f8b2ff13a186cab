"""A provider on this machine that misbehaves as real ones did. The tour of the README talks to it; Ctrl-C
ends it.

Key one is out of credit after its first answer. Key two is refused once for no reason, with its second
request. Others are unknown."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress

from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status

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
asked: Counter[str | None] = Counter()


def answer(seen: SeenRequest) -> Behaviour:
    """What this request gets, by its key and how often that key was seen."""
    asked[seen.key] += 1
    match seen.key, asked[seen.key]:
        case ("tour-key-number-one", 1) | ("tour-key-number-two", 1 | 3 | 4):
            return ok("Still here.")
        case "tour-key-number-one", _:
            return status(429, {"error": QUOTA})
        case _:
            return status(401, {"error": BAD_KEY})


if __name__ == "__main__":
    with ScriptedProvider(answer, models=["mimo-v2.5-pro"]) as provider:
        print(f"a provider that misbehaves listens at {provider.url}", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
