"""A provider closes connections that are kept open, also at the moment in which a request leaves on one. The
request then goes to a fresh connection, once, and costs nothing of what may be spent on recovery; but it is a
send, and is counted as one."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from holdfast.core.identity import Dialect
from holdfast.fake_provider import Behaviour, ScriptedProvider, ok, reset, status
from stories.story import House, Way, attempts, entry, talk_chat

BROKEN = status(500, {"error": {"message": "Internal server error", "type": "server_error"}})
WAYS = [Way(Dialect.OPENAI_CHAT, *how) for how in product((False, True), (False, True))]


def turns(house: House, way: Way, *second: Behaviour) -> tuple[ScriptedProvider, list[str | None]]:
    """Let one client do a turn, and then one for which the provider does what follows. Return the provider
    and the results of the attempts in the journal."""
    house.own("a")
    provider = house.provider([ok(), *second])
    house.write(entry("far", provider, "a"))

    async def both(client: Any) -> str:
        first = await talk_chat(client, False)  # an SDK may leave a stream before its end, and its connection
        again = await talk_chat(client, way.streams)
        return f"{first}\n{again}"

    with house.open() as held:
        session = held.session("work", "far/m1")
        way.with_client(session, both)
        tried = attempts(session)
    return provider, [event.detail.fault and str(event.detail.fault.kind) for event in tried]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_reset_kept_connection_is_replaced_and_costs_no_send_of_the_budget(house: House, way: Way) -> None:
    provider, tried = turns(house, way, reset(), BROKEN, BROKEN, ok())
    assert len(provider.calls) == 5
    assert tried == [None, "transient", "transient", "transient", None], "every send is an attempt"


@pytest.mark.parametrize("way", WAYS[:2], ids=str)
def test_a_fresh_connection_is_taken_once_and_then_a_reset_counts(house: House, way: Way) -> None:
    provider, tried = turns(house, way, reset(), reset(), ok())
    assert len(provider.calls) == 4
    assert tried == [None, "transient", "transient", None]
