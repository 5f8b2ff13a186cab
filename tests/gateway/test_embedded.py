"""The gateway of one program: its token is good there alone, and it counts what it refused for asking another
model, and nothing else."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx2

from holdfast.core.identity import Pin
from holdfast.gateway import embedded
from holdfast.gateway.embedded import Gate, serving
from holdfast.gateway.handler import LocalResponse
from holdfast.gateway.tokens import Tokens
from holdfast.testing import ScriptedProvider
from holdfast.values.secret import Secret
from holdfast.wire.error_kinds import ERRORS, REFUSALS
from tables import rows

from .served import eventually  # type: ignore[import-not-found]

if TYPE_CHECKING:
    import pytest

KINDS = [*ERRORS.values(), *(refusal.kind for refusal in REFUSALS.values())]
ROWS = sorted({(kind.name, kind.status) for kind in KINDS})


@rows(("code", "status"), ROWS)
def test_only_a_request_for_another_model_is_counted_as_one(code: str, status: int) -> None:
    gate = Gate("http://127.0.0.1:1", Secret("hf_token"))
    gate.finished(LocalResponse("chat/completions", status, code))
    assert gate.refused == (code in ("pin_mismatch", "model_not_found"))


def test_the_token_of_a_run_opens_no_other_gateway_of_its_home(
    gateway: Any, provider: ScriptedProvider
) -> None:
    standing = gateway(provider, provider)
    engine, pin = standing.holdfast.engine, Pin.parse("mine/scripted-1")
    standing.holdfast.session("s", pin)
    with serving(engine, "s", pin) as gate:
        value = gate.token.reveal()
        (token,) = [row for row in engine.store.tokens() if row.label == "run s"]
        assert (token.session, token.pins, token.strict) == ("s", (pin,), True)
        assert 0 < (token.expires_at or 0) - engine.store.now() <= 60
        assert Tokens(engine.store, instance=str(token.instance)).check(value.encode()) == token
        assert Tokens(engine.store, instance="of serve").check(value.encode()) is None
        assert Tokens(engine.store).check(value.encode()) is None
        asked = {
            model: httpx2.post(
                f"{gate.root}/v1/chat/completions",
                json={"model": model, "messages": []},
                headers={"authorization": f"Bearer {value}"},
                trust_env=False,
            ).status_code
            for model in ("mine/scripted-1", "mine/mine-only", "other/other-only")
        }
    assert asked == {"mine/scripted-1": 200, "mine/mine-only": 409, "other/other-only": 409}
    assert len(provider.calls) == 1
    assert gate.refused == 2
    assert Tokens(engine.store, instance=str(token.instance)).check(value.encode()) is None


def test_the_token_of_a_run_is_renewed_as_long_as_the_run_lives(
    gateway: Any, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_RENEWED_EVERY", 0.01)
    standing = gateway(provider)
    engine, pin = standing.holdfast.engine, Pin.parse("mine/scripted-1")
    with serving(engine, "s", pin):
        (token,) = engine.store.tokens()
        eventually(lambda: engine.store.tokens()[0].expires_at > token.expires_at)


def test_silent_connections_cannot_take_all_files_of_a_run(
    gateway: Any, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = gateway(provider)
    pin = Pin.parse("mine/scripted-1")
    standing.holdfast.session("s", pin)
    monkeypatch.setattr("holdfast.gateway.process.listen.open_files", lambda: 4)
    with serving(standing.holdfast.engine, "s", pin) as gate:
        address = urlsplit(gate.root)
        first, second = (socket.create_connection((address.hostname, address.port), 5) for _ in range(2))
        with first, second, suppress(ConnectionResetError):
            assert first.recv(10) == b""
