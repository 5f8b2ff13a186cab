"""A conversation that a provider keeps belongs to the account that made it. A pool that sends its next turn
with another account's key gets a 400 that no user understands, and may never find back.

What must be true: such a request goes to the account that made what it refers to, also after a restart; while
that account cannot answer, it is waited for or its own end is told, and no other account is asked. What other
requests of the session do meanwhile changes nothing of that."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest

from holdfast.fake_provider import Behaviour, ScriptedProvider, ok, status
from holdfast.fake_provider.script import SeenRequest
from holdfast.sdk.api import Session
from stories.story import House, entry, keys_seen, openai_client, value_of

NOT_FOUND = status(400, {"error": {"code": "previous_response_not_found", "message": "Not found."}})
LATER = {"error": {"code": "rate_limit_exceeded", "type": "requests", "message": "Rate limit reached"}}


class Accounts:
    """A provider that knows which account made a response."""

    def __init__(self) -> None:
        self.made: dict[str, str | None] = {}
        self.throttled: dict[str, str] = {}
        """Seconds by key."""

    def __call__(self, seen: SeenRequest) -> Behaviour:
        seconds = self.throttled.get(seen.key or "")
        if seconds is not None:
            return status(429, LATER, {"retry-after": seconds})
        previous = json.loads(seen.body).get("previous_response_id")
        if previous is not None and self.made.get(previous) != seen.key:
            return NOT_FOUND
        self.made[f"resp_{seen.number}"] = seen.key
        return ok()


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def pool(house: House, accounts: Accounts) -> ScriptedProvider:
    """A pool of two accounts, and a fallback that knows neither."""
    house.own("a", "b")
    provider = house.provider(accounts)
    other = house.provider(NOT_FOUND)
    house.write(
        entry("pool", provider, "a", "b"),
        entry("other", other, "a"),
        '[fallback]\n"pool/m1" = { then = ["other/m1"] }\n',
    )
    return provider


def turn(session: Session, *, streams: bool = False, after: str | None = None) -> str:
    """One turn through the Responses API. Return the id of the response."""
    more: dict[str, Any] = {} if after is None else {"previous_response_id": after}
    with openai_client(session) as client:
        if not streams:
            return client.responses.create(model=session.model, input="Where were we?", **more).id
        with client.responses.create(model=session.model, input="Where?", stream=True, **more) as events:
            return next(event.response.id for event in list(events) if event.type == "response.completed")


@pytest.mark.parametrize("streams", [False, True])
def test_a_turn_goes_to_the_account_that_made_the_response_before_it_also_after_a_restart(
    house: House, pool: ScriptedProvider, accounts: Accounts, streams: bool
) -> None:
    with house.open() as held:
        first = turn(held.session("work", "pool/m1"), streams=streams)
        accounts.throttled[value_of("a")] = "9"
        second = turn(held.session("side", "pool/m1"), streams=streams)
        accounts.throttled.clear()
        third = turn(held.session("work"), streams=streams, after=second)
        assert keys_seen(pool) == ["a", "a", "b", "b"]
    house.command("key", "reset", "pool", "a")
    pool.requests.clear()
    with house.open() as held:
        for session in ("work", "side"):
            turn(held.session(session), streams=streams, after=first)
            turn(held.session(session), streams=streams, after=third)
    assert keys_seen(pool) == ["a", "b", "a", "b"]


def test_while_its_account_cannot_answer_no_other_is_asked_and_its_own_end_is_told(
    house: House, pool: ScriptedProvider, accounts: Accounts
) -> None:
    with house.open() as held:
        session = held.session("work", "pool/m1")
        first = turn(session)
        accounts.throttled[value_of("a")] = "600"
        for _ in range(2):
            with pytest.raises(openai.RateLimitError) as caught:
                turn(session, after=first)
            assert "so no other was asked" in str(caught.value)
            reset_at = float(caught.value.response.headers["holdfast-reset-at"])
            assert 500 < reset_at - time.time() < 700
        turn(session)
        assert keys_seen(pool) == ["a", "a", "b"], "what refers to nothing is answered by the other account"
        accounts.throttled.clear()
        house.command("key", "reset", "pool", "a")
        turn(session, after=first)
        turn(session)
        assert keys_seen(pool)[3:] == ["a", "a"], "the side request did not move the session"


def test_a_short_throttle_of_the_account_is_waited_for(
    house: House, pool: ScriptedProvider, accounts: Accounts
) -> None:
    with house.open() as held:
        session = held.session("work", "pool/m1")
        first = turn(session)
        answers = iter([status(429, LATER, {"retry-after": "0.2"}), ok()])
        pool.follow(lambda seen: next(answers))
        turn(session, after=first)
    assert keys_seen(pool) == ["a", "a", "a"]
