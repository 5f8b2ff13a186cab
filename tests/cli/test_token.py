"""`holdfast token`: shown once, listed without the secret, revoked by id or by the whole token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.furnishing import Cli
from holdfast.gateway.tokens import Tokens
from holdfast.store.sqlite import SqliteStore


def test_a_token_is_shown_once_and_listed_without_it(cli: Cli, furnished: Path) -> None:
    shown = cli("token", "new", "--label", "laptop").stdout.splitlines()[0]
    listed = cli("token", "list").stdout
    assert "laptop" in listed
    assert "valid" in listed
    _, _, secret = shown.split("-", 2)
    assert secret not in listed + cli("token", "list", "--json").stdout
    with SqliteStore(furnished / "state.db") as store:
        assert Tokens(store).check(shown.encode()) is not None


def test_as_json_a_new_token_comes_with_what_it_is(cli: Cli, furnished: Path) -> None:
    token = json.loads(cli("token", "new", "--session", "issue-42", "--json").stdout)
    assert token["token"].startswith(f"hf-{token['id']}-")
    assert (token["session"], token["revoked_at"]) == ("issue-42", None)
    (row,) = json.loads(cli("token", "list", "--json").stdout)
    assert row == {name: value for name, value in token.items() if name != "token"}


def test_a_token_is_made_and_listed_with_its_limits(cli: Cli, furnished: Path) -> None:
    provider = json.loads(cli("provider", "list", "--json").stdout)[0]["name"]
    pins = [f"{provider}/a", f"{provider}/b"]
    options = ["--session", "issue-42", "--pin", pins[0], "--pin", pins[1], "--pin", pins[0]]
    token = json.loads(cli("token", "new", *options, "--expires", "1h30m", "--json").stdout)
    assert (token["session"], token["pins"], token["strict"]) == ("issue-42", pins, True)
    assert token["expires_at"] - token["created_at"] == 5400
    listed = " ".join(cli("token", "list").stdout.split())
    assert f"session issue-42, {pins[0]} or {pins[1]}" in listed
    assert "valid until 2" in listed
    with SqliteStore(furnished / "state.db", clock=lambda: token["expires_at"]) as store:
        assert Tokens(store).check(token["token"].encode()) is None


def test_a_token_for_a_session_without_a_pin_says_who_can_choose_it(cli: Cli, furnished: Path) -> None:
    shown = cli("token", "new", "--session", "issue-42").stdout
    assert "run: holdfast session pin issue-42 PROVIDER/MODEL" in shown


@pytest.mark.parametrize("whole", [True, False])
def test_a_token_is_revoked_by_its_id_or_by_itself(whole: bool, cli: Cli, furnished: Path) -> None:
    token = json.loads(cli("token", "new", "--label", "ci", "--json").stdout)
    result = cli("token", "revoke", token["token"] if whole else token["id"])
    assert (result.exit_code, result.stdout) == (0, f"token {token['id']} (ci) is revoked\n")
    assert "was revoked before" in cli("token", "revoke", token["id"]).stdout
    assert "revoked 2" in cli("token", "list").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "revoke", "nobody"),
        ("token", "new", "--session", "no good id"),
        ("token", "new", "--pin", "no-pin"),
        ("token", "new", "--expires", "soon"),
        ("token", "new", "--expires", "0s"),
        ("token", "new", "--expires", "inf"),
        ("token", "new", "--expires", "-5m"),
        ("token", "new", "--expires", "2020-01-01"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(
    arguments: tuple[str, ...], cli: Cli, furnished: Path
) -> None:
    result = cli(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "run: " in result.stderr
    assert "no gateway token yet" in cli("token", "list").stdout


@pytest.mark.parametrize(
    ("settings", "check", "level", "what"),
    [
        ("", "gateway", "ok", "would listen on 127.0.0.1:4141"),
        ('listen = "0.0.0.0:4141"', "gateway", "wrong", "can be reached from other machines"),
        ('listen = "0.0.0.0:4141"\npublic = true', "gateway", "ok", "0.0.0.0:4141"),
        ('store = "memory:"', "store", "note", "in memory: it is lost when a program ends"),
        ('store = "sqlite:else/where.db"', "store", "ok", "no store yet"),
    ],
)
def test_doctor_says_what_serve_would_refuse(
    settings: str, check: str, level: str, what: str, cli: Cli, furnished: Path
) -> None:
    with (furnished / "holdfast.toml").open("a") as file:
        file.write(f"[gateway]\n{settings}\n")
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    assert [
        what in finding["what"]
        for finding in findings
        if (finding["check"], finding["level"]) == (check, level)
    ] == [True]
