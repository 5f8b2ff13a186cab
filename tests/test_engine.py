"""The engine between core and drivers: what it gathers, persists, shares with other engines on the same store, and survives."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.configfile import Home
from holdfast.core.errors import ConfigError, ConnectionLost, SecretMissing, StoreError
from holdfast.core.evidence import Evidence
from holdfast.core.faults import Fault, FaultClass, Reply
from holdfast.core.identity import Connection, Pin
from holdfast.core.secret import Secret
from holdfast.core.session import Session, StandIn
from holdfast.core.steps import Answer, Probe, Refresh, Send
from holdfast.engine import Engine
from holdfast.exchange import Exchange
from holdfast.journal import why
from holdfast.store.events import EventKind
from holdfast.store.sqlite import SqliteStore
from holdfast.vault import Vault
from world import BAD_KEY, BROKEN, CHAT, NO_MODEL, OVERLOADED, THROTTLED

CONFIG = """
[provider.mimo]
url = "https://mimo.example/v1"
keys = ["env:MIMO_A", "env:MIMO_B"]
[provider.router]
url = "https://router.example/v1"
keys = ["env:ROUTER"]
[ladder]
"mimo/m1" = { then = ["router/m1"], return_after = "10m" }
[settings]
probe_delays = [0, 0]
"""


class World:
    """Engines on one home: each is a process of its own, as far as the store knows."""

    def __init__(self, path: Path) -> None:
        self.home = Home.at(path)
        self.home.config.parent.mkdir(mode=0o700, exist_ok=True)
        self.now = 1_000_000.0
        self.environ = {"MIMO_A": "sk-mimo-a-12345678", "MIMO_B": "sk-mimo-b-12345678", "ROUTER": "sk-router-12345678"}
        self.engines: list[Engine] = []
        self.listed: list[Connection] = []
        self.models: tuple[str, ...] | Reply = ("m1-pro",)
        self.write(CONFIG)

    def write(self, text: str) -> None:
        self.home.config.write_text(text, "utf-8")

    def engine(self) -> Engine:
        def list_models(connection: Connection, secret: Secret | None) -> tuple[str, ...] | Reply:
            self.listed.append(connection)
            return self.models

        store = SqliteStore(self.home.state / "state.db", clock=lambda: self.now)
        engine = Engine(self.home, Vault(self.home.secrets, environ=self.environ), store, list_models, roll=lambda: 0.0)
        self.engines.append(engine)
        if store.session("s1") is None:
            store.save_session(Session("s1", Pin.parse("mimo/m1")), None)
        return engine

    def run(self, engine: Engine, *answers: Reply | None, model: str | None = None, body: bytes | None = None) -> Exchange:
        """Drive one request with scripted answers; each send takes 0.1 s."""
        exchange = engine.begin("s1", CHAT, model, body=body)
        left = iter(answers)
        while exchange.step is not None:
            if isinstance(exchange.step, Send):
                exchange.secret(exchange.step.connection)
                sent_at = self.now
                self.now += exchange.step.after + 0.1
                exchange.answer(Answer(self.now, next(left), sent_at=sent_at))
            else:
                assert exchange.perform()
        assert next(left, "none left") == "none left"
        return exchange


@pytest.fixture
def world(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("holdfast.engine._OTHERS_LOOKED_AT_EVERY", 0.0)
    made = World(home)
    yield made
    for engine in made.engines:
        engine.close()


def test_a_good_answer_says_who_answered_and_is_in_the_journal(world: World) -> None:
    engine = world.engine()
    exchange = world.run(engine, None)
    assert int(exchange.call.request_id[:8], 16) == int(world.now), "ids begin with the time, so that the journal's index stays in order"
    assert exchange.headers() == {
        "holdfast-request-id": exchange.call.request_id,
        "holdfast-session": "s1",
        "holdfast-pin": "mimo/m1",
        "holdfast-attempts": "1",
        "holdfast-key": "MIMO_A",
    }
    engine.recorder.flush()
    assert [event.kind for event in engine.store.journal(session="s1")] == [EventKind.ATTEMPT]
    with pytest.raises(ValueError, match="good answer"):
        exchange.explain()


def test_what_one_engine_learns_the_others_know_before_their_next_request(world: World) -> None:
    one, other = world.engine(), world.engine()
    world.run(one, BAD_KEY, BAD_KEY)
    exchange = world.run(other)
    assert exchange.outcome is not None
    assert exchange.outcome.from_memory
    status, headers, body = exchange.explain()
    assert status == 401
    assert headers["x-should-retry"] == "false"
    assert headers["holdfast-fault"] == "auth_rejected"
    assert b"never worked" in body
    assert b"sk-mimo" not in body


def test_a_refusal_from_memory_is_in_the_journal_and_can_be_explained_afterwards(world: World) -> None:
    engine = world.engine()
    world.run(engine, BAD_KEY, BAD_KEY)
    world.run(engine)
    engine.recorder.flush()
    last = engine.store.journal(session="s1")[-1]
    assert (last.kind, last.detail["fault"]) == (EventKind.REFUSED, "auth_rejected")
    assert "remembered" in why([last])[0]
    assert "nothing was sent" in engine.explained["s1"]


def test_only_so_many_explanations_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.engine._MOST_EXPLAINED", 2)
    engine = world.engine()
    for session in ("a", "b", "a", "c"):
        engine.remember(session, session)
    assert list(engine.explained) == ["a", "c"]


def test_a_store_that_cannot_be_used_stops_no_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = world.engine()
    world.run(engine, None)
    world.now += 10

    def broken(*args: object, **more: object) -> None:
        raise StoreError("database is locked")

    for name in ("revision", "lease", "renew", "release", "save_models", "apply", "record"):
        monkeypatch.setattr(engine.store, name, broken)
    assert world.run(engine, BAD_KEY, BAD_KEY, None).outcome is not None
    assert engine.relist(engine.begin("s1", CHAT, None).call.lane.connection, None) == ("m1-pro",)


def test_an_exchange_that_has_not_ended_gives_no_outcome_away(world: World) -> None:
    exchange = world.engine().begin("s1", CHAT, None)
    while isinstance(exchange.step, Refresh):
        exchange.perform()
    with pytest.raises(RuntimeError, match="not ended"):
        exchange.headers()
    exchange.abandon()


def test_one_engine_probes_and_the_other_waits_for_its_verdict(world: World) -> None:
    one, other = world.engine(), world.engine()
    world.run(one, None)
    world.now += 10

    def refused(engine: Engine) -> Exchange:
        exchange = engine.begin("s1", CHAT, None)
        while not isinstance(exchange.step, Probe):
            if isinstance(exchange.step, Send):
                exchange.secret(exchange.step.connection)
                exchange.answer(Answer(world.now, BAD_KEY, sent_at=world.now - 0.1))
            else:
                exchange.perform()
        return exchange

    first, second = refused(one), refused(other)
    assert first.perform()
    assert isinstance(first.step, Send)
    assert first.step.probe
    assert not second.perform()
    assert not second.perform()
    first.answer(Answer(world.now + 1, None, sent_at=world.now))
    world.now += 1
    assert second.perform()
    assert isinstance(second.step, Send)
    assert not second.step.probe
    second.abandon()


def test_a_prober_that_goes_away_gives_the_lease_back(world: World) -> None:
    engine = world.engine()
    world.run(engine, None)
    world.now += 10
    exchange = engine.begin("s1", CHAT, None)
    while not (isinstance(exchange.step, Send) and exchange.step.probe):
        if isinstance(exchange.step, Send):
            exchange.secret(exchange.step.connection)
            exchange.answer(Answer(world.now, BAD_KEY, sent_at=world.now))
        else:
            exchange.perform()
    name = f"probe:{engine.fingerprint(exchange.step.connection.key)}@https://mimo.example/v1"  # type: ignore[arg-type]
    assert engine.store.holder(name) is not None
    exchange.abandon()
    assert engine.store.holder(name) is None


def test_a_key_replaced_in_its_source_is_used_at_once(world: World) -> None:
    engine = world.engine()
    world.run(engine, BAD_KEY, None)
    world.environ["MIMO_A"] = "sk-mimo-new-123456"
    exchange = world.run(engine, None)
    assert exchange.outcome is not None
    assert exchange.outcome.fault is None


def test_a_variable_that_is_unset_is_told_with_its_name_and_nothing_is_sent(world: World) -> None:
    engine = world.engine()
    world.environ.clear()
    exchange = world.run(engine)
    _, _, body = exchange.explain()
    assert b"env:MIMO_B" in body
    assert b"No key was sent" in body


def test_the_configuration_is_read_again_when_the_file_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.engine._CONFIG_LOOKED_AT_EVERY", 0.0)
    engine = world.engine()
    before = engine.begin("s1", CHAT, None)
    world.write(CONFIG.replace("https://mimo.example/v1", "https://moved.example/v1"))
    after = engine.begin("s1", CHAT, None)
    assert [one.call.lane.connection.endpoint.url for one in (before, after)] == ["https://mimo.example/v1", "https://moved.example/v1"]
    before.abandon()
    after.abandon()


def test_a_request_is_routed_by_one_configuration_even_if_the_file_is_read_again_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = world.engine()
    old = engine.config()
    world.write(CONFIG.replace("https://mimo.example/v1", "https://moved.example/v1"))
    engine.look_again()
    engine.config()
    row = engine.session("s1")
    assert row is not None
    route = engine._route(row, old, CHAT, None)
    assert route.config is old
    assert route.call.lane.connection.endpoint.url == "https://mimo.example/v1"


def test_a_broken_file_is_refused_loudly_and_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.engine._CONFIG_LOOKED_AT_EVERY", 0.0)
    engine = world.engine()
    world.write(CONFIG + "\n[provider.custom]\nurl = 'x'\n")
    with pytest.raises(ConfigError, match=r"holdfast.toml:\d+"):
        engine.begin("s1", CHAT, None)
    world.write(CONFIG)
    assert world.run(engine, None).outcome is not None


@pytest.mark.parametrize("session", ["s2", "s1"])
def test_a_choice_that_no_longer_resolves_is_refused_before_anything_is_sent(world: World, monkeypatch: pytest.MonkeyPatch, session: str) -> None:
    monkeypatch.setattr("holdfast.engine._CONFIG_LOOKED_AT_EVERY", 0.0)
    engine = world.engine()
    world.write(CONFIG.replace("mimo", "nemo").replace("MIMO", "NEMO"))
    with pytest.raises(ConnectionLost, match="holdfast session"):
        engine.begin(session, CHAT, None)


def test_a_rung_stands_in_under_a_lease_that_every_engine_sees_and_that_ends(world: World) -> None:
    one, other = world.engine(), world.engine()
    first = world.run(one, OVERLOADED, OVERLOADED, None)
    assert first.headers()["holdfast-stand-in"] == "router/m1"
    row = other.store.session("s1")
    assert row is not None
    assert row.stand_in == StandIn(Pin.parse("router/m1"), "provider_unavailable", pytest.approx(world.now + 600, abs=1))  # type: ignore[arg-type]
    assert row.pin == Pin.parse("mimo/m1")
    assert world.run(other, None).headers()["holdfast-pin"] == "router/m1"
    world.now += 700
    assert world.run(other, None).headers()["holdfast-pin"] == "mimo/m1"
    one.catch_up()
    kept = one.session("s1")
    assert kept is not None
    assert kept.stand_in is None
    other.recorder.flush()
    one.recorder.flush()
    kinds = [event.kind for event in one.store.journal(session="s1")]
    assert EventKind.STOOD_IN in kinds
    assert EventKind.RETURNED in kinds


def test_the_model_list_is_asked_for_once_in_ten_minutes_and_its_failure_blames_no_key(world: World) -> None:
    engine = world.engine()
    exchange = world.run(engine, NO_MODEL, None)
    assert exchange.outcome is not None
    assert [c.endpoint.host for c in world.listed] == ["mimo.example"]
    world.environ["MIMO_A"] = "sk-mimo-new-123456"
    connection = exchange.call.lane.connection
    assert engine.relist(connection, None) == ("m1-pro",)
    assert len(world.listed) == 1
    world.now += 700
    world.models = Reply(403, body=b"not allowed")
    assert engine.relist(connection, None) == ("m1-pro",)
    assert len(world.listed) == 2
    cooling = engine.board.cooldown(engine.fingerprint(connection.key) or "", connection)  # type: ignore[arg-type]
    assert cooling is not None
    assert not cooling.hard, "the model's verdict, none of the key"


def test_a_plan_key_at_the_pay_as_you_go_host_is_told_the_hosts_of_its_plan(world: World) -> None:
    world.write('[provider.mimo]\nurl = "https://api.xiaomimimo.com/v1"\nkeys = ["env:MIMO_A", "env:PLAN"]\n')
    world.environ["PLAN"] = "tp-plan-key-12345678"
    exchange = world.run(world.engine(), BAD_KEY, BAD_KEY)
    assert exchange.outcome is not None
    first, second = (one.fault for one in exchange.outcome.attempts)
    plan = "token-plan-cn.xiaomimimo.com or token-plan-sgp.xiaomimimo.com or token-plan-ams.xiaomimimo.com"
    assert (first and first.hint, second and second.hint) == (None, plan)
    assert f"keys like this one belong to {plan}." in str(exchange.explanation())
    assert exchange.explanation().command == "holdfast provider show mimo"


def test_a_plan_key_at_one_of_its_plan_s_hosts_is_not_sent_to_another(world: World) -> None:
    world.write('[provider.mimo]\nurl = "https://token-plan-sgp.xiaomimimo.com/v1"\nkeys = ["env:PLAN"]\n')
    world.environ["PLAN"] = "tp-plan-key-12345678"
    exchange = world.run(world.engine(), BAD_KEY)
    assert exchange.outcome is not None
    assert [one.fault and one.fault.hint for one in exchange.outcome.attempts] == [None]


def test_without_any_earlier_list_a_failing_side_door_gives_no_models(world: World) -> None:
    engine = world.engine()
    world.models = Reply(500, body=b"")
    assert engine.relist(engine.begin("s1", CHAT, None).call.lane.connection, None) == ()


def test_a_full_disk_costs_journal_lines_and_no_request(world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    engine = world.engine()

    def full(*args: object, **more: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(engine.store, "apply", full)
    monkeypatch.setattr(engine.store, "record", full)
    for _ in range(3):
        assert world.run(engine, None).outcome is not None
        engine.recorder.flush()
    assert caplog.text.count("journal cannot be written") == 1
    throttled = world.run(engine, THROTTLED, THROTTLED, None)
    assert throttled.headers()["holdfast-key"] == "MIMO_B", "a verdict that cannot be stored still holds in this process"


def test_a_cut_stream_and_another_model_are_written_down(world: World) -> None:
    engine = world.engine()
    exchange = world.run(engine, None)
    fault = world.run(engine, BROKEN, BROKEN, None).outcome
    assert fault is not None
    exchange.stream_ended(fault.attempts[0].fault, "other-model")
    exchange.stream_ended(None, "m1-2026-01-01")
    engine.recorder.flush()
    kinds = [event.kind for event in engine.store.journal(session="s1")]
    assert kinds.count(EventKind.TRUNCATED) == 1
    assert kinds.count(EventKind.MODEL_DIFFERS) == 1


def test_news_is_written_before_the_request_ends_and_one_more_success_of_a_good_key_beside_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = world.engine()
    monkeypatch.setattr(engine.recorder, "_start", lambda: None)
    world.run(engine, None)
    first = world.now
    assert [one.last_ok for one in engine.store.evidence()] == [first], "that a key works for the first time is news"
    engine.recorder.flush()
    world.now += 61
    world.run(engine, None)
    assert [one.last_ok for one in engine.store.evidence()] == [first]
    engine.recorder.flush()
    assert [one.last_ok for one in engine.store.evidence()] == [world.now]


def test_what_a_provider_counted_is_written_down(world: World) -> None:
    engine = world.engine()
    for _ in range(2):
        world.run(engine, None).stream_ended(None, "m1", {"input": 12, "output": 34})
    engine.recorder.flush()
    told = engine.store.journal(session="s1")
    assert sorted(event.kind for event in told) == [EventKind.ATTEMPT, EventKind.ATTEMPT, EventKind.USAGE, EventKind.USAGE]
    assert why(told)[-1].endswith("the provider counted 12 input, 34 output tokens")
    assert len({event.request for event in told}) == 2


def test_a_request_for_another_model_changes_nothing_stored(world: World) -> None:
    engine = world.engine()
    exchange = world.run(engine, None, model="router/x")
    assert exchange.headers()["holdfast-pin"] == "router/x"
    row = engine.store.session("s1")
    assert row is not None
    assert (str(row.pin), row.version) == ("mimo/m1", 0)


def test_a_reference_is_read_again_once_for_all_that_failed_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    text = CONFIG.replace('"env:MIMO_A", ', "'cmd:sh -c \"echo x >> calls; echo sk-token-$(wc -l < calls)-1234\"', ")
    world.write(text)
    monkeypatch.chdir(world.home.config.parent)
    engine = world.engine()
    key = engine.config().providers[Pin.parse("mimo/m").provider].keys[0]
    used = engine.vault.secret(key)
    world.now += 5
    assert engine.read_again(key, used, since=world.now - 1)
    assert engine.read_again(key, used, since=world.now - 1)
    assert Path("calls").read_text().count("x") == 2


def test_every_class_of_fault_can_be_explained(world: World) -> None:
    engine = world.engine()
    connection = engine.begin("s1", CHAT, None).call.lane.connection
    for kind in FaultClass:
        assert "holdfast " in engine.explain(connection, Fault(kind), (), "s1").next_step


def test_a_rung_of_another_pin_never_stands_in_for_the_sessions_own(world: World) -> None:
    """A request names another pin, which fails, and a rung of that pin's ladder answers: the session stays where it is."""
    world.write(CONFIG + '\n[provider.other]\nurl = "https://other.example/v1"\nkeys = ["env:ROUTER"]\n')
    text = world.home.config.read_text("utf-8")
    world.write(text.replace("[ladder]", '[ladder]\n"other/m2" = { then = ["router/m1"] }'))
    engine = world.engine()
    exchange = world.run(engine, OVERLOADED, OVERLOADED, None, model="other/m2")
    assert exchange.outcome is not None
    assert (exchange.outcome.fault, exchange.outcome.stand_in) == (None, True)
    own = engine.begin("s1", CHAT, None)
    assert own.call.standing_in is None
    row = engine.store.session("s1")
    assert row is not None
    assert row.stand_in is None


def test_a_switch_by_another_process_is_seen_although_what_is_known_of_keys_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = world.engine(), world.engine()
    row = one.session("s1")
    assert row is not None
    other.store.save_session(row.choose(Pin.parse("router/m1"), world.now), row.version)

    def unreadable() -> list[Evidence]:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(one.store, "evidence", unreadable)
    assert str(one.begin("s1", CHAT, None).pin) == "router/m1"


def test_a_store_that_cannot_be_read_costs_near_names_and_not_the_providers_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = world.engine()

    def unreadable(provider: str, url: str) -> None:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(engine.store, "models", unreadable)
    outcome = world.run(engine, NO_MODEL, None).outcome
    assert outcome is not None
    assert world.listed


def test_a_program_that_fails_is_run_once_for_all_that_failed_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(CONFIG.replace('"env:MIMO_A", ', "'cmd:sh -c \"echo x >> calls; test $(wc -l < calls) = 1 && echo sk-token-12345678\"', "))
    monkeypatch.chdir(world.home.config.parent)
    engine = world.engine()
    key = engine.config().providers[Pin.parse("mimo/m").provider].keys[0]
    used = engine.vault.secret(key)
    world.now += 5
    for _ in range(3):
        with pytest.raises(SecretMissing):
            engine.read_again(key, used, since=world.now - 1)
    assert Path("calls").read_text().count("x") == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_is_not_stopped_by_what_its_parent_was_doing(world: World) -> None:
    engine = world.engine()
    world.run(engine, None)
    with engine.recorder._writing, engine._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            world.run(engine, None)
            engine.recorder.flush()
            os._exit(len(engine.store.journal(session="s1")))
    lines = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    engine.recorder.flush()
    assert lines == 1, "the child writes its own line, and not once more what its parent had queued"
    assert len(engine.store.journal(session="s1")) == 2
