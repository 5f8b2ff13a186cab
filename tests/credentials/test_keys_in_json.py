"""Keys that are a part of JSON: the path to them, the expiry nearest to them, what is shown of the rest."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from credentials.desk import NOW, PEPPER, TOOL, Desk
from holdfast.core.errors import SecretMissing
from holdfast.core.identity import Key, ProviderName
from holdfast.values.secret import Secret


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def at(path: str) -> Key:
    return Key(ProviderName("mimo"), "t", "cmd:tool", value=path)


@pytest.mark.parametrize(
    ("prints", "path", "ends"),
    [
        ({"data": {"token": "a-token"}, "lease_duration": 200}, "data.token", NOW + 200),
        ({"data": {"data": {"key": "a-token"}}, "lease_duration": 0}, "data.data.key", None),
        ({"auth": {"client_token": "a-token", "lease_duration": 200}}, "auth.client_token", NOW + 200),
        (
            {"Credentials": {"SessionToken": "a-token", "Expiration": "1970-01-12T13:50:00Z"}},
            "Credentials.SessionToken",
            NOW + 200,
        ),
        (
            {"Version": 1, "SessionToken": "a-token", "Expiration": "1970-01-12T13:50:00Z"},
            "SessionToken",
            NOW + 200,
        ),
        ({"tokens": [{"id": "x"}, {"id": "a-token"}], "expires_in": 200}, "tokens.1.id", NOW + 200),
        ([{"id": "a-token"}], "0.id", None),
        ({"token": "another", "mine": "a-token"}, "mine", None),
    ],
)
def test_a_path_says_where_in_the_json_a_key_is(
    desk: Desk, prints: object, path: str, ends: float | None
) -> None:
    desk.prints = prints
    assert desk.vault.secret(at(path)) == Secret("a-token")
    assert desk.vault.ends(at(path)) == (pytest.approx(ends) if ends is not None else None)
    assert desk.vault.fingerprint(at(path), PEPPER) != desk.vault.fingerprint(TOOL, PEPPER)


@pytest.mark.parametrize("path", ["data.nothing", "data", "data.0", "data.token.more", "list.9", "list.x"])
def test_a_path_that_leads_to_no_string_shows_those_that_do_and_no_value(desk: Desk, path: str) -> None:
    desk.prints = {"data": {"token": "a-token", "n": 5}, "list": ["b-token"]}
    with pytest.raises(SecretMissing) as caught:
        desk.vault.secret(at(path))
    why = f"without a string at '{path}'; say which is the key by value = \"…\": data.token"
    assert why in str(caught.value)
    assert "a-token" not in str(caught.value)


def test_credentials_without_a_key_are_not_guessed_among(desk: Desk) -> None:
    desk.prints = {"Credentials": {"AccessKeyId": "A", "SecretAccessKey": "b", "SessionToken": "c"}}
    with pytest.raises(SecretMissing, match=r"Credentials\.AccessKeyId, Credentials\.SecretAccessKey"):
        desk.vault.secret(TOOL)


def test_local_time_is_read_as_such_where_a_program_writes_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        desk.prints = {"accessToken": "a-token", "expiresOn": "1970-01-12 22:50:00.000000"}
        assert desk.vault.secret(TOOL) == Secret("a-token")
        assert desk.vault.ends(TOOL) == NOW + 200
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_file_may_hold_json_too(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"tokens": {"access_token": "a-token"}}))
    key = Key(ProviderName("mimo"), "f", f"file:{path}", value="tokens.access_token")
    assert desk.vault.secret(key) == Secret("a-token")
    assert desk.vault.peek(key) == Secret("a-token")
