"""What the decisions cost without any I/O: a request that is answered well, a rotation, picking among many keys, classifying."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import cycle

from holdfast import profiles
from holdfast.core.evidence import Board, Cooldown, Evidence
from holdfast.core.faults import Fault, FaultClass, Reply, Scope
from holdfast.core.flow import flow
from holdfast.core.identity import Dialect, Endpoint, Key, Lane, Provider, ProviderName
from holdfast.core.pool import World, pick
from holdfast.core.steps import Answer, Call, Outcome

from . import classify
from .measure import Figure, figure, in_turn

_NOW = 1_794_900_000.0
_URL = "https://bench.example/v1"
_BROKE = Reply(429, (("content-type", "application/json"),), b'{"error": {"message": "no credit", "type": "insufficient_quota", "code": "insufficient_quota"}}')


def _lane(keys: int) -> Lane:
    name = ProviderName("bench")
    own = tuple(Key(name, f"k{number}", f"env:K{number}") for number in range(keys))
    return Lane.build(Provider(name, (Endpoint(_URL),), own), Dialect.OPENAI_CHAT, "bench-1")


def _known_good() -> Board:
    """Two keys that worked a moment ago: a key that nobody knows is tested under a lease first."""
    return Board(Evidence(label, _URL, _NOW, _NOW) for label in ("k0", "k1"))


def _world(board: Board) -> World:
    profile = profiles.load(None)
    return World(board, lambda key: key.label, lambda _: profile, 0.5)


def _good_answer() -> Callable[[int], None]:
    lane, world = _lane(1), _world(_known_good())

    def work(count: int) -> None:
        now = _NOW
        for _ in range(count):
            going = flow(Call("request", "session", lane), world, now)
            next(going)
            now += 0.5
            _end(going.send, Answer(now, sent_at=now))

    return work


def _rotation() -> Callable[[int], None]:
    lane = _lane(2)

    def work(count: int) -> None:
        for _ in range(count):
            going = flow(Call("request", "session", lane), _world(_known_good()), _NOW)
            next(going)
            going.send(Answer(_NOW, _BROKE, sent_at=_NOW))
            outcome = _end(going.send, Answer(_NOW, sent_at=_NOW))
            assert outcome.connection.key is lane.spares[0]

    return work


def _end(send: Callable[[Answer], object], answer: Answer) -> Outcome:
    try:
        send(answer)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    raise AssertionError("the flow went on after a good answer")


def _pick(cooling: int) -> Callable[[int], None]:
    lane = _lane(20)
    fault = Fault(FaultClass.QUOTA_WINDOW, Scope.ACCOUNT)
    url = lane.connection.endpoint.url
    world = _world(Board(cooldowns=[Cooldown(f"key:k{number}@{url}", _NOW + 60, _NOW, 0, fault) for number in range(cooling)]))
    chosen = lane.connections[cooling]

    def work(count: int) -> None:
        for _ in range(count):
            assert pick(lane, world, _NOW, (), kept_key=None, patience=0.0).connection is chosen

    return work


def _classification() -> Callable[[int], object]:
    rows = [json.loads(line) for line in classify.DATA.read_text("utf-8").splitlines() if line.strip()]

    def work(count: int) -> None:
        following = cycle(rows)
        classify.verdicts([next(following) for _ in range(count)])

    return work


def figures(rounds: int) -> list[Figure]:
    """All of them, in microseconds."""
    samples = in_turn({"good": _good_answer(), "rotation": _rotation(), "pick": _pick(0), "cooling": _pick(10), "classify": _classification()}, 2_000, rounds)
    return [
        figure("core", "a request that is answered well", samples["good"], budget=15.0),
        figure("core", "a request whose first key is out of quota", samples["rotation"]),
        figure("core", "picking the first of 20 keys", samples["pick"]),
        figure("core", "picking the 11th of 20 keys, 10 cooling", samples["cooling"]),
        figure("core", "understanding one recorded bad answer", samples["classify"]),
    ]
