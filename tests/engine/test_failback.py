"""Fail-back from a fallback (openclaw/openclaw#72697, #64083, can1357/oh-my-pi#11795).

One process tests the choice in the background for all, and no user's turn meets a dead provider. While the
machine is offline nothing is concluded. No turn is split between two providers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.test_engine import CONFIG, World
from holdfast.calls.api_calls import Checked
from holdfast.calls.reachability import reachable
from holdfast.core.faults import Phase, Reply
from holdfast.core.identity import Endpoint, Pin
from holdfast.core.session import Session
from holdfast.engine.failback import FailbackMonitor
from holdfast.engine.state import Engine
from holdfast.store.journal_events import EventKind
from world import BAD_KEY, BROKE, OVERLOADED

DEAD = (OVERLOADED, OVERLOADED, None)
LOOP = json.dumps(
    {"messages": [{"role": "user"}, {"role": "assistant"}, {"role": "tool", "content": "3 files"}]}
).encode()
FALLBACK = "router/m1"


class Home:
    """An engine whose session s1 is on its fallback, with a scripted background check."""

    def __init__(self, context: World) -> None:
        self.context, self.engine = context, context.engine()
        self.asked: list[str] = []
        self.answer: object = Checked("m1", 0.1)
        self.online = True
        self.ticks = 0.0
        self.way = self.look_out(self.engine)

    def look_out(self, engine: Engine) -> FailbackMonitor:
        def ask(connection: Any, secret: Any) -> object:
            self.asked.append(f"{connection.pin} {connection.label}")
            return self.answer

        return FailbackMonitor(
            engine,
            check=ask,
            reachable=lambda endpoint: self.online,
            jitter=lambda: 0.0,
            clock=lambda: self.ticks,
        )

    def fall_back(self) -> None:
        assert self.turn(*DEAD) == FALLBACK

    def turn(self, *answers: Reply | None, engine: Engine | None = None, body: bytes | None = None) -> str:
        """One request; the pin that answered it. The background look is over when this returns."""
        request_run = self.context.run(engine or self.engine, *(answers or (None,)), body=body)
        assert self.way.jobs.settle()
        assert request_run.outcome is not None
        return str(request_run.outcome.connection.pin)

    def journalled(self, *kinds: EventKind) -> list[str]:
        """What the journal holds of these kinds."""
        self.engine.journal_writer.flush()
        return [
            f"{event.kind} {event.pin}"
            for event in self.engine.store.journal(session="s1")
            if event.kind in kinds
        ]

    @property
    def row(self) -> Session:
        row = self.engine.store.session("s1")
        assert row is not None
        return row


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(World(tmp_path / "home"))
    made.fall_back()
    return made


def has_ended(row: Session, now: float) -> bool:
    """Whether the time of a session's fallback is over, if it has one."""
    return row.active_fallback is None or row.active_fallback.until <= now


def test_while_the_lease_lasts_no_request_asks_the_choice(home: Home) -> None:
    home.context.now += 500
    assert home.turn() == FALLBACK
    assert home.asked == []


def test_after_the_lease_one_turn_stays_on_its_fallback_and_the_next_returns(home: Home) -> None:
    home.context.now += 601
    assert home.turn() == FALLBACK
    assert home.asked == ["mimo/m1 MIMO_A"]
    assert has_ended(home.row, home.context.now)
    assert home.turn() == "mimo/m1"
    assert (home.row.active_fallback, str(home.row.pin)) == (None, "mimo/m1")
    assert home.journalled(EventKind.ANSWERS_AGAIN, EventKind.RETURNED) == [
        "answers-again mimo/m1",
        "returned mimo/m1",
    ]


def test_in_the_middle_of_a_turn_a_session_stays_where_its_prompt_is_cached(home: Home) -> None:
    home.context.now += 601
    assert [home.turn(body=LOOP) for _ in range(4)] == [FALLBACK] * 4
    assert home.asked == ["mimo/m1 MIMO_A"]
    assert home.journalled(EventKind.FELL_BACK) == ["fell-back router/m1"], "to stay is no new lease"
    again = home.context.engine()
    home.way = home.look_out(again)
    assert home.turn(engine=again, body=LOOP) == FALLBACK, "a restart does not tear the turn apart"
    assert home.turn(body=b'{"messages": [{"role": "user"}]}') == "mimo/m1"
    assert home.turn(body=LOOP) == "mimo/m1", "and the loop of the next turn stays at home"


def test_a_turn_without_an_end_is_waited_for_ten_minutes_and_no_longer(home: Home) -> None:
    home.context.now += 601
    assert home.turn(body=LOOP) == FALLBACK
    home.context.now += 595
    assert home.turn(body=LOOP) == FALLBACK
    home.context.now += 10
    assert home.turn(body=LOOP) == "mimo/m1"


def test_without_the_background_look_a_turn_is_waited_for_as_well(home: Home) -> None:
    home.context.write(CONFIG.replace('return_after = "10m"', 'return_after = "10m", check = false'))
    home.engine.look_again()
    home.context.now += 601
    assert home.turn(body=LOOP) == FALLBACK
    home.context.now += 600
    assert home.turn(body=LOOP) == "mimo/m1"
    assert home.asked == []


def test_a_fallback_that_its_user_took_away_keeps_no_turn(home: Home) -> None:
    home.context.write(
        CONFIG.replace("[fallback]", "[x]").partition("[x]")[0] + "[settings]\nprobe_delays = [0, 0]\n"
    )
    home.engine.look_again()
    home.context.now += 601
    assert home.turn(body=LOOP) == "mimo/m1"
    assert home.row.active_fallback is None


def test_a_fallback_that_fails_in_the_middle_of_a_turn_lets_it_return(home: Home) -> None:
    home.context.now += 601
    home.turn(body=LOOP)
    assert home.turn(OVERLOADED, OVERLOADED, None, body=LOOP) == "mimo/m1"
    assert home.row.active_fallback is None


def test_a_choice_that_is_still_dead_costs_no_turn_and_the_fallback_answers_for_another_lease(
    home: Home,
) -> None:
    home.answer = OVERLOADED
    home.context.now += 601
    assert [home.turn(), home.turn()] == [FALLBACK, FALLBACK]
    assert len(home.asked) == 1
    active_fallback = home.row.active_fallback
    assert active_fallback is not None
    assert (active_fallback.reason, active_fallback.until - home.context.now > 590) == (
        "provider_unavailable",
        True,
    )
    assert str(home.row.pin) == "mimo/m1"


def test_an_offline_machine_concludes_nothing_and_asks_again_half_a_minute_later(home: Home) -> None:
    home.answer, home.online = (
        Reply(None, body=b"ConnectError: no route", phase=Phase.CONNECT, request_written=False),
        False,
    )
    home.context.now += 601
    before = home.row.active_fallback
    assert [home.turn(), home.turn()] == [FALLBACK, FALLBACK]
    assert (home.row.active_fallback, len(home.asked)) == (before, 1)
    home.ticks, home.online, home.answer = 31.0, True, Checked("m1", 0.1)
    assert [home.turn(), home.turn()] == [FALLBACK, "mimo/m1"]


def test_a_choice_that_cannot_be_reached_while_its_fallback_can_is_dead(home: Home) -> None:
    home.answer = Reply(None, body=b"ConnectError: refused", phase=Phase.CONNECT, request_written=False)
    home.context.now += 601
    home.turn()
    assert home.row.active_fallback is not None
    assert home.row.active_fallback.reason == "transient"


def test_keys_that_cool_down_are_not_asked_and_say_why(home: Home) -> None:
    from holdfast.core.changes import Cooldown, CooldownStarted
    from holdfast.core.faults import Fault, FaultClass, Scope

    home.context.now += 601
    fault = Fault(FaultClass.QUOTA_WINDOW, scope=Scope.KEY)
    for key in home.engine.config().providers["mimo"].keys:  # type: ignore[index]
        subject = f"key:{home.engine.fingerprint(key)}@https://mimo.example/v1"
        home.engine.persist(
            [CooldownStarted(Cooldown(subject, home.context.now + 5_000, home.context.now, 0, fault))],
            home.context.now,
        )
    home.engine.catch_up()
    assert home.turn() == FALLBACK
    assert home.asked == []
    assert home.row.active_fallback is not None
    assert home.row.active_fallback.reason == "quota_window"


def test_a_key_that_cannot_be_read_is_not_asked(home: Home) -> None:
    home.context.now += 601
    for label in ("MIMO_A", "MIMO_B"):
        home.context.environ.pop(label)
    assert home.turn() == FALLBACK
    assert home.asked == []
    assert home.row.active_fallback is not None
    assert home.row.active_fallback.reason == "auth_rejected"


def test_all_sessions_of_the_pin_come_home_by_one_look_and_no_other(home: Home) -> None:
    store = home.engine.store
    from holdfast.core.changes import FallbackStarted

    for name, pin, key in (("s2", "mimo/m1", None), ("s3", "mimo/m1", "MIMO_B"), ("s4", "mimo/m2", None)):
        store.save_session(Session(name, Pin.parse(pin), key), None)
        store.apply([FallbackStarted(name, FALLBACK, "transient", home.context.now + 700)], home.context.now)
    home.context.now += 601
    home.turn()
    assert {row.id: has_ended(row, home.context.now) for row in store.sessions()} == {
        "s1": True,
        "s2": True,
        "s3": False,
        "s4": False,
    }
    before = store.sessions()
    home.ticks = 31.0
    home.turn(body=LOOP)
    assert (len(home.asked), store.sessions()) == (1, before), "who may go home is asked for no more"


def test_another_process_asks_nothing_while_one_does_and_a_restart_goes_on(home: Home) -> None:
    home.context.now += 601
    lease = home.engine.store.lease("home:mimo/m1:", "other", 90)
    assert lease is not None
    assert home.turn() == FALLBACK
    assert home.asked == []
    home.engine.store.release(lease)
    again = home.context.engine()
    home.way = home.look_out(again)
    assert home.turn(engine=again) == FALLBACK
    assert home.turn(engine=again) == "mimo/m1"


def test_whoever_comes_back_after_a_second_lease_goes_to_the_choice_itself(home: Home) -> None:
    home.context.now += 1_201
    assert home.turn() == "mimo/m1"
    assert home.asked == []


def test_a_fallback_without_the_background_check_lets_the_next_turn_try_the_choice(home: Home) -> None:
    home.context.write(CONFIG.replace('return_after = "10m"', 'return_after = "10m", check = false'))
    home.engine.look_again()
    home.context.now += 601
    assert home.turn(*DEAD) == FALLBACK
    assert home.asked == []
    home.context.now += 601
    assert home.turn() == "mimo/m1"


@pytest.mark.parametrize("refused", [BAD_KEY, BROKE], ids=["refused key", "empty account"])
def test_a_key_that_is_refused_in_the_background_cools_down_as_after_any_request(
    home: Home, refused: Reply
) -> None:
    home.answer = refused
    home.context.now += 601
    home.turn()
    resting = {cooldown.subject for cooldown in home.engine.store.cooldowns() if cooldown.hard}
    keys = set(home.asked)
    assert len(resting) == len(keys) == 2, "the other key of the choice is asked too, as for any request"


def test_a_place_is_reachable_when_somebody_listens() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert reachable(Endpoint(f"http://127.0.0.1:{port}/v1"))
    assert not reachable(Endpoint(f"http://127.0.0.1:{port}/v1"))
