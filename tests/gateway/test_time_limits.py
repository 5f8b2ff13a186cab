"""The limits of time that the user sets hold in the gateway, also for one that runs."""

from __future__ import annotations

import math

import pytest

from holdfast.core.config import Config, GatewaySettings, Limits
from holdfast.gateway.limits import Bounds
from holdfast.testing import ScriptedProvider, stall

from .conftest import StartGateway  # type: ignore[import-not-found]
from .served import eventually, write_config  # type: ignore[import-not-found]

ASK = {"model": "mine/m", "messages": []}


def config(provider: ScriptedProvider, settings: str) -> str:
    return f'[provider.mine]\nurl = "{provider.url}"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n{settings}'


@pytest.mark.parametrize(
    ("settings", "gateway", "bounds"),
    [
        (Limits(), GatewaySettings(), Bounds()),
        (
            Limits(connect_timeout=1.0, answer_timeout=2.0, stall_timeout=3.0),
            GatewaySettings(comment_after=4.0),
            Bounds(connect=1.0, answer=2.0, stall=3.0, comment=4.0),
        ),
        (Limits(), GatewaySettings(comment_after=0.0), Bounds(comment=math.inf)),
    ],
)
def test_the_users_limits_replace_those_of_the_gateway(
    settings: Limits, gateway: GatewaySettings, bounds: Bounds
) -> None:
    assert Bounds().set_by(Config(settings=settings, gateway=gateway)) == bounds


def test_a_provider_is_given_up_when_the_user_says_so_also_in_a_running_gateway(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    provider.follow(stall())
    lines = (
        '[settings]\nanswer_timeout = "100ms"\nstall_timeout = 0.2\nconnect_timeout = 3\nwait_budget = 0\n'
    )
    running = gateway(config=config(provider, lines))
    code, headers, body = running.post("chat/completions", ASK)
    assert (code, headers["holdfast-fault"]) == (504, "transient")
    assert b"silent for 0.1 s" in body
    assert running.plane.upstreams.to(provider.root).limits.connect == 3.0
    changed = lines.replace("100ms", "40s").replace("= 3", "= 4") + "[gateway]\ncomment_after = 0\n"
    write_config(running.home, config(provider, changed))
    eventually(lambda: running.plane.bounds.answer == 40.0)
    assert running.plane.bounds.comment == math.inf
    assert running.plane.upstreams.to(provider.root).limits.connect == 4.0
