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

from .conftest import TRIAL, Place

LISTS = ("/v1/models", "/model/info")


def working(place: Place, held: Holdfast) -> Session:
    """A session that has had a good answer from the trial's model."""
    ready = place.asks(held)
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


def after_refusal(place: Place, answer: object, times: int = 6) -> tuple[str, tuple[State, str]]:
    """What a program that works hears, and what its record becomes, when calls are answered like this."""
    with place.open() as held:
        session = working(place, held)
        place.gateway.refuse("/v1/chat/completions", *[answer] * times)  # type: ignore[list-item]
        said = (
            refusal(session).body["holdfast"]["class"]
            if isinstance(answer, str)
            else refusal(session).response.headers["holdfast-fault"]
        )
        assert held.provisioning.jobs.settle()
        return said, place_state(held)


def test_row_1_several_programs_burn_one_trial_between_them(place: Place) -> None:
    place.gateway.spoil(TRIAL, slow(0.2))
    with place.open() as one, place.open() as other:
        one.provisioning.jobs.submit("a", lambda: place.asks(one))
        assert isinstance(place.asks(other, patience=10.0), Ready)
        assert one.provisioning.jobs.settle()
    assert place.gateway.minted == 1


def test_row_2_a_store_that_cannot_be_written_burns_no_trial(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.open() as held:
        monkeypatch.setattr(held.engine.store, "save_provision", lambda *_: False)
        assert [place.asks(held) for _ in range(3)] == ["busy"] * 3
    assert place.mints == []


def test_row_3_a_server_slower_than_the_client_is_asked_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.gateway.spoil(TRIAL, slow(5.0))
    with place.open() as held:
        honest = held.provisioning.host.ask
        monkeypatch.setattr(
            held.provisioning.host, "ask", lambda name, question: honest(name, question._replace(seconds=0.2))
        )
        assert [place.asks(held) for _ in range(3)] == ["needs_operator"] * 3
    assert len(place.mints) == 1


def test_row_4_a_limit_is_waited_out_instead_of_being_prolonged(place: Place) -> None:
    place.gateway._signups = [time.time()] * 5
    assert [place.start() for _ in range(4)] == ["refused"] * 4
    assert place.gateway.attempts == 1


def test_row_5_and_6_a_broken_record_is_told_and_neither_crashes_nor_counts_as_none(place: Place) -> None:
    place.start()
    for text in ('{"litellm_token": "sk-', "{}"):
        place.sql("UPDATE provision SET record = ?", text)
        assert place.start() == "quarantined"
    assert place.gateway.minted == 1


def test_row_7_a_list_of_another_shape_is_read_or_told(place: Place) -> None:
    for path in LISTS:
        place.gateway.spoil(path, refusing(200, ["claude-sonnet-4-5", 7, None]))
    ready = place.start(roles={"answer": ["*sonnet*"]})
    assert isinstance(ready, Ready)


@pytest.mark.parametrize("code", [422, 400, 429])
def test_row_8_a_spent_budget_is_a_budget_at_whatever_status(place: Place, code: int) -> None:
    over = _error(code, "budget_exceeded", "ExceededBudget: User=x over budget. Spend=2.0, Budget=2.0")
    assert after_refusal(place, over) == ("quota_exhausted", (State.DEGRADED, "budget"))


def test_row_9_a_gateway_whose_own_key_fails_costs_us_nothing_of_ours(place: Place) -> None:
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
    assert after_refusal(place, upstream) == ("provider_unavailable", (State.VERIFIED, ""))


@pytest.mark.parametrize("code", [400, 401])
def test_row_10_an_expired_key_is_expired_at_whatever_status(place: Place, code: int) -> None:
    expired = _error(code, "expired_key", "Authentication Error - Expired Key.", param="key")
    assert after_refusal(place, expired) == ("auth_expired", (State.DEGRADED, "key_dead"))
    assert place.start(consent=None) == place.start() == "needs_operator"
    assert place.gateway.minted == 1


@pytest.mark.parametrize("code", [401, 403])
def test_row_11_a_model_that_the_key_may_not_use_is_no_dead_key(place: Place, code: int) -> None:
    denied = _error(
        code,
        "key_model_access_denied",
        "key not allowed to access model. This key can only access models=['x']",
        param="model",
    )
    said, (state, reason) = after_refusal(place, denied)
    assert (said, state, reason) == ("not_entitled", State.RESOLVED, "")
    assert (place.record().bound, place.record().missing) == ({"expand": "claude-haiku-4-5"}, ("answer",))


def test_row_12_a_blocked_key_is_told_apart_by_its_words(place: Place) -> None:
    blocked = _error(
        401,
        "auth_error",
        "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
    )
    assert after_refusal(place, blocked) == ("auth_rejected", (State.DEGRADED, "key_dead"))
    assert "Key is blocked" in place.record().told


def test_row_13_a_model_withdrawn_after_it_was_chosen_is_resolved_again_once(place: Place) -> None:
    place.gateway.models["claude-sonnet-4-20250514"] = "chat"
    with place.open() as held:
        session, heard = working(place, held), []
        place.asks(held, on_models=lambda pins: heard.append(str(pins["answer"])))
        heard.clear()
        del place.gateway.models["claude-sonnet-4-5"]
        assert refusal(session).response.headers["holdfast-fault"] == "model_unavailable"
        assert held.provisioning.jobs.settle()
        assert heard == ["trial/claude-sonnet-4-20250514"]
        ready = place.asks(held)
        assert isinstance(ready, Ready)
        session.switch(ready.pin("answer"))
        assert ask(session)
    assert place.gateway.minted == 1


def test_row_14_one_role_of_two_is_told_without_an_empty_name(place: Place) -> None:
    del place.gateway.models["claude-haiku-4-5"]
    heard: list[dict[str, str]] = []
    ready = place.start(on_models=lambda pins: heard.append({role: str(pin) for role, pin in pins.items()}))
    assert isinstance(ready, Ready)
    assert heard == [{"answer": "trial/claude-sonnet-4-5"}]


def test_row_15_another_key_does_not_inherit_the_models_of_the_one_before(place: Place) -> None:
    place.kind = "litellm"
    place.start()
    old = place.record()
    place.gateway.keys.clear()
    place.gateway.models = {"claude-sonnet-5": "chat", "claude-haiku-5": "chat"}
    place.change(roles=old.roles)
    with place.open() as held:
        record = held.engine.store.provision("trial")
        assert record is not None
        held.provisioning.runner.change(record, lambda one, now: one.to(State.DEGRADED, now, "key_dead"))
        ready = place.asks(held)
        assert isinstance(ready, Ready)
        assert str(ready.pin("answer")) == "trial/claude-sonnet-5"
        assert held.config.providers[ready.name].models == ("claude-sonnet-5", "claude-haiku-5")
    assert place.record().epoch == old.epoch + 1


def test_row_16_a_key_that_may_use_no_model_is_told_apart_from_a_list_that_could_not_be_had(
    place: Place,
) -> None:
    empty, away = status(200, {"data": []}), status(503, "away")
    for path in LISTS:
        place.gateway.refuse(path, empty, away)
    assert place.start() == "model_unresolved"
    assert (place.record().state, place.record().reason) == (State.UNRESOLVABLE, "no_model_allowed")
    place.change()
    place.start()
    assert place.record().reason in ("list_unreachable", "no_model_allowed")


def test_row_17_an_address_with_a_path_is_an_address(place: Place) -> None:
    honest = place.gateway._trial

    def with_path(seen: SeenRequest) -> object:
        place.gateway.root = f"{place.provider.root}/v1/chat/completions"
        return honest(seen)

    place.gateway._trial = with_path  # type: ignore[method-assign, assignment]
    with place.open() as held:
        assert ask(working(place, held)) == ok().text
    assert place.record().url == place.provider.root
