"""The seventeen measured or read defects of scolta 1.0.1 (tag1consulting/scolta-python), each with what
becomes of it here.

scolta is where story 3 was reported: a search module that obtained an Amazee trial by itself. A row that
other tests show in full is shown here once more in short, so that the list can be read as a list."""

from __future__ import annotations

import time

import pytest

from holdfast.core.provisioning_state import State
from holdfast.engine.provisioning import Ready
from holdfast.fake_provider import SeenRequest, ok, status
from holdfast.fake_provider.control import _error, refusing, slow
from holdfast.sdk.api import Holdfast, Session
from stories.story import ask, refusal

from .conftest import TRIAL, Rig

LISTS = ("/v1/models", "/model/info")


def working(rig: Rig, held: Holdfast) -> Session:
    """A session that has had a good answer from the trial's model."""
    ready = rig.asks(held)
    assert isinstance(ready, Ready)
    session = held.session("search", ready.pin("answer"))
    ask(session)
    assert held.provisioning.jobs.settle()
    assert place_state(held) == (State.VERIFIED, "")
    return session


def place_state(held: Holdfast) -> tuple[State, str]:
    record = held.engine.store.provision("trial")
    assert record is not None
    return record.state, record.reason


def after_refusal(rig: Rig, answer: object, times: int = 6) -> tuple[str, tuple[State, str]]:
    """What a program that works hears, and what its record becomes, when calls are answered like this."""
    with rig.open() as held:
        session = working(rig, held)
        rig.gateway.refuse("/v1/chat/completions", *[answer] * times)  # type: ignore[list-item]
        fault = (
            refusal(session).body["holdfast"]["class"]
            if isinstance(answer, str)
            else refusal(session).response.headers["holdfast-fault"]
        )
        assert held.provisioning.jobs.settle()
        return fault, place_state(held)


def test_row_1_several_programs_burn_one_trial_between_them(rig: Rig) -> None:
    rig.gateway.spoil(TRIAL, slow(0.2))
    with rig.open() as first, rig.open() as other:
        first.provisioning.jobs.submit("a", lambda: rig.asks(first))
        assert isinstance(rig.asks(other, patience=10.0), Ready)
        assert first.provisioning.jobs.settle()
    assert rig.gateway.minted == 1


def test_row_2_a_store_that_cannot_be_written_burns_no_trial(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig.open() as held:
        monkeypatch.setattr(held.engine.store, "save_provision", lambda *_: False)
        assert [rig.asks(held) for _ in range(3)] == ["busy"] * 3
    assert rig.mints == []


def test_row_3_a_server_slower_than_the_client_is_asked_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.gateway.spoil(TRIAL, slow(5.0))
    with rig.open() as held:
        honest = held.provisioning.host.ask
        monkeypatch.setattr(
            held.provisioning.host, "ask", lambda name, question: honest(name, question._replace(seconds=0.2))
        )
        assert [rig.asks(held) for _ in range(3)] == ["needs_operator"] * 3
    assert len(rig.mints) == 1


def test_row_4_a_limit_is_waited_out_instead_of_being_prolonged(rig: Rig) -> None:
    rig.gateway._signups = [time.time()] * 5
    assert [rig.start() for _ in range(4)] == ["refused"] * 4
    assert rig.gateway.attempts == 1


def test_row_5_and_6_a_broken_record_is_reported_and_neither_crashes_nor_counts_as_none(rig: Rig) -> None:
    rig.start()
    for text in ('{"litellm_token": "sk-', "{}"):
        rig.sql("UPDATE provision SET record = ?", text)
        assert rig.start() == "quarantined"
    assert rig.gateway.minted == 1


def test_row_7_a_list_of_another_shape_is_read_or_reported(rig: Rig) -> None:
    for path in LISTS:
        rig.gateway.spoil(path, refusing(200, ["claude-sonnet-4-5", 7, None]))
    ready = rig.start(roles={"answer": ["*sonnet*"]})
    assert isinstance(ready, Ready)


@pytest.mark.parametrize("code", [422, 400, 429])
def test_row_8_a_spent_budget_is_a_budget_at_whatever_status(rig: Rig, code: int) -> None:
    over = _error(code, "budget_exceeded", "ExceededBudget: User=x over budget. Spend=2.0, Budget=2.0")
    assert after_refusal(rig, over) == ("quota_exhausted", (State.DEGRADED, "budget"))


def test_row_9_a_gateway_whose_own_key_fails_costs_us_nothing_of_ours(rig: Rig) -> None:
    headers = {"x-litellm-call-id": "c1", "content-type": "application/json"}
    upstream = status(
        401,
        {
            "error": {
                "message": "litellm.AuthenticationError: OpenAIException - Incorrect API key",
                "type": "authentication_error",
            }
        },
        headers,
    )
    assert after_refusal(rig, upstream) == ("provider_unavailable", (State.VERIFIED, ""))


@pytest.mark.parametrize("code", [400, 401])
def test_row_10_an_expired_key_is_expired_at_whatever_status(rig: Rig, code: int) -> None:
    expired = _error(code, "expired_key", "Authentication Error - Expired Key.", param="key")
    assert after_refusal(rig, expired) == ("auth_expired", (State.DEGRADED, "key_dead"))
    assert rig.start(consent=None) == rig.start() == "needs_operator"
    assert rig.gateway.minted == 1


@pytest.mark.parametrize("code", [401, 403])
def test_row_11_a_model_that_the_key_may_not_use_is_no_dead_key(rig: Rig, code: int) -> None:
    denied = _error(
        code,
        "key_model_access_denied",
        "key not allowed to access model. This key can only access models=['x']",
        param="model",
    )
    fault, (state, reason) = after_refusal(rig, denied)
    assert (fault, state, reason) == ("not_entitled", State.RESOLVED, "")
    assert (rig.record().bound, rig.record().missing) == ({"expand": "claude-haiku-4-5"}, ("answer",))


def test_row_12_a_blocked_key_is_recognised_by_its_words(rig: Rig) -> None:
    blocked = _error(
        401,
        "auth_error",
        "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
    )
    assert after_refusal(rig, blocked) == ("auth_rejected", (State.DEGRADED, "key_dead"))
    detail = rig.record().detail
    assert "Key is blocked" in detail


def test_row_13_a_model_withdrawn_after_it_was_chosen_is_resolved_again_once(rig: Rig) -> None:
    rig.gateway.models["claude-sonnet-4-20250514"] = "chat"
    with rig.open() as held:
        session, heard = working(rig, held), []
        rig.asks(held, on_models=lambda pins: heard.append(str(pins["answer"])))
        heard.clear()
        del rig.gateway.models["claude-sonnet-4-5"]
        assert refusal(session).response.headers["holdfast-fault"] == "model_unavailable"
        assert held.provisioning.jobs.settle()
        assert heard == ["trial/claude-sonnet-4-20250514"]
        ready = rig.asks(held)
        assert isinstance(ready, Ready)
        session.switch(ready.pin("answer"))
        assert ask(session)
    assert rig.gateway.minted == 1


def test_row_14_one_role_of_two_is_reported_without_an_empty_name(rig: Rig) -> None:
    del rig.gateway.models["claude-haiku-4-5"]
    heard: list[dict[str, str]] = []
    ready = rig.start(on_models=lambda pins: heard.append({role: str(pin) for role, pin in pins.items()}))
    assert isinstance(ready, Ready)
    assert heard == [{"answer": "trial/claude-sonnet-4-5"}]


def test_row_15_another_key_does_not_inherit_the_models_of_the_one_before(rig: Rig) -> None:
    rig.kind = "litellm"
    rig.start()
    old = rig.record()
    rig.gateway.keys.clear()
    rig.gateway.models = {"claude-sonnet-5": "chat", "claude-haiku-5": "chat"}
    rig.change(roles=old.roles)
    with rig.open() as held:
        record = held.engine.store.provision("trial")
        assert record is not None
        held.provisioning.runner.change(
            record, lambda current, now: current.to(State.DEGRADED, now, "key_dead")
        )
        ready = rig.asks(held)
        assert isinstance(ready, Ready)
        assert str(ready.pin("answer")) == "trial/claude-sonnet-5"
        assert held.config.providers[ready.name].models == ("claude-sonnet-5", "claude-haiku-5")
    assert rig.record().epoch == old.epoch + 1


def test_row_16_a_key_that_may_use_no_model_differs_from_a_list_that_could_not_be_had(
    rig: Rig,
) -> None:
    empty, away = status(200, {"data": []}), status(503, "away")
    for path in LISTS:
        rig.gateway.refuse(path, empty, away)
    assert rig.start() == "model_unresolved"
    assert (rig.record().state, rig.record().reason) == (State.UNRESOLVABLE, "no_model_allowed")
    rig.change()
    rig.start()
    assert rig.record().reason in ("list_unreachable", "no_model_allowed")


def test_row_17_an_address_with_a_path_is_an_address(rig: Rig) -> None:
    honest = rig.gateway._trial

    def with_path(seen: SeenRequest) -> object:
        rig.gateway.root = f"{rig.provider.root}/v1/chat/completions"
        return honest(seen)

    rig.gateway._trial = with_path  # type: ignore[method-assign, assignment]
    with rig.open() as held:
        assert ask(working(rig, held)) == ok().text
    assert rig.record().url == rig.provider.root
