"""A key whose source is silent is neither refused nor blamed: others answer, and else it is waited for."""

from __future__ import annotations

import pytest

from holdfast.core.config import Limits
from holdfast.core.faults import Fault, FaultClass, Phase, Reply
from holdfast.core.identity import Key
from holdfast.core.steps import Outcome, Refresh
from world import BAD_KEY, BROKEN, WRONG, Sim, call, provider, route

ONE = route(provider("mine", "a"))
TWO = route(provider("mine", "a", "b"))
SPARE = route(provider("spare", "s"))
SILENT = Reply(None, body=b"NotRenewed: not now", phase=Phase.UNSENT)
ENDED = Reply(None, body=b"SignInEnded: over", phase=Phase.UNSENT)


def begun(*, speaks: float = 4.0) -> Sim:
    """A world in which key `a` gives nothing in the first seconds."""
    return Sim(silent={"a": 1_000_000.0 + speaks}, unread={"a", "b", "s"})


def silence_of(outcome: Outcome) -> Fault:
    fault = outcome.fault
    assert fault is not None
    assert (fault.kind, fault.phase, fault.sent, fault.terminal) == (
        FaultClass.TRANSIENT,
        Phase.UNSENT,
        False,
        False,
    )
    return fault


def test_a_source_that_speaks_again_within_the_budget_costs_no_request() -> None:
    sim = begun()
    outcome = sim.run(call(ONE), [None])
    assert (outcome.fault, outcome.sends) == (None, 1)
    assert sim.now == pytest.approx(1_000_004.1)
    assert outcome.attempts[0].then == (
        "the source of key 'a' gave a value again; went on with mine/m1 key 'a' at mine.example"
    )
    assert sim.cooled == []


@pytest.mark.parametrize("budget", [0.0, 3.0])
def test_one_that_speaks_too_late_is_told_as_a_silence_with_its_time(budget: float) -> None:
    sim = begun()
    outcome = sim.run(call(ONE, limits=Limits(wait_budget=budget)), [])
    fault = silence_of(outcome)
    assert (fault.retry_after, sim.now, outcome.sends, sim.changes) == (4.0, 1_000_000.0, 0, [])


def test_the_deadline_of_a_call_ends_the_wait() -> None:
    sim = begun()
    silence_of(sim.run(call(ONE, ends=1_000_003.0), []))
    assert sim.run(call(ONE, ends=1_000_030.0), [None]).fault is None


def test_a_spare_key_and_a_fallback_answer_before_anybody_waits() -> None:
    sim = begun()
    assert (sim.run(call(TWO), [None]).fault, sim.labels) == (None, ["b"])
    sim = begun()
    assert (sim.run(call(ONE, SPARE), [None]).fault, sim.labels) == (None, ["s"])
    assert sim.now < 1_000_001


@pytest.mark.parametrize("others", ["missing", "silent", "refused"])
def test_where_nobody_else_answers_the_silent_key_is_waited_for(others: str) -> None:
    sim = begun()
    answers: list[Reply | None] = [None]
    if others == "missing":
        sim.missing |= {"b", "s"}
    elif others == "silent":
        sim.silent |= {"b": 2e6, "s": 2e6}
    else:
        answers = [BAD_KEY, None]
    outcome = sim.run(call(TWO, SPARE), answers)
    assert (outcome.fault, outcome.connection.label) == (None, "a")
    assert sim.labels[-1] == "a"


def test_what_the_user_must_mend_is_told_at_once() -> None:
    sim = begun()
    outcome = sim.run(call(TWO), [WRONG])
    assert outcome.fault is not None
    assert outcome.fault.kind is FaultClass.BAD_REQUEST
    assert sim.now == pytest.approx(1_000_000.1)


def test_a_source_that_is_silent_after_a_refusal_says_nothing_of_the_key() -> None:
    sim = Sim()
    sim.run(call(ONE), [None])
    sim.now += 600
    speaks = sim.now + 4
    sim.silent["a"] = speaks
    outcome = sim.run(call(ONE), [BAD_KEY, None])
    assert (outcome.fault, sim.labels) == (None, ["a", "a", "a"])
    assert sim.now == pytest.approx(speaks + 0.1)
    assert sim.cooled == []


def test_a_refusal_whose_source_stays_silent_is_told_as_a_silence() -> None:
    sim = Sim()
    sim.run(call(ONE), [None])
    sim.silent["a"] = 2e6
    outcome = sim.run(call(ONE), [BAD_KEY])
    silence_of(outcome)
    assert (outcome.sends, sim.cooled) == (1, [])


def test_a_key_that_is_lost_at_its_send_and_silent_leaves_the_other_keys_of_its_endpoint() -> None:
    sim = Sim()
    outcome = sim.run(call(TWO), [SILENT, BROKEN, None])
    assert (outcome.fault, sim.labels) == (None, ["a", "b", "b"])


def test_a_source_that_speaks_and_is_silent_by_turns_ends_with_the_budget() -> None:
    sim = Sim()
    outcome = sim.run(call(ONE, limits=Limits(wait_budget=20.0)), lambda *_: SILENT)
    silence_of(outcome)
    assert len(sim.steps) < 20
    assert [step.patience > 0 for step in sim.steps if isinstance(step, Refresh)] == [True] * 4


def test_a_request_that_cannot_be_repeated_waits_too_as_nothing_of_it_was_sent() -> None:
    sim = begun()
    assert sim.run(call(ONE, replayable=False), [None]).fault is None
    sim = begun()
    assert sim.run(call(ONE, passthrough=True), [None]).fault is None


def test_a_sign_in_that_ends_while_it_is_waited_for_is_told_as_ended() -> None:
    class Ending(Sim):
        def _answer(self, step: object, script: object) -> object:  # type: ignore[override]
            answer = super()._answer(step, script)  # type: ignore[arg-type]
            if isinstance(step, Refresh) and step.patience:
                return answer._replace(reply=ENDED)
            return answer

    outcome = Ending(silent={"a": 2e6}, unread={"a"}).run(call(ONE), [])
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.fault.terminal) == (FaultClass.AUTH_EXPIRED, True)


def test_a_value_that_changes_before_it_can_be_used_is_read_again() -> None:
    class Changing(Sim):
        changes_left = 4

        def fingerprint(self, key: Key) -> str | None:
            if self.changes_left > 0 and any(isinstance(step, Refresh) for step in self.steps):
                self.changes_left -= 1
                return None
            return super().fingerprint(key)

    sim = Changing(unread={"a"})
    assert sim.run(call(ONE), [None]).fault is None
    sim = Changing(unread={"a"})
    sim.changes_left = 10**6
    silence_of(sim.run(call(ONE, limits=Limits(wait_budget=3.0)), []))
    assert len(sim.steps) < 50
