"""Story 3: half-provisioned credentials (the core's part; the runner that a program starts has tests of its own).

What was reported: a program obtained a trial key, stored token and URL, and then the model list failed. The record looked valid for ever:
a dated default model was sent and refused with 400, the endpoint answered 200 `{}`, and only a second trial helped. What must be true: a
record without a model is not ready, heals with the key it has, and costs one trial.
"""

from __future__ import annotations

import httpx2
import pytest

from holdfast import configfile
from holdfast.core.errors import IdentityError
from holdfast.core.identity import Connection, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.core.provision import Absent, KeyOnly, Ready, State, Step, listed, next_step
from holdfast.core.secret import Secret
from holdfast.http.probe import list_models
from holdfast.runtime import Holdfast
from holdfast.scripted import Behaviour, Seen, empty, ok, status
from stories.told import TEXT, WAYS, House, Way, ask, attempts, bad_key, entry, keys_seen, value_of

TRIAL = ProviderName("trial")


class ControlPlane:
    """Mints a key for every POST to /trial; how it lists models and answers is up to the story."""

    def __init__(self) -> None:
        self.minted, self.listing, self.answer = 0, status(500), ok()

    def __call__(self, seen: Seen) -> Behaviour:
        if seen.path.endswith("/trial"):
            self.minted += 1
            return status(200, {"token": value_of(f"trial{self.minted}")})
        return self.listing if seen.path.endswith("/models") else self.answer


class Program:
    """Sets the provider up, one step per start: whatever it knows, it knows from the user's files."""

    def __init__(self, house: House) -> None:
        self.house, self.plane = house, ControlPlane()
        self.provider = house.provider(self.plane, models=None)
        house.write()

    def start(self, *, consent: bool = True) -> Step:
        """Do what comes next, and end. What was done."""
        with self.house.open() as held:
            state = state_of(held)
            step = next_step(state, consent=consent)
            if step is Step.MINT:
                self._mint(held)
            elif isinstance(state, KeyOnly) and step is Step.LIST_MODELS:
                found = list_models(probed(state), held.engine.vault.secret(state.key))
                after = listed(state, found if isinstance(found, tuple) else None)
                if isinstance(after, Ready):
                    configfile.set_models(held.engine.home, TRIAL, after.provider.models)
            return step

    def _mint(self, held: Holdfast) -> None:
        with httpx2.Client(trust_env=False) as client:
            token = client.post(f"{self.provider.url}/trial").json()["token"]
        self.house.keys.add(token)
        configfile.add_provider(held.engine.home, TRIAL, {"url": self.provider.url, "models": []})
        configfile.add_key(held.engine.home, TRIAL, {"from": "store:minted"}, Secret(token))


def state_of(held: Holdfast) -> State:
    """What the user's files say of the trial."""
    provider = held.config.providers.get(TRIAL)
    if provider is None:
        return Absent(TRIAL)
    return Ready(provider) if provider.models else KeyOnly(provider.endpoints[0], provider.keys[0])


def probed(state: KeyOnly) -> Connection:
    """The connection by which a model list is asked for: it names no model that anybody could mistake for a choice."""
    return Connection(Provider(state.key.provider, (state.endpoint,), (state.key,)), Dialect.OPENAI_CHAT, state.key, "-")


def test_a_set_up_whose_model_list_fails_heals_with_its_key_and_costs_one_trial(house: House) -> None:
    program = Program(house)
    assert program.start() is Step.MINT
    for failure in (status(500), status(401, bad_key()), empty(), status(200, {"data": []}), status(200, "<html>Sign in</html>")):
        program.plane.listing = failure
        assert program.start() is Step.LIST_MODELS
    assert program.provider.calls == [], "without a model nothing is sent"
    program.plane.listing = status(200, {"data": [{"id": "north-1"}]})
    assert program.start() is Step.LIST_MODELS
    assert program.start() is Step.NOTHING
    with house.open() as held:
        assert ask(held.session("work", "trial/north-1"), model="north-1") == TEXT
    assert program.plane.minted == 1
    assert {seen.key for seen in program.provider.requests if not seen.path.endswith("/trial")} == {value_of("trial1")}
    assert {seen.model for seen in program.provider.calls} == {"north-1"}, "no default, dated or otherwise"


def test_nothing_is_minted_before_the_user_agreed(house: House) -> None:
    program = Program(house)
    assert program.start(consent=False) is Step.ASK_CONSENT
    assert program.provider.requests == []


def test_a_record_with_a_key_never_asks_for_another_trial_whatever_the_consent() -> None:
    key = Key(TRIAL, "minted", "store:minted")
    waiting = KeyOnly(Endpoint("https://trial.example/v1"), key)
    assert {next_step(waiting, consent=consent) for consent in (True, False)} == {Step.LIST_MODELS}
    assert next_step(listed(waiting, ["m"]), consent=True) is Step.NOTHING
    still = listed(waiting, [], "the list was empty")
    assert isinstance(still, KeyOnly)
    assert (still.key, still.why) == (key, "the list was empty")


def test_a_provider_without_a_model_cannot_be_called_ready() -> None:
    for models in (None, ()):
        with pytest.raises(IdentityError, match="no model is known"):
            Ready(Provider(TRIAL, (Endpoint("https://trial.example/v1"),), (), models))


def test_a_choice_without_a_model_is_refused_before_anything_is_sent(house: House) -> None:
    program = Program(house)
    program.start()
    program.provider.requests.clear()
    with house.open() as held:
        for pin in ("trial", "trial/", "trial/ "):
            with pytest.raises(IdentityError, match="holdfast models"):
                held.session("work", pin)
        assert held.sessions() == []
    assert program.provider.requests == []


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
        assert [event.detail["fault"]["cause"] for event in attempts(session)] == ["empty", "empty"]
        plan.follow(ok())
        assert way.say(session) == TEXT, "the key is not to blame"
    assert keys_seen(plan) == ["a"] * 3


def test_a_failing_model_list_says_nothing_about_the_key(house: House) -> None:
    house.own("a")
    plan = house.provider(lambda seen: status(403, bad_key()) if seen.path.endswith("/models") else ok(), models=None)
    house.write(entry("plan", plan, "a"))
    with house.open() as held:
        provider = held.config.providers[ProviderName("plan")]
        key = provider.keys[0]
        for _ in range(3):
            assert not isinstance(list_models(Connection(provider, Dialect.OPENAI_CHAT, key, "-"), held.engine.vault.secret(key)), tuple)
        assert ask(held.session("work", "plan/m1")) == TEXT
    assert keys_seen(plan) == ["a"]
