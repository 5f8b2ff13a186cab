"""What the commands say about gateways that run: all of them ask the one list, and none trusts a port."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.furnishing import Cli, write
from holdfast.config import Home, load
from holdfast.core.changes import Change, Cooldown, CooldownStarted, KeySucceeded, subjects
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import ProviderName
from holdfast.gateway import registry
from holdfast.gateway.embedded import serving
from holdfast.gateway.registry import RUN, SERVE, prepared, registered
from holdfast.sdk.api import open as open_home
from holdfast.store.sqlite import SqliteStore


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
    (shown,) = status(cli)["gateways"]
    assert [shown[name] for name in ("url", "workers", "health", "why")] == [standing, 1, "ready", ""]
    assert standing in cli("status").stdout
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


def status(cli: Cli) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(cli("status", "--json").stdout)
    return shown


def test_status_names_a_gateway_that_was_killed_until_the_next_one_starts(
    cli: Cli, furnished: Path, tmp_path: Path
) -> None:
    with registered(furnished, "dead", "http://127.0.0.1:4199", SERVE):
        entry = (furnished / "gateways" / "dead.json").read_text()
    (furnished / "gateways" / "dead.json").write_text(entry)
    for _ in range(2):
        assert [each["url"] for each in status(cli)["killed"]] == ["http://127.0.0.1:4199"]
    text = cli("status").stdout
    assert "no gateway runs" in text
    assert "holdfast serve at http://127.0.0.1:4199" in text
    assert "was killed, or its machine was restarted\n  run: holdfast serve\n" in text
    assert [each["level"] for each in findings(cli, "gateway")] == ["note", "ok"]
    with registered(furnished, "run", "http://127.0.0.1:1", RUN):
        assert len(status(cli)["killed"]) == 1
    with registered(furnished, "next", "http://127.0.0.1:1", SERVE):
        assert status(cli)["killed"] == []


def test_status_tells_how_each_key_stands_and_where_the_store_is(
    cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTH_KEY", "")
    config = load(Home.at(furnished))
    mimo, both = (config.providers[ProviderName(name)] for name in ("mimo", "both"))
    with open_home(furnished) as opened:
        opened.session("s", "mimo/mimo-pro")
        mark = opened.engine.fingerprint(mimo.keys[0])
    assert mark is not None
    url = mimo.endpoints[0].url
    whole, of_model = (subjects(mark, url, "mimo-pro")[scope] for scope in (Scope.KEY, Scope.KEY_MODEL))
    untested = {
        "local ": "not needed",
        "mimo MIMO_KEY": "untested",
        "mimo team": "untested",
        f"both {both.keys[0].label}": "missing",
    }

    def states() -> dict[str, str]:
        keys = status(cli)["keys"]
        return {f"{key['provider']} {key['label']}": key["state"] for key in keys}

    assert states() == untested
    with SqliteStore(furnished / "state.db") as store:
        now = store.now()
        elsewhere: Change = KeySucceeded(mark, "http://127.0.0.1:9/v1", "m", "", now, durable=True)
        store.apply([elsewhere], now)
        assert states() == untested
        for subject, until, state in (
            ("", 0.0, "works"),
            (of_model, now + 600, "works"),
            (whole, now + 600, "resting"),
            (whole, float("inf"), "refused"),
        ):
            change: Change = KeySucceeded(mark, url, "m", "", now, durable=True)
            if subject:
                change = CooldownStarted(Cooldown(subject, until, now, 1, Fault(FaultClass.RATE_LIMITED)))
            store.apply([change], now)
            assert (subject, states()) == (subject, untested | {"mimo MIMO_KEY": state})
    assert status(cli)["store"] | {"at": ""} == {"at": "", "sessions": 1, "why": "", "run": ""}
    shown = cli("status").stdout
    assert "refused" in shown
    assert "state.db: 1 session\n" in shown
    (furnished / "state.db").write_bytes(b"no database" * 100)
    assert "the store cannot be read: " in cli("status").stdout
    assert status(cli)["store"]["sessions"] is None
    write(furnished / "holdfast.toml", "[provider.x]\nodd = 1\n")
    assert status(cli)["config"].endswith("holdfast.toml is wrong")


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
        assert status(cli)["gateways"][0]["health"] == "ending"
        ending, other = findings(cli, "gateway")
    assert (ending["level"], "ends when its running answers have" in ending["what"]) == ("ok", True)
    assert "another program listens" in other["what"]


def test_a_gateway_that_hangs_is_told_with_its_process(
    cli: Cli, stranger: str, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.gateway.listener._PATIENCE", 0.05)
    with registered(furnished, "hangs", stranger, SERVE):
        assert status(cli)["gateways"][0]["health"] == "no proof"
        (finding,) = findings(cli, "gateway")
    assert finding["level"] == "wrong"
    assert finding["run"].startswith("kill ")
