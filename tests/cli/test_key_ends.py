"""Keys and sign-ins that end soon and do not renew themselves are named before they do, with the command."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from cli.conftest import Cli
from holdfast.core.identity import ProviderName
from holdfast.core.provisioning_state import Capability, Record, State
from holdfast.core.secret import Secret
from holdfast.credentials.grant import Grant
from holdfast.credentials.secrets_file import SecretsFile
from holdfast.store.sqlite import SqliteStore

DAY = 86_400.0
CONFIG = (
    '[provider.corp]\nurl = "https://llm.corp.example/v1"\nkeys = ["oauth:corp"]\n[signin.corp]\nclient_id = '
    '"c"\ntoken_url = "https://l.corp.example/t"\ndevice_url = "https://l.corp.example/d"\n'
)


def signed_in(home: Path, days: float, refresh: str) -> None:
    (home / "holdfast.toml").write_text(CONFIG)
    now = time.time()
    token = Secret(refresh) if refresh else None
    SecretsFile(home / "secrets.toml").put_grant(
        "corp", Grant("g", 0, Secret("access"), token, now - DAY, now + days * DAY)
    )


def provisioned(home: Path, days: float | None, state: State = State.PROVISIONED) -> None:
    (home / "holdfast.toml").write_text("")
    ends = None if days is None else time.time() + days * DAY
    with SqliteStore(home / "state.db") as store:
        store.save_provision(
            Record(
                ProviderName("team"),
                "litellm",
                Capability.REPLAYABLE,
                state=state,
                key="store:litellm",
                url="https://p.example",
                expires_at=ends,
            ),
            None,
        )


@pytest.mark.parametrize(
    ("days", "refresh", "verb"),
    [(13, "", "ends"), (-0.5, "", "ended"), (15, "", ""), (13, "a-refresh-token", "")],
    ids=["soon", "over", "not soon", "renewed"],
)
def test_a_sign_in_that_does_not_renew_itself_is_named_before_its_end(
    cli: Cli, home: Path, days: float, refresh: str, verb: str
) -> None:
    signed_in(home, days, refresh)
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    ends = [finding for finding in findings if finding["check"] == "end"]
    status = cli("status").stdout
    if not verb:
        assert (ends, "note:" in status) == ([], False)
        return
    (end,) = ends
    assert end["what"].startswith(f"the sign-in of key 'corp' of provider 'corp' {verb} 20")
    assert (end["level"], end["run"]) == ("note", "holdfast key login corp")
    assert f"note: {end['what']}" in status
    assert "run: holdfast key login corp" in status


@pytest.mark.parametrize(("days", "is_named"), [(13, True), (20, False), (None, False)])
def test_a_provisioned_key_is_named_before_its_end(
    cli: Cli, home: Path, days: float | None, is_named: bool
) -> None:
    provisioned(home, days)
    status = cli("status").stdout
    assert ("the key of 'team' ends" in status) is is_named
    assert ("holdfast provision repair team" in status) is is_named
    assert ("the key of 'team' ends" in cli("doctor").stdout) is is_named


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_the_end_of_a_key_that_was_given_back_is_not_named(cli: Cli, home: Path, command: str) -> None:
    provisioned(home, 13, State.RETIRED)
    assert "the key of 'team'" not in cli(command).stdout
