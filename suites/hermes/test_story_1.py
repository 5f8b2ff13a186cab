"""Story 1 as hermes-agent 0.19.0 itself plays it (NousResearch/hermes-agent#44070): a plan on a host of its
own, a pool of two keys, and a 429 for the first of them on turn 2. Alone it takes the second key to another
host, where the session dies; through our gateway it goes on.

What counts is what the hosts saw: the plan's, and the one that stands for the vendor's public address.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import real
from test_hermes import answer

from gateway.served import eventually, serving
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, status, wrong_door

A, B = "sk-plan-a-0f1e2d3c4b5a6978", "sk-plan-b-9a8b7c6d5e4f3021"
THROTTLED = status(
    429, {"error": {"message": "Rate limit reached", "type": "rate_limit_error"}}, {"retry-after": "7"}
)
UNKNOWN = status(
    401,
    {
        "error": {
            "message": "Incorrect API key provided",
            "type": "invalid_request_error",
            "code": "invalid_api_key",
        }
    },
)
ANSWER = "All quiet."
KEYS = {A: "a", B: "b"}
pytestmark = pytest.mark.timeout(600)


class Plan:
    """A plan that takes both keys, and throttles the first once that is switched on."""

    throttles = False

    def __call__(self, seen: SeenRequest) -> Behaviour:
        if seen.key not in KEYS:
            return UNKNOWN
        return THROTTLED if self.throttles and seen.key == A else answer()


@pytest.fixture
def state() -> Plan:
    return Plan()


@pytest.fixture
def plan(state: Plan) -> Iterator[ScriptedProvider]:
    with ScriptedProvider(state, models=["big"]) as provider:
        yield provider


@pytest.fixture
def vendor() -> Iterator[ScriptedProvider]:
    """The vendor's public address, where the plan's keys and paths are unknown."""
    with ScriptedProvider(wrong_door()) as provider:
        yield provider


@pytest.fixture
def hermes(tmp_path: Path) -> Path:
    home = tmp_path / "hermes"
    home.mkdir()
    return home


def shown(provider: ScriptedProvider) -> list[str]:
    """Return the keys that came since the last call, a letter each; an unknown value is returned as it
    came."""
    seen = [KEYS.get(call.key or "", str(call.key)) for call in provider.calls]
    provider.requests.clear()
    return seen


def turns(provider: ScriptedProvider) -> list[str]:
    """The same, of what hermes streams: its turns, and not the title that it asks for beside the first."""
    seen = [KEYS[call.key or ""] for call in provider.calls if call.streams]
    provider.requests.clear()
    return seen


def test_alone_it_takes_its_second_key_to_another_host_and_the_session_dies(
    hermes: Path, plan: ScriptedProvider, vendor: ScriptedProvider, state: Plan
) -> None:
    (hermes / "config.yaml").write_text(
        json.dumps({"model": {"default": "deepseek-chat", "provider": "deepseek", "base_url": plan.url}})
    )
    (hermes / ".env").write_text(f"DEEPSEEK_API_KEY={A}\n")
    real.add_key(hermes, "deepseek", "b", B)
    stored = hermes / "auth.json"
    public = "https://api.deepseek.com/v1"
    assert {
        credential["base_url"] for credential in json.loads(stored.read_text())["credential_pool"]["deepseek"]
    } == {public}, "nobody asked for that address"
    added = json.loads(stored.read_text())
    added["credential_pool"]["deepseek"][1]["base_url"] = (
        vendor.url
    )  # so that we see what would go to the public address
    stored.write_text(json.dumps(added))

    with real.Tui(hermes) as tui:
        session = tui.call("session.create")["session_id"]
        assert tui.say(session) == ANSWER
        assert (shown(plan), shown(vendor)) == (["a"], [])
        state.throttles = True
        assert "404 page not found" in tui.say(session)
        assert "b" not in shown(plan), "the key that would have worked never came to the host where it does"
        assert set(shown(vendor)) == {"b"}
        state.throttles = False
        assert "404 page not found" in tui.say(session), "for ever: the plan is well again"
        assert (shown(plan), set(shown(vendor))) == ([], {"b"})


def test_through_our_gateway_it_goes_on_at_the_same_host_with_the_second_key(
    hermes: Path, tmp_path: Path, plan: ScriptedProvider, vendor: ScriptedProvider, state: Plan
) -> None:
    ours = tmp_path / "holdfast"
    ours.mkdir(mode=0o700)
    keys = '[{ from = "env:PLAN_A", label = "a" }, { from = "env:PLAN_B", label = "b" }]'
    (ours / "holdfast.toml").write_text(
        f'[provider.plan]\npreset = "deepseek"\nurl = "{plan.url}"\nmodels = ["big"]\nkeys = {keys}\n'
    )
    with serving(ours, environ={"PLAN_A": A, "PLAN_B": B}) as served:
        entry = {
            "api": f"http://127.0.0.1:{served.port}/s/hermes/v1",
            "key_env": "HOLDFAST_TOKEN",
            "default_model": "plan/big",
        }
        (hermes / "config.yaml").write_text(
            json.dumps({"model": {"default": "plan/big", "provider": "held"}, "providers": {"held": entry}})
        )
        (hermes / ".env").write_text(f"HOLDFAST_TOKEN={served.token}\n")
        with real.Tui(hermes) as tui:
            begun = tui.call("session.create")
            session = begun["session_id"]
            assert tui.say(session) == ANSWER
            eventually(lambda: len(plan.calls) == 2, real.PATIENCE)  # the title
            assert shown(plan) == ["a", "a"]
            state.throttles = True
            assert tui.say(session) == ANSWER
            assert turns(plan) == ["a", "b"], "one refusal, one more request: the other key at the same host"
            assert tui.say(session) == ANSWER
            assert turns(plan) == ["b"]
        with real.Tui(hermes) as tui:
            assert (
                tui.say(tui.call("session.resume", session_id=begun["stored_session_id"])["session_id"])
                == ANSWER
            )
        assert turns(plan) == ["b"], "and after a restart of hermes"
        sessions = served.ask("/holdfast/sessions").text
    assert "plan/big" in sessions
    assert served.token not in sessions
