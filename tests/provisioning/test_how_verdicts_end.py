"""Every verdict ends: models that were withdrawn return, no wait outlasts a clock that was wrong, and a good
call ends what it disproves."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from holdfast.core.errors import NotReady
from holdfast.core.provisioning_state import State
from holdfast.engine.provisioning import Ready
from holdfast.fake_provider import status
from holdfast.sdk.api import NOWHERE, Holdfast
from stories.story import ask, refusal

from .conftest import TRIAL, Rig

SONNET, OLDER = "claude-sonnet-4-5", "claude-sonnet-4-20250514"
LISTS = ("/v1/models", "/model/info")
YEAR = 365 * 86400.0


def ready(rig: Rig, held: Holdfast, **more: Any) -> Ready:
    result = rig.asks(held, **more)
    assert isinstance(result, Ready), result
    return result


def withdraw(rig: Rig, held: Holdfast, model: str) -> None:
    """Take a model from the service, and let a session learn it."""
    rig.gateway.models.pop(model)
    session = held.session(f"work-{model}", f"trial/{model}")
    assert refusal(session).response.headers["holdfast-fault"] == "model_unavailable"
    assert held.provisioning.jobs.settle()


@pytest.mark.parametrize("kind", ["litellm", "amazee"])
def test_a_model_that_is_listed_again_gets_its_role_back(rig: Rig, kind: str) -> None:
    rig.kind = kind
    with rig.open() as held:
        pin = ready(rig, held).pin("answer")
        withdraw(rig, held, SONNET)
        assert "answer" not in ready(rig, held, consent=None).pins
        rig.gateway.models[SONNET] = "chat"
        rig.change()
        assert ready(rig, held, consent=None).pin("answer") == pin
        assert ask(held.session("after", pin))
    record = rig.record()
    assert (record.state, record.gone, record.missing) == (State.VERIFIED, {}, ())


def test_the_only_model_of_a_provider_returns_as_well(rig: Rig) -> None:
    rig.kind = "litellm"
    roles = {"answer": ["*sonnet*"]}
    rig.gateway.models = {SONNET: "chat"}
    with rig.open() as held:
        ready(rig, held, roles=roles)
        withdraw(rig, held, SONNET)
        assert rig.asks(held, None, roles=roles) == "model_withdrawn"
        rig.gateway.models[SONNET] = "chat"
        rig.change()
        assert ready(rig, held, consent=None, roles=roles).pin("answer").model == SONNET


def test_models_that_come_and_go_leave_those_that_are_listed(rig: Rig) -> None:
    rig.kind = "litellm"
    rig.gateway.models[OLDER] = "chat"
    with rig.open() as held:
        for _ in range(3):
            model = ready(rig, held).pin("answer").model
            withdraw(rig, held, model)
            rig.gateway.models[model] = "chat"
            rig.change()
        assert ready(rig, held).pin("answer").model in (SONNET, OLDER)
        assert rig.gateway.models.keys() >= set(rig.record().models)


@pytest.mark.parametrize(("seconds", "back"), [(10, False), (3601, True), (-YEAR, True)])
def test_a_model_that_is_listed_all_the_while_is_tried_again_after_an_hour(
    rig: Rig, seconds: float, back: bool
) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        ready(rig, held)
        kept = rig.gateway.models.copy()
        missing = status(400, {"error": {"message": f"Invalid model name passed in model={SONNET}"}})
        rig.gateway.refuse("/v1/chat/completions", missing)
        assert refusal(held.session("work", f"trial/{SONNET}")).response.headers["holdfast-fault"]
        assert held.provisioning.jobs.settle()
        assert "answer" not in ready(rig, held, consent=None).pins
        rig.change(gone={SONNET: held.engine.store.now() - seconds})
        assert ("answer" in ready(rig, held, consent=None).pins) is back
        assert rig.gateway.models == kept


def test_a_good_answer_of_a_withdrawn_model_ends_that_at_once(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        pin = ready(rig, held).pin("answer")
        record = rig.record()
        lost = {"bound": {"expand": record.bound["expand"]}, "gone": {SONNET: held.engine.store.now()}}
        rig.change(**lost, next_at=held.engine.store.now() + 600)
        record = rig.record()
        after = held.provisioning.watch.learn(record, SONNET, None)
        assert (after.gone, after.next_at) == ({}, 0.0)
        assert held.provisioning.heal(after).bound["answer"] == pin.model


@pytest.mark.parametrize(("what", "ahead"), [("list", YEAR), ("mint", YEAR), ("mint", 3 * 86400.0)])
def test_a_clock_that_was_ahead_binds_nothing_when_it_is_right_again(
    rig: Rig, what: str, ahead: float
) -> None:
    if what == "list":
        for path in LISTS:
            rig.gateway.refuse(path, status(503))
    else:
        rig.gateway.refuse(TRIAL, status(403, {"detail": "no"}))
    with rig.open() as held:
        refused = rig.asks(held)
        assert refused == ("model_unresolved" if what == "list" else "refused")
        now = held.engine.store.now()
        rig.change(next_at=now + ahead + 30, since=now + ahead)
        assert isinstance(rig.asks(held), Ready)


def test_a_clock_that_was_an_hour_ahead_is_seen_by_the_time_of_the_refusal(rig: Rig) -> None:
    rig.gateway.refuse(TRIAL, status(403, {"detail": "no"}))
    with rig.open() as held:
        assert rig.asks(held) == "refused"
        now = held.engine.store.now()
        rig.change(next_at=now + 3660, since=now + 3600)
        assert isinstance(rig.asks(held), Ready)


def test_operators_ask_for_models_without_waiting_for_the_next_time(rig: Rig) -> None:
    rig.kind = "litellm"
    for path in LISTS:
        rig.gateway.refuse(path, status(503), status(503))
    with rig.open() as held:
        assert rig.asks(held) == "model_unresolved"
        assert rig.asks(held) == "model_unresolved"
        record = rig.record()
        assert held.provisioning.heal(record).state is State.PROVISIONED
        assert held.provisioning.provision(record, "a test").state is State.RESOLVED


def test_a_verified_call_ends_the_cooldowns_that_it_disproves(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held, rig.open() as operator:
        session = held.session("work", ready(rig, held).pin("answer"))
        ask(session)
        (key,) = rig.gateway.keys.values()
        key.budget, key.spent = 1.0, 2.0
        assert refusal(session).response.headers["holdfast-fault"] == "quota_exhausted"
        key.budget = 5.0
        before = len(rig.provider.calls)
        refusal(session)
        assert len(rig.provider.calls) == before, "it is answered from memory"
        assert held.provisioning.jobs.settle()
        assert operator.provisioning.verify(rig.record()).state is State.VERIFIED
        assert ask(session)


def test_a_verified_call_ends_the_cooldown_at_the_providers_other_endpoint_too(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held, rig.open() as operator:
        pin = ready(rig, held).pin("answer")
        session = held.session("work", pin)
        (key,) = rig.gateway.keys.values()
        key.budget, key.spent = 1.0, 2.0
        with httpx2.Client(transport=session.transport(), base_url=f"{NOWHERE}/v1") as client:
            body = {"model": pin.model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
            assert client.post("/messages", json=body).headers["holdfast-fault"] == "quota_exhausted"
        assert held.engine.store.cooldowns()
        key.budget = 5.0
        operator.provisioning.verify(rig.record())
        assert not [
            rest for rest in held.engine.store.cooldowns() if not rest.over(operator.engine.store.now())
        ]


def test_a_key_that_was_blocked_for_a_while_is_tried_again_when_its_rest_is_over(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        session = held.session("work", ready(rig, held).pin("answer"))
        ask(session)
        (key,) = rig.gateway.keys.values()
        key.blocked = True
        assert refusal(session).response.headers["holdfast-fault"] == "auth_rejected"
        assert held.provisioning.jobs.settle()
        assert rig.asks(held, None) == "needs_operator"
        calls, key.blocked = len(rig.provider.calls), False
        assert rig.asks(held, None) == "needs_operator", "it rests"
        rig.sql("UPDATE cooldown SET until = 1, since = 0")
        rig.sql("UPDATE counter SET value = value + 1 WHERE name = 'revision'")
        assert ready(rig, held, consent=None).pin("answer")
        assert len(rig.provider.calls) == calls, "the program's own request is the test"
        assert ask(session)
        assert held.provisioning.jobs.settle()
    assert rig.record().state is State.VERIFIED
    assert rig.gateway.minted == 1


def test_a_provisioned_key_that_was_deleted_is_repaired_by_its_own_command(rig: Rig) -> None:
    rig.kind = "litellm"
    with rig.open() as held:
        session = held.session("work", ready(rig, held).pin("answer"))
        ask(session)
        rig.gateway.keys.clear()
        error = refusal(session).response.json()["error"]
        assert error["holdfast"]["next_step"].endswith(": holdfast provision repair trial")
        assert "key reset" not in error["message"]
        assert "Next: " in session.explain()


def test_a_refusal_says_when_to_ask_again_and_what_else_it_takes(rig: Rig) -> None:
    rig.gateway.refuse(TRIAL, status(429, {"detail": "Too many trial accounts"}))
    with rig.open() as held:
        with pytest.raises(NotReady) as caught:
            held.ensure_ready("trial", kind="amazee", settings=rig.settings, consent="a test")
        assert caught.value.retry_at is not None
        assert caught.value.next_step.startswith("holdfast provision trial --accept   (asked again from 2")
        rig.change()
        ready(rig, held)
        held.provisioning.retire(rig.record())
        with pytest.raises(NotReady) as caught:
            held.ensure_ready("trial", kind="amazee", settings=rig.settings, consent="a test")
        assert caught.value.next_step.startswith(
            "holdfast provision trial --accept --again   (a key was made"
        )
