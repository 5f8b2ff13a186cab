"""A token begins only so many sessions in a day, at all gateways together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from holdfast.fake_provider import ScriptedProvider
from holdfast.gateway.begun_sessions import MOST_A_DAY, BegunSessions, begun_sessions
from holdfast.store.memory import MemoryStore
from holdfast.store.token import Token
from holdfast.testing import FakeClock

if TYPE_CHECKING:
    import pytest


def test_all_gateways_count_together_and_each_day_anew() -> None:
    clock = FakeClock(1_764_540_000.0)
    with MemoryStore(clock=clock) as store:
        token, other = Token("t", "", "ci", new_sessions=250), Token("u", "", "laptop")
        gateways = [BegunSessions(SimpleNamespace(store=store)) for _ in range(2)]  # type: ignore[arg-type]

        def begin(gateway: BegunSessions, most: int) -> int:
            for number in range(most):
                if not gateway.may_begin(token):
                    return number
                gateway.begun(token)
            return most

        assert begin(gateways[0], 120) == 120
        clock.advance(5)
        assert begin(gateways[1], 999) == 150, "100 of the other gateway were known, and twenty not yet"
        clock.advance(5)
        assert [begin(gateway, 1) for gateway in reversed(gateways)] == [0, 0]
        assert gateways[0].may_begin(other)
        clock.advance(86400)
        assert begin(gateways[0], 250) == 250
        clock.advance(2 * 86400)
        while store.prune(90):
            pass
        assert store._read("SELECT COUNT(*) FROM begun", {}) == [(0,)]


def test_a_client_that_makes_up_sessions_is_refused_and_those_that_exist_go_on(
    gateway: Any, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = gateway(provider)
    engine = plane.holdfast.engine
    monkeypatch.setattr("holdfast.gateway.begun_sessions.MOST_A_DAY", 2)
    answers = {}
    for name in ("one", "two", "three", "two"):
        body = {"model": "mine/scripted-1", "messages": []}
        status, _, text = plane.post("chat/completions", body, **{"holdfast-session": name})
        answers[name] = status
        if status != 200:
            assert b"too_many_sessions" in text
            assert b"holdfast token new --new-sessions" in text
    assert answers == {"one": 200, "two": 200, "three": 403}
    assert sorted(session.id for session in engine.store.sessions()) == ["one", "two"]
    assert begun_sessions(engine) is begun_sessions(engine)
    assert MOST_A_DAY >= 100_000
