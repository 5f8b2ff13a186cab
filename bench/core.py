"""The costs of decisions, without any I/O: a request that is answered well, a rotation, the selection among
many keys, the classification of an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import cycle

from holdfast.core.changes import Cooldown, Evidence
from holdfast.core.faults import Fault, FaultClass, Reply, Scope
from holdfast.core.health import HealthRegistry
from holdfast.core.identity import Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.core.key_selection import DecisionContext, select_key
from holdfast.core.request_flow import flow
from holdfast.core.routes import Route
from holdfast.core.steps import Answer, Call, Outcome
from holdfast.providers import profiles

from . import classify
from .measure import Figure, figure, in_turn

_NOW = 1_794_900_000.0
_URL = "https://bench.example/v1"
_NO_CREDIT = Reply(
    429,
    (("content-type", "application/json"),),
    b'{"error": {"message": "no credit", "type": "insufficient_quota", "code": "insufficient_quota"}}',
)


def _route(keys: int) -> Route:
    name = ProviderName("bench")
    own = tuple(Key(name, f"k{number}", f"env:K{number}") for number in range(keys))
    return Route.build(Provider(name, (Endpoint(_URL),), own), Dialect.OPENAI_CHAT, "bench-1")


def _known_good() -> HealthRegistry:
    """Return evidence for two keys that worked just now: a key without any is tested under a lease first."""
    return HealthRegistry(Evidence(label, _URL, _NOW, _NOW) for label in ("k0", "k1"))


def _context(health: HealthRegistry) -> DecisionContext:
    profile = profiles.load(None)
    return DecisionContext(health, lambda key: key.label, lambda _: profile, 0.5)


def _good_answer() -> Callable[[int], None]:
    route, context = _route(1), _context(_known_good())

    def work(count: int) -> None:
        now = _NOW
        for _ in range(count):
            request = flow(Call("request", "session", route), context, now)
            next(request)
            now += 0.5
            _end(request.send, Answer(now, sent_at=now))

    return work


def _rotation() -> Callable[[int], None]:
    route = _route(2)

    def work(count: int) -> None:
        for _ in range(count):
            request = flow(Call("request", "session", route), _context(_known_good()), _NOW)
            next(request)
            request.send(Answer(_NOW, _NO_CREDIT, sent_at=_NOW))
            outcome = _end(request.send, Answer(_NOW, sent_at=_NOW))
            assert outcome.connection.key is route.spares[0]

    return work


def _end(send: Callable[[Answer], object], answer: Answer) -> Outcome:
    try:
        send(answer)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    raise AssertionError("the flow went on after a good answer")


def _pick(cooling: int) -> Callable[[int], None]:
    route = _route(20)
    fault = Fault(FaultClass.QUOTA_WINDOW, Scope.ACCOUNT)
    url = route.connection.endpoint.url
    cooldowns = [
        Cooldown(f"key:k{number}@{url}", until=_NOW + 60, since=_NOW, level=0, fault=fault)
        for number in range(cooling)
    ]
    context = _context(HealthRegistry(cooldowns=cooldowns))
    chosen = route.connections[cooling]

    def work(count: int) -> None:
        for _ in range(count):
            assert select_key(route, context, _NOW, (), kept_key=None, patience=0.0).connection is chosen

    return work


def _classification() -> Callable[[int], object]:
    rows = [json.loads(line) for line in classify.DATA.read_text("utf-8").splitlines() if line.strip()]

    def work(count: int) -> None:
        following = cycle(rows)
        classify.verdicts([next(following) for _ in range(count)])

    return work


def figures(rounds: int) -> list[Figure]:
    """Measure all of them, in microseconds."""
    samples = in_turn(
        {
            "good": _good_answer(),
            "rotation": _rotation(),
            "pick": _pick(0),
            "cooling": _pick(10),
            "classify": _classification(),
        },
        2_000,
        rounds,
    )
    return [
        figure("core", "a request that is answered well", samples["good"], budget=15.0),
        figure("core", "a request whose first key is out of quota", samples["rotation"]),
        figure("core", "picking the first of 20 keys", samples["pick"]),
        figure("core", "picking the 11th of 20 keys, 10 cooling", samples["cooling"]),
        figure("core", "understanding one recorded bad answer", samples["classify"]),
    ]
