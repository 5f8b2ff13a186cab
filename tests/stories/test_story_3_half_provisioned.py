"""Story 3: half-provisioned credentials.

What was reported: a program obtained a trial key, stored token and URL, and then the model list failed. The
record looked valid for ever: a dated default model was sent and refused with 400, the endpoint answered 200
`{}`, and only a second trial helped. What must be true: a record without a model is not ready, heals with the
key it has, and costs one trial."""

from __future__ import annotations

import httpx2
import pytest

from holdfast.calls.api_calls import list_models
from holdfast.core.errors import IdentityError, NotReady
from holdfast.core.identity import Connection, Dialect, ProviderName
from holdfast.engine.provisioning import Ready
from holdfast.fake_provider import ScriptedProvider, empty, ok, status
from holdfast.fake_provider.control import AmazeePlane, cut, refusing
from holdfast.sdk.api import Holdfast
from stories.faces import library_only
from stories.story import TEXT, WAYS, House, Way, ask, attempts, bad_key, entry, keys_seen, refusal

TRIAL, LISTS = "/auth/generate-trial-access", ("/v1/models", "/model/info")
ROLES = {"answer": ("*sonnet*",), "expand": ("*haiku*",)}


class Program:
    """An application that wants a trial of its own: whatever it knows after a start, it knows from the user's
    files."""

    def __init__(self, house: House) -> None:
        self.house, self.plane = house, AmazeePlane()
        self.plane.lists_openly = False
        self.provider = ScriptedProvider(self.plane, models=None)
        self.plane.root = self.provider.root
        house.providers.append(self.provider)
        house.keys.add(self.plane.value("trial", 1))
        house.write()

    def start(self, consent: str | None = None) -> Ready | str:
        """Ask for the provider, once, in a process of its own: ready, or the reason why not."""
        with self.house.open() as held:
            return self.asks(held, consent)

    def asks(self, held: Holdfast, consent: str | None = None) -> Ready | str:
        try:
            return held.ensure_ready(
                "trial", ROLES, kind="amazee", settings={"url": self.provider.root}, consent=consent
            )
        except NotReady as refused:
            return refused.reason

    def close_lists(self, body: object = None) -> None:
        """Let the next look at the models be refused."""
        for path in LISTS:
            self.plane.spoil(
                path, refusing(403, body or {"detail": "Virtual key is not allowed to call this route."})
            )

    def wait_is_over(self) -> None:
        """What time does to a record."""
        with self.house.open() as held:
            record = held.engine.store.provision("trial")
            assert record is not None
            held.provisioning.runner.change(
                record,
                lambda current, now: current.to(
                    current.state, now, current.reason, current.detail, next_at=0.0
                ),
            )


def test_a_set_up_whose_model_list_fails_heals_with_its_key_and_costs_one_trial(house: House) -> None:
    program = Program(house)
    program.close_lists()
    assert program.start("the user") == "model_unresolved"
    for failure in (
        status(500),
        status(401, bad_key()),
        empty(),
        status(200, {"data": []}),
        status(200, "<html>Sign in</html>"),
    ):
        program.wait_is_over()
        for path in LISTS:
            program.plane.refuse(path, failure)
        assert program.start("the user") in ("model_unresolved", "key_refused")
    assert program.provider.calls == [], "without a model nothing is sent"
    program.wait_is_over()
    ready = program.start()
    assert isinstance(ready, Ready)
    with house.open() as held:
        assert ask(held.session("work", ready.pin("answer")), model="claude-sonnet-4-5") == TEXT
    assert (program.plane.minted, program.plane.attempts) == (1, 1)
    assert {seen.key for seen in program.provider.requests if seen.path.startswith("/v1")} == house.keys
    assert {seen.model for seen in program.provider.calls} == {"claude-sonnet-4-5"}, (
        "no default, dated or otherwise"
    )


@library_only
def test_nothing_is_minted_before_the_user_agreed(house: House) -> None:
    program = Program(house)
    assert {program.start() for _ in range(3)} == {"consent_needed"}
    assert program.provider.requests == []


@library_only
def test_a_trial_whose_answer_was_lost_is_never_asked_for_again(house: House) -> None:
    program = Program(house)
    program.plane.spoil(TRIAL, cut)
    assert program.start("the user") == "needs_operator"
    assert {program.start("the user") for _ in range(3)} == {"needs_operator"}
    assert (program.plane.minted, program.plane.attempts) == (1, 1)


def test_an_unresolved_provider_refuses_a_request_and_heals_beside_it(house: House) -> None:
    program = Program(house)
    program.close_lists()
    program.start("the user")
    program.wait_is_over()
    with house.open() as held:
        session = held.session("work", "trial/claude-sonnet-4-5")
        refused = refusal(session, "claude-sonnet-4-5")
        assert (refused.status_code, refused.body["holdfast"]["reason"]) == (503, "model_unresolved")
        assert held.provisioning.jobs.settle()
        assert ask(session, "claude-sonnet-4-5") == TEXT


@library_only
def test_a_choice_without_a_model_is_refused_before_anything_is_sent(house: House) -> None:
    program = Program(house)
    program.close_lists()
    program.start("the user")
    program.provider.requests.clear()
    with house.open() as held:
        for pin in ("trial", "trial/", "trial/ "):
            with pytest.raises(IdentityError, match="holdfast models"):
                held.session("work", pin)
        assert held.sessions() == []
    assert program.provider.requests == []


@library_only
def test_a_request_that_names_no_model_leaves_with_the_chosen_one(house: House) -> None:
    house.own("a")
    plan = house.provider()
    house.write(entry("plan", plan, "a"))
    with house.open() as held, httpx2.Client(transport=held.session("work", "plan/m1").transport()) as client:
        client.post("http://holdfast.invalid/v1/chat/completions", json={"messages": []})
    assert [seen.model for seen in plan.calls] == ["m1"]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_empty_object_with_status_200_is_a_fault_and_no_answer(house: House, way: Way) -> None:
    house.own("a")
    plan = house.provider(empty())
    house.write(entry("plan", plan, "a"))
    with house.open() as held:
        session = held.session("work", "plan/m1")
        with pytest.raises(way.sdk.InternalServerError, match="may have been processed") as caught:
            way.say(session, max_retries=5)
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert [event.detail.fault and event.detail.fault.cause for event in attempts(session)] == [
            "empty",
            "empty",
        ]
        plan.follow(ok())
        assert way.say(session) == TEXT, "the key is not to blame"
    assert keys_seen(plan) == ["a"] * 3


@library_only
def test_a_failing_model_list_says_nothing_about_the_key(house: House) -> None:
    house.own("a")
    plan = house.provider(
        lambda seen: status(403, bad_key()) if seen.path.endswith("/models") else ok(), models=None
    )
    house.write(entry("plan", plan, "a"))
    with house.open() as held:
        provider = held.config.providers[ProviderName("plan")]
        key = provider.keys[0]
        for _ in range(3):
            assert not isinstance(
                list_models(
                    Connection(provider, Dialect.OPENAI_CHAT, key, "-"), held.engine.vault.secret(key)
                ),
                dict,
            )
        assert ask(held.session("work", "plan/m1")) == TEXT
    assert keys_seen(plan) == ["a"]
