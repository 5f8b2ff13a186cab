"""The engine between core and drivers: what it gathers, persists, shares with other engines on the same
store, and survives."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.config import Home
from holdfast.core.changes import Evidence
from holdfast.core.config import ModelFacts
from holdfast.core.errors import ConfigError, ConnectionLost, SecretMissing, StoreError
from holdfast.core.faults import Fault, FaultClass, Reply
from holdfast.core.identity import Connection, Pin
from holdfast.core.session import ActiveFallback, Session
from holdfast.core.steps import Answer, Probe, Refresh, Send
from holdfast.credentials import Vault
from holdfast.engine.journal import why
from holdfast.engine.request import RequestRun
from holdfast.engine.state import Engine
from holdfast.store.journal_events import EventKind, RequestRefused
from holdfast.store.sqlite import SqliteStore
from holdfast.values.secret import Secret
from world import BAD_KEY, BROKEN, CHAT, NO_MODEL, OVERLOADED, THROTTLED

CONFIG = """
[provider.mimo]
url = "https://mimo.example/v1"
keys = ["env:MIMO_A", "env:MIMO_B"]
[provider.router]
url = "https://router.example/v1"
keys = ["env:ROUTER"]
[fallback]
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
        self.environ = {
            "MIMO_A": "sk-mimo-a-12345678",
            "MIMO_B": "sk-mimo-b-12345678",
            "ROUTER": "sk-router-12345678",
        }
        self.engines: list[Engine] = []
        self.listed: list[Connection] = []
        self.models: tuple[str, ...] | Reply = ("m1-pro",)
        self.write(CONFIG)

    def write(self, text: str) -> None:
        self.home.config.write_text(text, "utf-8")

    def engine(self) -> Engine:
        def list_models(connection: Connection, secret: Secret | None) -> dict[str, ModelFacts] | Reply:
            self.listed.append(connection)
            if isinstance(self.models, Reply):
                return self.models
            return {model: {} for model in self.models}

        store = SqliteStore(self.home.state / "state.db", clock=lambda: self.now)
        engine = Engine(
            self.home, Vault(self.home.secrets, environ=self.environ), store, list_models, jitter=lambda: 0.0
        )
        self.engines.append(engine)
        if store.session("s1") is None:
            store.save_session(Session("s1", Pin.parse("mimo/m1")), None)
        return engine

    def run(
        self, engine: Engine, *answers: Reply | None, model: str | None = None, body: bytes | None = None
    ) -> RequestRun:
        """Drive one request with scripted answers; each send takes 0.1 s."""
        request_run = engine.start_request("s1", CHAT, model, body=body)
        left = iter(answers)
        while request_run.step is not None:
            if isinstance(request_run.step, Send):
                request_run.secret(request_run.step.connection)
                sent_at = self.now
                self.now += request_run.step.after + 0.1
                request_run.answer(Answer(self.now, next(left), sent_at=sent_at))
            else:
                assert request_run.perform()
        assert next(left, "none left") == "none left"
        engine.journal_writer.changes.flush()
        return request_run


@pytest.fixture
def context(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("holdfast.engine.following._LOOK_EVERY", 0.0)
    made = World(home)
    yield made
    for engine in made.engines:
        engine.close()


def test_a_good_answer_says_who_answered_and_is_in_the_journal(context: World) -> None:
    engine = context.engine()
    request_run = context.run(engine, None)
    assert int(request_run.call.request_id[:8], 16) == int(context.now), (
        "ids begin with the time, so that the journal's index stays in order"
    )
    assert request_run.headers() == {
        "holdfast-request-id": request_run.call.request_id,
        "holdfast-session": "s1",
        "holdfast-pin": "mimo/m1",
        "holdfast-attempts": "1",
        "holdfast-key": "MIMO_A",
    }
    engine.journal_writer.flush()
    assert [event.kind for event in engine.store.journal(session="s1")] == [EventKind.ATTEMPT]
    with pytest.raises(ValueError, match="good answer"):
        request_run.client_error()


@pytest.mark.parametrize(
    ("unset", "answers", "attempts"),
    [
        ((), [None], "1"),
        (("MIMO_A",), [None], "1"),
        (("MIMO_A",), [OVERLOADED, None], "2"),
        (("MIMO_A", "MIMO_B", "ROUTER"), [], "0"),
    ],
    ids=["all keys read", "one key unread", "one key unread, and one send repeated", "no key read"],
)
def test_a_key_that_cannot_be_read_is_no_send(
    context: World, unset: tuple[str, ...], answers: list[Reply | None], attempts: str
) -> None:
    for variable in unset:
        del context.environ[variable]
    assert context.run(context.engine(), *answers).headers()["holdfast-attempts"] == attempts


def test_what_one_engine_learns_the_others_know_before_their_next_request(context: World) -> None:
    first, other = context.engine(), context.engine()
    context.run(first, BAD_KEY, BAD_KEY)
    request_run = context.run(other)
    assert request_run.outcome is not None
    assert request_run.outcome.from_memory
    error = request_run.client_error()
    assert error.status(CHAT) == 401
    assert error.headers["x-should-retry"] == "false"
    assert error.headers["holdfast-fault"] == "auth_rejected"
    assert b"never worked" in error.body(CHAT)
    assert b"sk-mimo" not in error.body(CHAT)


def test_a_refusal_from_memory_is_in_the_journal_and_can_be_explained_afterwards(context: World) -> None:
    engine = context.engine()
    context.run(engine, BAD_KEY, BAD_KEY)
    context.run(engine)
    engine.journal_writer.flush()
    last = engine.store.journal(session="s1")[-1]
    assert last.detail == RequestRefused(FaultClass.AUTH_REJECTED, "MIMO_A", None)
    assert "still applies" in why([last])[0]
    assert "nothing was sent" in engine.explained["s1"]


def test_only_so_many_explanations_are_kept(context: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.engine.explanations._MOST", 2)
    engine = context.engine()
    for session in ("a", "b", "a", "c"):
        engine.remember(session, session)
    assert list(engine.explained) == ["a", "c"]


def test_a_store_that_cannot_be_used_stops_no_request(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = context.engine()
    context.run(engine, None)
    context.now += 10

    def broken(*args: object, **more: object) -> None:
        raise StoreError("database is locked")

    for name in ("revision", "lease", "renew", "release", "save_models", "apply", "record"):
        monkeypatch.setattr(engine.store, name, broken)
    assert context.run(engine, BAD_KEY, BAD_KEY, None).outcome is not None
    assert engine.relist(engine.start_request("s1", CHAT, None).call.route.connection, None) == ("m1-pro",)


def test_an_exchange_that_has_not_ended_gives_no_outcome_away(context: World) -> None:
    request_run = context.engine().start_request("s1", CHAT, None)
    while isinstance(request_run.step, Refresh):
        request_run.perform()
    with pytest.raises(RuntimeError, match="not ended"):
        request_run.headers()
    request_run.abandon()


def test_one_engine_probes_and_the_other_waits_for_its_verdict(context: World) -> None:
    ours, other = context.engine(), context.engine()
    context.run(ours, None)
    context.now += 10

    def refused(engine: Engine) -> RequestRun:
        request_run = engine.start_request("s1", CHAT, None)
        while not isinstance(request_run.step, Probe):
            if isinstance(request_run.step, Send):
                request_run.secret(request_run.step.connection)
                request_run.answer(Answer(context.now, BAD_KEY, sent_at=context.now - 0.1))
            else:
                request_run.perform()
        return request_run

    first, second = refused(ours), refused(other)
    assert first.perform()
    assert isinstance(first.step, Send)
    assert first.step.probe
    assert not second.perform()
    assert not second.perform()
    first.answer(Answer(context.now + 1, None, sent_at=context.now))
    context.now += 1
    assert second.perform()
    assert isinstance(second.step, Send)
    assert not second.step.probe
    second.abandon()


def test_a_prober_that_goes_away_gives_the_lease_back(context: World) -> None:
    engine = context.engine()
    context.run(engine, None)
    context.now += 10
    request_run = engine.start_request("s1", CHAT, None)
    while not (isinstance(request_run.step, Send) and request_run.step.probe):
        if isinstance(request_run.step, Send):
            request_run.secret(request_run.step.connection)
            request_run.answer(Answer(context.now, BAD_KEY, sent_at=context.now))
        else:
            request_run.perform()
    name = f"probe:{engine.fingerprint(request_run.step.connection.key)}@https://mimo.example/v1"  # type: ignore[arg-type]
    assert engine.store.holder(name) is not None
    request_run.abandon()
    engine._soon.flush()
    assert engine.store.holder(name) is None


def test_a_key_replaced_in_its_source_is_used_at_once(context: World) -> None:
    engine = context.engine()
    context.run(engine, BAD_KEY, None)
    context.environ["MIMO_A"] = "sk-mimo-new-123456"
    request_run = context.run(engine, None)
    assert request_run.outcome is not None
    assert request_run.outcome.fault is None


def test_a_variable_that_is_unset_is_reported_with_its_name_and_nothing_is_sent(context: World) -> None:
    engine = context.engine()
    context.environ.clear()
    request_run = context.run(engine)
    body = request_run.client_error().body(CHAT)
    assert b"env:MIMO_B" in body
    assert b"No key was sent" in body


def test_the_configuration_is_read_again_when_the_file_changes(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.engine.config_watch._LOOK_EVERY", 0.0)
    engine = context.engine()
    before = engine.start_request("s1", CHAT, None)
    context.write(CONFIG.replace("https://mimo.example/v1", "https://moved.example/v1"))
    after = engine.start_request("s1", CHAT, None)
    assert [request_run.call.route.connection.endpoint.url for request_run in (before, after)] == [
        "https://mimo.example/v1",
        "https://moved.example/v1",
    ]
    before.abandon()
    after.abandon()


def test_a_request_is_routed_by_one_configuration_even_if_the_file_is_read_again_meanwhile(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = context.engine()
    old = engine.config()
    context.write(CONFIG.replace("https://mimo.example/v1", "https://moved.example/v1"))
    engine.look_again()
    engine.config()
    row = engine.session("s1")
    assert row is not None
    plan = engine.dispatcher.plan(row, old, CHAT, None)
    assert plan.config is old
    assert plan.call.route.connection.endpoint.url == "https://mimo.example/v1"


def test_a_broken_file_is_refused_loudly_and_changes_nothing(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.engine.config_watch._LOOK_EVERY", 0.0)
    engine = context.engine()
    context.write(CONFIG + "\n[provider.custom]\nurl = 'x'\n")
    with pytest.raises(ConfigError, match=r"holdfast.toml:\d+"):
        engine.start_request("s1", CHAT, None)
    context.write(CONFIG)
    assert context.run(engine, None).outcome is not None


@pytest.mark.parametrize("session", ["s2", "s1"])
def test_a_choice_that_no_longer_resolves_is_refused_before_anything_is_sent(
    context: World, monkeypatch: pytest.MonkeyPatch, session: str
) -> None:
    monkeypatch.setattr("holdfast.engine.config_watch._LOOK_EVERY", 0.0)
    engine = context.engine()
    context.write(CONFIG.replace("mimo", "nemo").replace("MIMO", "NEMO"))
    with pytest.raises(ConnectionLost, match="holdfast session"):
        engine.start_request(session, CHAT, None)


def test_a_fallback_answers_under_a_lease_that_every_engine_sees_and_that_ends(context: World) -> None:
    ours, other = context.engine(), context.engine()
    first = context.run(ours, OVERLOADED, OVERLOADED, None)
    assert first.headers()["holdfast-fallback"] == "router/m1"
    row = other.store.session("s1")
    assert row is not None
    assert row.active_fallback == ActiveFallback(
        Pin.parse("router/m1"), "provider_unavailable", pytest.approx(context.now + 600, abs=1)
    )  # type: ignore[arg-type]
    assert row.pin == Pin.parse("mimo/m1")
    assert context.run(other, None).headers()["holdfast-pin"] == "router/m1"
    context.now += 700
    assert context.run(other, None).headers()["holdfast-pin"] == "mimo/m1"
    ours.catch_up()
    kept = ours.session("s1")
    assert kept is not None
    assert kept.active_fallback is None
    other.journal_writer.flush()
    ours.journal_writer.flush()
    kinds = [event.kind for event in ours.store.journal(session="s1")]
    assert EventKind.FELL_BACK in kinds
    assert EventKind.RETURNED in kinds


def test_a_fallback_that_began_before_the_clock_was_set_back_counts_as_ended(context: World) -> None:
    engine = context.engine()
    assert context.run(engine, OVERLOADED, OVERLOADED, None).headers()["holdfast-pin"] == "router/m1"
    context.now -= 86_400
    assert context.run(engine, None).headers()["holdfast-pin"] == "mimo/m1"


def test_the_model_list_is_asked_for_once_in_ten_minutes_and_its_failure_blames_no_key(
    context: World,
) -> None:
    engine = context.engine()
    request_run = context.run(engine, NO_MODEL, None)
    assert request_run.outcome is not None
    assert [c.endpoint.host for c in context.listed] == ["mimo.example"]
    context.environ["MIMO_A"] = "sk-mimo-new-123456"
    connection = request_run.call.route.connection
    assert engine.relist(connection, None) == ("m1-pro",)
    assert len(context.listed) == 1
    context.now += 700
    context.models = Reply(403, body=b"not allowed")
    assert engine.relist(connection, None) == ("m1-pro",)
    assert len(context.listed) == 2
    cooling = engine.health.cooldown(engine.fingerprint(connection.key) or "", connection)  # type: ignore[arg-type]
    assert cooling is not None
    assert not cooling.hard, "the model's verdict, none of the key"


def test_a_plan_key_at_the_pay_as_you_go_host_is_refused_with_the_hosts_of_its_plan(context: World) -> None:
    context.write(
        '[provider.mimo]\nurl = "https://api.xiaomimimo.com/v1"\nkeys = ["env:MIMO_A", "env:PLAN"]\n'
    )
    context.environ["PLAN"] = "tp-plan-key-12345678"
    request_run = context.run(context.engine(), BAD_KEY, BAD_KEY)
    assert request_run.outcome is not None
    first, second = (attempt.fault for attempt in request_run.outcome.attempts)
    plan = "token-plan-cn.xiaomimimo.com or token-plan-sgp.xiaomimimo.com or token-plan-ams.xiaomimimo.com"
    assert (first and first.hint, second and second.hint) == (None, plan)
    assert f"keys like this one belong to {plan}." in str(request_run.explanation())
    assert request_run.explanation().command == "holdfast provider show mimo"


def test_a_plan_key_at_one_of_its_plan_s_hosts_is_not_sent_to_another(context: World) -> None:
    context.write('[provider.mimo]\nurl = "https://token-plan-sgp.xiaomimimo.com/v1"\nkeys = ["env:PLAN"]\n')
    context.environ["PLAN"] = "tp-plan-key-12345678"
    request_run = context.run(context.engine(), BAD_KEY)
    assert request_run.outcome is not None
    assert [attempt.fault and attempt.fault.hint for attempt in request_run.outcome.attempts] == [None]


def test_without_any_earlier_list_a_failing_request_for_it_gives_no_models(context: World) -> None:
    engine = context.engine()
    context.models = Reply(500, body=b"")
    assert engine.relist(engine.start_request("s1", CHAT, None).call.route.connection, None) == ()


def test_a_full_disk_costs_journal_lines_and_no_request(
    context: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = context.engine()

    def full(*args: object, **more: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(engine.store, "apply", full)
    monkeypatch.setattr(engine.store, "record", full)
    for _ in range(3):
        assert context.run(engine, None).outcome is not None
        engine.journal_writer.flush()
    assert caplog.text.count("cannot write the journal") == 1
    throttled = context.run(engine, THROTTLED, THROTTLED, None)
    assert throttled.headers()["holdfast-key"] == "MIMO_B", (
        "a verdict that cannot be stored still holds in this process"
    )


def test_a_cut_stream_and_another_model_are_written_down(context: World) -> None:
    engine = context.engine()
    request_run = context.run(engine, None)
    fault = context.run(engine, BROKEN, BROKEN, None).outcome
    assert fault is not None
    request_run.stream_ended(fault.attempts[0].fault, "other-model")
    request_run.stream_ended(None, "m1-2026-01-01")
    engine.journal_writer.flush()
    kinds = [event.kind for event in engine.store.journal(session="s1")]
    assert kinds.count(EventKind.TRUNCATED) == 1
    assert kinds.count(EventKind.MODEL_DIFFERS) == 1


def test_one_more_success_of_a_good_key_is_stored_once_a_minute(context: World) -> None:
    engine = context.engine()
    context.run(engine, None)
    first = context.now
    assert [evidence.last_ok for evidence in engine.store.evidence()] == [first]
    context.now += 59
    context.run(engine, None)
    assert [evidence.last_ok for evidence in engine.store.evidence()] == [first]
    context.now += 2
    context.run(engine, None)
    assert [evidence.last_ok for evidence in engine.store.evidence()] == [context.now]


def test_what_a_provider_counted_is_written_down(context: World) -> None:
    engine = context.engine()
    for _ in range(2):
        context.run(engine, None).stream_ended(None, "m1", {"input": 12, "output": 34})
    engine.journal_writer.flush()
    journal = engine.store.journal(session="s1")
    assert sorted(event.kind for event in journal) == [
        EventKind.ATTEMPT,
        EventKind.ATTEMPT,
        EventKind.USAGE,
        EventKind.USAGE,
    ]
    assert why(journal)[-1].endswith("the provider counted 12 input, 34 output tokens")
    assert len({event.request for event in journal}) == 2


def test_a_request_for_another_model_changes_nothing_stored(context: World) -> None:
    engine = context.engine()
    request_run = context.run(engine, None, model="router/x")
    assert request_run.headers()["holdfast-pin"] == "router/x"
    row = engine.store.session("s1")
    assert row is not None
    assert (str(row.pin), row.version) == ("mimo/m1", 0)


def test_a_reference_is_read_again_once_for_all_that_failed_together(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CONFIG.replace(
        '"env:MIMO_A", ', "'cmd:sh -c \"echo x >> calls; echo sk-token-$(wc -l < calls)-1234\"', "
    )
    context.write(text)
    monkeypatch.chdir(context.home.config.parent)
    engine = context.engine()
    key = engine.config().providers[Pin.parse("mimo/m").provider].keys[0]
    used = engine.vault.secret(key)
    context.now += 5
    assert engine.read_again(key, used, since=context.now - 1)
    assert engine.read_again(key, used, since=context.now - 1)
    assert Path("calls").read_text().count("x") == 2


def test_every_class_of_fault_can_be_explained(context: World) -> None:
    engine = context.engine()
    connection = engine.start_request("s1", CHAT, None).call.route.connection
    for kind in FaultClass:
        assert "holdfast " in engine.explain(connection, Fault(kind), (), "s1").next_step


def test_an_error_names_the_listed_fallback_that_has_no_key(context: World) -> None:
    text = CONFIG.replace('then = ["router/m1"]', 'then = ["empty/m1"]')
    context.write(text + '\n[provider.empty]\nurl = "https://empty.example/v1"\nkeys = []\n')
    engine = context.engine()
    outcome = context.run(engine, OVERLOADED, OVERLOADED, OVERLOADED).outcome
    assert outcome is not None
    assert outcome.fault is not None
    assert "fallback empty/m1 was not asked: provider 'empty' needs a key" in outcome.attempts[-1].then
    shown = engine.explain(outcome.connection, outcome.fault, outcome.attempts, "s1")
    assert "fallback empty/m1 was not asked" in shown.tried


def test_a_fallback_of_another_pin_never_answers_for_the_sessions_own(context: World) -> None:
    """A request names another pin, which fails, and a fallback of that pin answers: the session stays
    where it is."""
    context.write(CONFIG + '\n[provider.other]\nurl = "https://other.example/v1"\nkeys = ["env:ROUTER"]\n')
    text = context.home.config.read_text("utf-8")
    context.write(text.replace("[fallback]", '[fallback]\n"other/m2" = { then = ["router/m1"] }'))
    engine = context.engine()
    request_run = context.run(engine, OVERLOADED, OVERLOADED, None, model="other/m2")
    assert request_run.outcome is not None
    assert (request_run.outcome.fault, request_run.outcome.active_fallback) == (None, True)
    own = engine.start_request("s1", CHAT, None)
    assert own.call.on_fallback is None
    row = engine.store.session("s1")
    assert row is not None
    assert row.active_fallback is None


def test_a_switch_by_another_process_is_seen_although_what_is_known_of_keys_cannot_be_read(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = context.engine(), context.engine()
    row = ours.session("s1")
    assert row is not None
    other.store.save_session(row.choose(Pin.parse("router/m1"), context.now), row.version)

    def unreadable() -> list[Evidence]:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(ours.store, "evidence", unreadable)
    assert str(ours.start_request("s1", CHAT, None).pin) == "router/m1"


def test_a_store_that_cannot_be_read_costs_near_names_and_not_the_providers_answer(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = context.engine()

    def unreadable(provider: str, url: str) -> None:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(engine.store, "models", unreadable)
    outcome = context.run(engine, NO_MODEL, None).outcome
    assert outcome is not None
    assert context.listed


def test_a_program_that_fails_is_run_once_for_all_that_failed_together(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.write(
        CONFIG.replace(
            '"env:MIMO_A", ',
            "'cmd:sh -c \"echo x >> calls; test $(wc -l < calls) = 1 && echo sk-token-12345678\"', ",
        )
    )
    monkeypatch.chdir(context.home.config.parent)
    engine = context.engine()
    key = engine.config().providers[Pin.parse("mimo/m").provider].keys[0]
    used = engine.vault.secret(key)
    context.now += 5
    for _ in range(3):
        with pytest.raises(SecretMissing):
            engine.read_again(key, used, since=context.now - 1)
    assert Path("calls").read_text().count("x") == 2


def test_a_reading_from_before_a_clock_was_put_right_is_not_the_last_word(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.write(CONFIG.replace('"env:MIMO_A", ', "'cmd:cat key', "))
    monkeypatch.chdir(context.home.config.parent)
    Path("key").write_text("sk-first-12345678")
    engine = context.engine()
    key = engine.config().providers[Pin.parse("mimo/m").provider].keys[0]
    used = engine.vault.secret(key)
    context.now += 365 * 86_400
    assert engine.read_again(key, used, since=context.now - 1) is False
    context.now -= 365 * 86_400 - 10
    Path("key").write_text("sk-second-12345678")
    assert engine.read_again(key, used, since=context.now - 1) is True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_is_not_stopped_by_what_its_parent_was_doing(context: World) -> None:
    engine = context.engine()
    with engine.journal_writer._worker._working, warnings.catch_warnings():
        context.run(engine, None)  # its line stays queued
        warnings.simplefilter("ignore", DeprecationWarning)
        with engine._lock:
            child = os.fork()
        if child == 0:
            context.run(engine, None)
            engine.journal_writer.flush()
            os._exit(len(engine.store.journal(session="s1")))
        lines = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    engine.journal_writer.flush()
    assert lines == 1, "the child writes its own line, and not once more what its parent had queued"
    assert len(engine.store.journal(session="s1")) == 2
