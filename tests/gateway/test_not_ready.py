"""A provider that is half set up, asked for through the gateway: 503 with a reason for programs, and it heals
beside the request."""

from __future__ import annotations

import json

import pytest

from holdfast.core.errors import NotReady
from holdfast.fake_provider import ScriptedProvider
from holdfast.fake_provider.control import AmazeePlane, refusing

from .conftest import StartGateway

ASKED = {"model": "amazee/claude-sonnet-4-5", "messages": [{"role": "user", "content": "Where were we?"}]}


def test_a_half_provisioned_provider_is_503_with_a_reason_and_heals_beside_the_request(
    gateway: StartGateway,
) -> None:
    service = AmazeePlane()
    service.lists_openly = False
    for path in ("/v1/models", "/model/info"):
        service.spoil(path, refusing(403, {"detail": "not allowed to call this route"}))
    with ScriptedProvider(service, models=None) as provider:
        service.root = provider.root
        plane = gateway(config="")
        held = plane.holdfast
        with pytest.raises(NotReady):
            held.ensure_ready(
                "amazee", {"answer": ["*sonnet*"]}, settings={"url": provider.root}, consent="a test"
            )
        status, _, body = plane.post("chat/completions", ASKED)
        error = json.loads(body)["error"]
        assert (status, error["holdfast"]["reason"]) == (503, "model_unresolved")
        assert error["holdfast"]["retry_at"] is not None
        assert provider.calls == [], "never an empty 200, and nothing sent"

        record = held.engine.store.provision("amazee")
        assert record is not None
        held.provisioning.runner.change(
            record,
            lambda current, now: current.to(current.state, now, current.reason, current.detail, next_at=0.0),
        )
        assert plane.post("chat/completions", ASKED)[0] == 503
        assert held.provisioning.jobs.settle()
        assert plane.post("chat/completions", ASKED)[0] == 200
        assert (service.minted, service.attempts) == (1, 1)


def test_a_configuration_that_broke_is_503_and_nothing_is_sent(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    """What a plane over an engine without a last good configuration says; `holdfast serve` keeps one."""
    plane = gateway(provider)
    (plane.home / "holdfast.toml").write_text("[provider.")
    plane.holdfast.engine.look_again()
    status, _, body = plane.post("chat/completions", {"model": "mine/scripted-1", "messages": []})
    error = json.loads(body)["error"]
    assert (status, error["code"], error["type"]) == (503, "config_broken", "server_error")
    assert "holdfast.toml" in error["message"]
    assert provider.calls == []
