"""What the commands say about gateways that run: all of them ask the one list, and none trusts a port."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.furnishing import Cli
from holdfast.gateway import registry
from holdfast.gateway.embedded import serving
from holdfast.gateway.registry import SERVE, prepared, registered
from holdfast.sdk.api import open as open_home


@pytest.fixture
def standing(furnished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A gateway of this home; its root URL, which is not the configured one."""
    monkeypatch.setattr(registry, "RUN", SERVE)
    with open_home(furnished) as opened:
        pin = opened.session("s", "mimo/mimo-pro").pin
        with serving(opened.engine, "s", pin) as gate:
            yield gate.root


def findings(cli: Cli, check: str) -> list[dict[str, Any]]:
    every = json.loads(cli("doctor", "--json").stdout)["findings"]
    return [finding for finding in every if finding["check"] == check]


def test_every_command_names_the_gateway_that_runs(cli: Cli, standing: str) -> None:
    assert f'"{standing}/v1"' in cli("env").stdout
    assert f"at {standing} " in cli("connect", "pi").stdout
    assert f"connected to the gateway at {standing}" in cli("connect", "pi").stdout
    (shown,) = json.loads(cli("status", "--json").stdout)
    assert (shown["url"], shown["proved"]) == (standing, True)
    assert "this home's" in cli("status").stdout
    shown = findings(cli, "gateway")
    assert shown[0]["level"] == "ok"
    assert f"at {standing} " in shown[0]["what"]
    assert [each["level"] for each in findings(cli, "connect")] == ["ok"]


def test_doctor_moves_no_store_that_a_running_gateway_has_open(
    cli: Cli, standing: str, furnished: Path
) -> None:
    result = cli("doctor", "--set-aside")
    assert result.exit_code == 1
    assert "a gateway that runs has the store open" in result.stdout
    assert (furnished / "state.db").exists()


def test_doctor_tells_a_gateway_of_another_version(
    cli: Cli, standing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.distribution.version", lambda: "99.0")
    (finding,) = [each for each in findings(cli, "gateway") if each["level"] == "note"]
    assert "of another version than this command, 99.0" in finding["what"]


@pytest.fixture
def stranger(furnished: Path) -> Iterator[str]:
    """Another program at the address where the gateway of this home would listen."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        server.settimeout(0.0)
        port = server.getsockname()[1]
        with (furnished / "holdfast.toml").open("a") as file:
            file.write(f'[gateway]\nlisten = "127.0.0.1:{port}"\n')
        yield f"http://127.0.0.1:{port}"


def test_nobody_is_pointed_to_a_program_that_took_the_port(
    cli: Cli, stranger: str, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.gateway.listener._PATIENCE", 0.05)
    result = cli("connect", "pi")
    assert result.exit_code == 2
    assert f"the program that listens at {stranger} does not prove" in result.stderr
    assert not (furnished / "connected").exists()
    assert "no gateway token yet" in cli("token", "list").stdout
    assert "show it no token" in cli("env").stderr
    (finding,) = findings(cli, "gateway")
    assert (finding["level"], "another program listens" in finding["what"]) == ("wrong", True)


def test_a_gateway_that_ends_is_told_as_such_and_its_address_is_free(
    cli: Cli, stranger: str, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.gateway.listener._PATIENCE", 0.05)
    with prepared(furnished, "ends", stranger, SERVE) as publish:
        publish(draining=True)
        assert json.loads(cli("status", "--json").stdout)[0]["draining"] is True
        assert "holdfast serve, ending" in cli("status").stdout
        ending, other = findings(cli, "gateway")
    assert (ending["level"], "ends when its running answers have" in ending["what"]) == ("ok", True)
    assert "another program listens" in other["what"]


def test_a_gateway_that_hangs_is_told_with_its_process(
    cli: Cli, stranger: str, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.gateway.listener._PATIENCE", 0.05)
    with registered(furnished, "hangs", stranger, SERVE):
        assert json.loads(cli("status", "--json").stdout)[0]["proved"] is False
        (finding,) = findings(cli, "gateway")
    assert finding["level"] == "wrong"
    assert finding["run"].startswith("kill ")
