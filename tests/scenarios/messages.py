"""Every message for every class of fault, as people read it: written to messages.txt by the code, and read by
a person there.

python -m scenarios.messages --write     (in tests/) brings the file up to date; what changed is then read in
the diff"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import world as w
from holdfast.core.changes import NO_KEY, KeySucceeded
from holdfast.core.explain import Explanation, explain
from holdfast.core.faults import FaultClass, Reply
from holdfast.core.identity import Connection, Pin
from holdfast.core.routes import Route
from holdfast.core.steps import Outcome

FILE = Path(__file__).with_name("messages.txt")
C = FaultClass
REPLIES: dict[FaultClass, tuple[Reply, ...]] = {
    C.AUTH_REJECTED: (w.BAD_KEY, w.DELETED),
    C.AUTH_EXPIRED: (w.reply(401, "token_expired", "The token has expired"),),
    C.NOT_ENTITLED: (w.reply(403, "model_not_allowed", "Your plan does not include this model"),),
    C.BLOCKED: (
        w.reply(403, "unsupported_country_region_territory", "Country, region, or territory not supported"),
    ),
    C.QUOTA_EXHAUSTED: (w.BROKE,),
    C.QUOTA_WINDOW: (
        w.reply(429, "usage_limit_reached", "You have reached your 5-hour limit", {"retry-after": "7800"}),
    ),
    C.RATE_LIMITED: (w.reply(429, "rate_limit_exceeded", "Rate limit reached", {"retry-after": "12"}),),
    C.PROVIDER_UNAVAILABLE: (
        w.OVERLOADED,
        w.reply(500, message="litellm.AuthenticationError: OpenAIException - Incorrect API key provided"),
    ),
    C.TRANSIENT: (
        w.BROKEN,
        w.REFUSED_LINE,
        Reply(200, (("content-type", "application/json"),), b"{}"),
        w.MODEL_FAILED,
    ),
    C.MODEL_UNAVAILABLE: (w.NO_MODEL,),
    C.ENDPOINT_MISMATCH: (w.NO_PAGE,),
    C.CONTEXT_OVERFLOW: (w.TOO_LONG,),
    C.CONTENT_BLOCKED: (
        w.reply(400, "content_policy_violation", "Your request was flagged by the safety system"),
    ),
    C.BAD_REQUEST: (w.WRONG,),
    C.UNKNOWN: (w.reply(418, message="I am a teapot"),),
}


class Situation(NamedTuple):
    """Who has which keys, and what is known of them. `again`: the same is asked once more."""

    name: str
    keys: tuple[str, ...]
    worked: bool = False
    fallback: bool = False
    again: bool = False


SITUATIONS = (
    Situation("one key that never worked", ("a",)),
    Situation("one key that worked 4 min ago", ("a",), worked=True),
    Situation("two keys that worked", ("a", "b"), worked=True),
    Situation("two keys that never worked, and a fallback", ("a", "b"), fallback=True),
    Situation("one key that worked; asked once more", ("a",), worked=True, again=True),
    Situation("an endpoint that takes no key", ()),
)


def messages() -> Iterator[tuple[str, Outcome, Explanation]]:
    """Yield each situation with each answer: its title, its outcome, and its explanation."""
    for kind, replies in REPLIES.items():
        for number, reply in enumerate(replies):
            for situation in SITUATIONS:
                outcome, explanation = happened(situation, reply)
                also = f" ({number + 1})" if len(replies) > 1 else ""
                yield f"{kind}{also}: {situation.name}", outcome, explanation
    for situation in SITUATIONS[:1]:
        outcome, explanation = happened(situation, w.BAD_KEY, missing=True)
        yield f"{C.AUTH_REJECTED}: the key's variable is not set", outcome, explanation


def happened(situation: Situation, reply: Reply, *, missing: bool = False) -> tuple[Outcome, Explanation]:
    """One request to a provider that always says this."""
    plan = w.provider("plan", *situation.keys, url="https://plan.example/v1")
    route, sim = w.route(plan), w.Sim(models=("m1-large", "m2"))
    fallbacks: tuple[Route, ...] = (
        (w.route(w.provider("proxy", "c", url="https://proxy.example/v1"), "x/m9"),)
        if situation.fallback
        else ()
    )
    if situation.worked:
        for connection in route.connections:
            sim.health.apply(
                KeySucceeded(
                    sim.fingerprint(connection.key) or NO_KEY if connection.key else NO_KEY,
                    connection.endpoint.url,
                    connection.model,
                    "",
                    sim.now - 240,
                    durable=True,
                )
            )
    if missing:
        sim.missing |= set(situation.keys)
    call = w.call(route, *fallbacks, return_after=600.0)
    for _ in range(1 + situation.again):
        outcome = sim.run(call, lambda send, now: reply)
    return outcome, explanation_of(sim, outcome, route.connection.pin)


def explanation_of(sim: w.Sim, outcome: Outcome, chosen: Pin | None = None) -> Explanation:
    """What is said about an outcome that is a fault."""
    assert outcome.fault is not None
    connection: Connection = outcome.connection
    fingerprint = NO_KEY if connection.key is None else sim.fingerprint(connection.key)
    evidence = sim.health.evidence(fingerprint, connection.endpoint) if fingerprint is not None else None
    shown = "…3f9A" if connection.key is not None else ""
    source = "provider.plan.url, holdfast.toml:3"

    def clock(at: float) -> str:
        minutes = 14 * 60 + 30 + int((at - 1_000_000.0) // 60)
        return f"{minutes // 60 % 24:02}:{minutes % 60:02}" + (
            f" in {minutes // 1440} days" if minutes >= 1440 else ""
        )

    return explain(
        outcome.fault,
        connection,
        outcome.attempts,
        evidence,
        sim.now,
        key_shown=shown,
        source=source,
        session="work",
        chosen=chosen,
        memory_ends=outcome.memory_ends,
        clock=clock,
    )


def text() -> str:
    """The whole file; a message that several situations share is written once."""
    sharing: dict[str, list[str]] = {}
    for title, _, explanation in messages():
        sharing.setdefault(str(explanation), []).append(title)
    return (
        "\n\n".join(
            "\n".join([*(f"## {title}" for title in titles), message]) for message, titles in sharing.items()
        )
        + "\n"
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(text(), "utf-8")
    sys.exit(0 if FILE.exists() and FILE.read_text("utf-8") == text() else 1)
