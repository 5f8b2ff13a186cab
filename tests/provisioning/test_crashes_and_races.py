"""kill -9 at every step, several processes at once, late answers: never two keys, never a key lost whose
answer was kept."""

from __future__ import annotations

import json
import threading
from collections import Counter
from signal import SIGKILL

import pytest

from holdfast.core.provisioning_state import State
from holdfast.engine.provisioning import Ready
from holdfast.fake_provider import SeenRequest, status
from holdfast.fake_provider.control import cut, halved, refusing, slow

from .conftest import GENERATE, TRIAL, Rig

# The steps as they are on the disk, in their order; before `sealed` a one-shot key cannot be had again, and
# only its operator decides.
STEPS = ("intent", "answered", "sealed", "kept", "provisioned", "entered", "asked-for-models", "resolved")
LOST = ("intent", "answered")


@pytest.mark.parametrize("step", STEPS)
def test_a_trial_survives_a_kill_at_any_step_and_is_never_asked_for_twice(rig: Rig, step: str) -> None:
    assert rig.killed(step) == -SIGKILL
    again = [rig.start(), rig.start()]
    assert len(rig.mints) == (0 if step == "intent" else 1)
    assert rig.gateway.minted <= 1
    if step in LOST:
        assert again == ["needs_operator"] * 2
        assert rig.record().state is State.AMBIGUOUS
    else:
        assert all(isinstance(result, Ready) for result in again)
        assert [seen.key for seen in rig.provider.requests if seen.path != TRIAL] == [
            "sk-amazee-trial-0001-not-a-real-key"
        ] * len(rig.provider.requests[1:])


@pytest.mark.parametrize("step", ["intent", "answered", "sealed", "kept", "provisioned", "asked-for-models"])
def test_a_key_of_our_own_value_is_always_there_after_a_kill_and_always_one(rig: Rig, step: str) -> None:
    rig.kind = "litellm"
    assert rig.killed(step) == -SIGKILL
    assert isinstance(rig.start(consent=None), Ready), (
        "an intent was agreed to: it is completed, not asked for anew"
    )
    assert (rig.gateway.minted, len(rig.gateway.keys)) == (1, 1)


@pytest.mark.parametrize("kind", ["amazee", "litellm"])
def test_eight_programs_that_ask_four_times_each_get_one_key_between_them(rig: Rig, kind: str) -> None:
    rig.kind = kind
    rig.gateway.spoil(TRIAL if kind == "amazee" else GENERATE, slow(0.3))
    children = [rig.child("calls", count=4, patience=10.0 if number % 2 else 0.0) for number in range(8)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", child.communicate()[1]
    total: Counter[str] = Counter()
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        out, errors = child.communicate(timeout=50)
        assert child.returncode == 0, errors
        total.update(json.loads(out))
    assert (rig.gateway.minted, len(rig.mints)) == (1, 1)
    assert set(total) <= {"ready", "busy"}
    assert total["ready"] >= 16, "who waits, gets it"


@pytest.mark.parametrize(
    ("spoiler", "reason"),
    [
        (cut, "needs_operator"),
        (halved, "needs_operator"),
        (refusing(502), "needs_operator"),
        (refusing(408), "needs_operator"),
    ],
)
def test_a_trial_of_unknown_outcome_is_left_to_its_operator(rig: Rig, spoiler: object, reason: str) -> None:
    rig.gateway.spoil(TRIAL, spoiler)  # type: ignore[arg-type]
    assert [rig.start() for _ in range(3)] == [reason] * 3
    assert (rig.gateway.minted, rig.gateway.attempts) == (1, 1)


@pytest.mark.parametrize("spoiler", [cut, halved, refusing(500), refusing(429)])
def test_a_key_of_our_own_value_is_asked_for_again_by_the_same_intent(rig: Rig, spoiler: object) -> None:
    rig.kind = "litellm"
    rig.gateway.spoil(GENERATE, spoiler)  # type: ignore[arg-type]
    first = rig.start()
    assert isinstance(first, str)
    rig.change()
    ready = rig.start(consent=None if first == "mint_unknown" else "a test")
    assert isinstance(ready, Ready)
    assert len(rig.gateway.keys) == (1 if first == "mint_unknown" else 2), (
        "after a refusal it is another intent"
    )


def test_an_answer_that_comes_late_is_taken_although_its_lease_went_to_another(rig: Rig) -> None:
    """The first program still waits while a second one finds the abandoned-looking intent and calls it
    ambiguous."""
    asked, go_on = threading.Event(), threading.Event()
    honest = rig.gateway._trial

    def waiting(seen: SeenRequest) -> object:
        asked.set()
        return honest(seen)

    rig.gateway._trial = waiting  # type: ignore[method-assign, assignment]
    with rig.open() as first, rig.open() as second:

        def pause(step: str, _: object) -> None:
            if step == "answered":
                assert go_on.wait(10)

        first.provisioning.host.on_step(pause)
        got: list[Ready | str] = []
        thread = threading.Thread(target=lambda: got.append(rig.asks(first)))
        thread.start()
        assert asked.wait(10)
        rig.leases_end()
        assert rig.asks(second) == "needs_operator"
        go_on.set()
        thread.join(20)
        assert isinstance(got[0], Ready)
        assert isinstance(rig.asks(second, consent=None), Ready)
    assert rig.gateway.minted == 1


def test_a_limit_is_waited_out_across_restarts(rig: Rig) -> None:
    rig.gateway.refuse(TRIAL, status(429, {"detail": "Too many trial accounts"}))
    assert [rig.start() for _ in range(4)] == ["refused"] * 4
    record = rig.record()
    assert (len(rig.mints), record.state, record.minted) == (1, State.ABSENT, 0)
    assert record.next_at - record.since >= 3600, "every attempt counts there, also a refused one"
    rig.change()
    assert isinstance(rig.start(), Ready)


def test_a_service_that_cannot_be_reached_has_made_nothing(rig: Rig) -> None:
    rig.provider.close()
    assert rig.start() == "refused"
    assert (rig.record().state, rig.record().minted) == (State.ABSENT, 0)
