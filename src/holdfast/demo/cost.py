"""The cost of Holdfast: the time of the core's decision on a request that succeeds at once, measured live."""

from __future__ import annotations

import time
from math import inf

from ..core.health import HealthRegistry
from ..core.identity import Dialect
from ..core.key_selection import DecisionContext
from ..core.request_flow import flow
from ..core.steps import Answer, Call
from ..sdk.api import Session
from .resume import SESSION
from .stage import Stage

_REQUESTS = 300
_SECONDS = 0.25


def core_microseconds(stage: Stage) -> float:
    """Return the microseconds of the core for one request on the session's connection, of the best round,
    because other programs run too."""
    engine = stage.hf.engine
    route, fallbacks = engine.routes(Session(stage.hf, SESSION).pin, Dialect.OPENAI_CHAT, None)
    key = route.connection.key
    label = None if key is None else key.label
    call = Call("cost", SESSION, route, fallbacks, kept_key=label)
    fingerprints = {key: engine.fingerprint(key) for key in route.connection.provider.keys}
    context = DecisionContext(
        HealthRegistry(engine.store.evidence()), fingerprints.__getitem__, engine.profile
    )
    now, end, best = engine.store.now(), time.perf_counter() + _SECONDS, inf
    while time.perf_counter() < end:
        best = min(best, _round(call, context, now))
    return best


def _round(call: Call, context: DecisionContext, now: float) -> float:
    began = time.perf_counter()
    for _ in range(_REQUESTS):
        going = flow(call, context, now)
        next(going)
        try:
            going.send(Answer(now, sent_at=now))
        except StopIteration:
            continue
    return (time.perf_counter() - began) / _REQUESTS * 1e6


def measure(stage: Stage) -> None:
    """Show the cost."""
    cost = core_microseconds(stage)
    stage.show.facts["core_microseconds"] = round(cost, 1)
    stage.show.line()
    stage.show.prose(
        f"Cost of all this for a request that succeeds at once: {cost:.1f} µs for the decision, "
        "measured just now."
    )
