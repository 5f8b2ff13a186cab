"""Keys and sign-ins that end soon and do not renew themselves are named before they do, with the command."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cli.conftest import Cli
from holdfast.core.identity import ProviderName
from holdfast.core.provisioning_state import Capability, Record, State
from holdfast.credentials.grant import Grant
from holdfast.credentials.secrets_file import SecretsFile
from holdfast.store.sqlite import SqliteStore
from holdfast.values.secret import Secret

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


def test_the_command_for_one_of_two_sign_ins_names_its_key_and_works(cli: Cli, home: Path) -> None:
    signed_in(home, 1, "")
    dead = CONFIG[CONFIG.index("[signin.corp]") :].replace("https://l.corp.example", "http://127.0.0.1:1")
    text = CONFIG.replace('["oauth:corp"]', '["oauth:other", "oauth:corp"]').partition("[signin.corp]")[0]
    (home / "holdfast.toml").write_text(text + dead + dead.replace("signin.corp", "signin.other"))
    (end,) = (
        each for each in json.loads(cli("doctor", "--json").stdout)["findings"] if each["check"] == "end"
    )
    assert end["run"] == "holdfast key login corp --key corp"
    assert "sign-in 'corp' was refused (no answer)" in cli(*end["run"].split()[1:]).stderr
    assert "not signed in: holdfast key login corp --key other" in cli("key", "list").stdout


@pytest.mark.parametrize(
    ("refresh", "ended", "text", "absent"),
    [
        ("a-refresh-token", "", "and is renewed automatically", "holdfast key login"),
        ("", "", "no refresh token: holdfast key login corp; its token ends", "renewed"),
        ("a-refresh-token", "revoked", "revoked: holdfast key login corp; its token ends", "renewed"),
    ],
)
def test_the_list_of_keys_promises_a_renewal_only_where_there_is_one(
    cli: Cli, home: Path, refresh: str, ended: str, text: str, absent: str
) -> None:
    signed_in(home, 1, refresh)
    file = SecretsFile(home / "secrets.toml")
    grant = file.grant("corp")
    assert grant is not None
    file.put_grant("corp", replace(grant, ended=ended))
    listed = cli("key", "list").stdout
    assert text in listed
    assert absent not in listed


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
