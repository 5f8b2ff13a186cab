"""Signing in from the command line: a code typed elsewhere, or a browser that comes back; and keys that the
program itself supplies."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdfast
from cli.furnishing import Cli
from holdfast.config import Home
from holdfast.config import load as load_config
from holdfast.core.errors import ConfigError
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.credentials.token_answers import TokenAnswer
from holdfast.engine import login
from holdfast.engine.token_service import Post, TokenService, post
from holdfast.values.secret import Secret
from signins.authority import CANARY, Authority


@pytest.fixture
def authority(home: Path) -> Iterator[Authority]:
    with Authority() as made:
        (home / "holdfast.toml").write_text(made.config())
        yield made


def service(home: Path, send: Post = post) -> TokenService:
    """The service of the sign-in `corp`."""
    return TokenService(load_config(Home.at(home)).sign_ins["corp"], send)


def chat(session: holdfast.Session) -> httpx2.Response:
    with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
        return client.post("/chat/completions", json={"model": "m", "messages": []})


def test_a_code_typed_on_another_device_signs_in_and_the_token_serves(
    cli: Cli, home: Path, authority: Authority
) -> None:
    authority.pending = 0
    result = cli("key", "login", "corp", "--device")
    assert result.exit_code == 0, result.stderr
    assert "type the code WDJB-MJHT" in result.stdout
    assert CANARY not in result.stdout + result.stderr
    asked = authority.posts[-1][1]
    assert asked == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": f"dc-{CANARY}",
        "client_id": "holdfast-test",
    }
    with holdfast.open() as hf:
        assert chat(hf.session("s", "corp/m")).status_code == 200
    listed = cli("key", "list", "corp").stdout
    assert "its token ends" in listed
    assert CANARY not in listed


def test_a_browser_that_comes_back_signs_in_with_a_proof_that_only_this_process_holds(
    authority: Authority, home: Path
) -> None:
    def visit(url: str) -> None:
        threading.Thread(target=lambda: httpx2.get(url, follow_redirects=True, trust_env=False)).start()

    lines: list[str] = []
    grant = login.by_browser(service(home), lines.append, visit=visit)
    assert (grant.access, grant.refresh, grant.generation) == (
        Secret(authority.access),
        Secret(authority.refresh),
        0,
    )
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(lines[0].split()[-1]).query))
    assert (asked["code_challenge_method"], asked["scope"], asked["client_id"]) == (
        "S256",
        "chat",
        "holdfast-test",
    )
    assert authority.posts[-1][1]["code_verifier"] not in lines[0]


def test_a_service_that_repeats_what_it_was_sent_does_not_get_it_printed(
    authority: Authority, home: Path
) -> None:
    offer = json.dumps({"device_code": "quiet-device-code", "user_code": "u", "expires_in": 60}).encode()
    echo = json.dumps(
        {"error": "invalid_request", "error_description": "no device quiet-device-code here"}
    ).encode()
    answers = [(200, offer), (400, echo)]
    with pytest.raises(login.NotSignedIn) as caught:
        login.by_device(
            service(home, lambda url, fields: TokenAnswer(*answers.pop(0))),
            lambda _: None,
            sleep=lambda _: None,
        )
    assert "quiet-device-code" not in str(caught.value)
    assert "invalid_request no device …code here" in str(caught.value)


def test_a_stranger_who_comes_to_the_port_without_our_state_is_sent_away(
    authority: Authority, home: Path
) -> None:
    statuses: list[int] = []

    def visit(url: str) -> None:
        back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))["redirect_uri"]

        def strangers() -> None:
            queries = ("code=stolen", "code=stolen&state=guessed", "error=access_denied")
            statuses.extend(httpx2.get(f"{back}?{query}", trust_env=False).status_code for query in queries)
            httpx2.get(url, follow_redirects=True, trust_env=False)

        threading.Thread(target=strangers).start()

    grant = login.by_browser(service(home), lambda _: None, visit=visit)
    assert statuses == [404, 404, 404]
    assert grant.access == Secret(authority.access)


def test_a_browser_that_does_not_return_in_time_is_no_sign_in(authority: Authority, home: Path) -> None:
    with pytest.raises(login.NotSignedIn, match="the browser did not come back"):
        login.by_browser(service(home), lambda _: None, patience=0.05)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([(400, b'{"error": "unauthorized_client"}')], "unauthorized_client"),
        ([(0, b"ConnectError")], "ConnectError"),
        ([(200, b"<html>")], "HTTP 200"),
        ([(200, b'{"device_code": "two\\nlines", "user_code": "u"}')], "an invalid code"),
        (
            [
                (200, b'{"device_code": "a-device-code", "user_code": "u", "expires_in": 20}'),
                (400, b'{"error": "access_denied"}'),
            ],
            "access_denied",
        ),
        (
            [
                (200, b'{"device_code": "a-device-code", "user_code": "u", "expires_in": 20}'),
                (400, b'{"error": "slow_down"}'),
            ],
            "timed out: no code was entered",
        ),
        (
            [(200, b'{"device_code": "a-device-code", "user_code": "u", "expires_in": 20}'), (503, b"")],
            "timed out: no code was entered",
        ),
    ],
)
def test_a_sign_in_that_does_not_come_about_says_why(
    authority: Authority, home: Path, answers: list[tuple[int, bytes]], message: str
) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def send(url: str, fields: Any) -> TokenAnswer:
        return TokenAnswer(*(answers.pop(0) if len(answers) > 1 else answers[0]))

    with pytest.raises(login.NotSignedIn, match=message):
        login.by_device(
            service(home, send),
            lambda _: None,
            sleep=sleep,
            clock=lambda: now[0],
        )


@pytest.mark.parametrize("as_text", [(), ("expires_in",), ("expires_in", "interval")])
def test_a_pause_longer_than_the_life_of_the_code_does_not_keep_it_from_being_asked_for_once(
    authority: Authority, home: Path, as_text: tuple[str, ...]
) -> None:
    now, asked = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def send(url: str, fields: Any) -> TokenAnswer:
        asked.append(now[0])
        answer = {
            "access_token": "a-token",
            "device_code": "a-device-code",
            "user_code": "u",
            "expires_in": 20,
            "interval": 700,
        }
        return TokenAnswer(200, json.dumps(answer | dict.fromkeys(as_text, "20")).encode())

    grant = login.by_device(
        service(home, send),
        lambda _: None,
        sleep=sleep,
        clock=lambda: now[0],
    )
    assert grant.access == Secret("a-token")
    assert asked == [0.0, pytest.approx(18.0)]


@pytest.mark.parametrize("name", ["verification_uri", "verification_url"])
def test_the_address_for_a_code_is_shown_in_the_spelling_of_each_service(
    authority: Authority, home: Path, name: str
) -> None:
    answer = {"access_token": "a-token", "device_code": "a-code", "user_code": "u", "expires_in": 20}
    body = json.dumps({**answer, name: "https://login.example/device"}).encode()
    lines: list[str] = []
    login.by_device(
        service(home, lambda url, fields: TokenAnswer(200, body)), lines.append, sleep=lambda _: None
    )
    assert lines == ["open https://login.example/device and type the code u"]


@pytest.mark.parametrize(
    ("status", "body"), [(429, b""), (429, b'{"error": "too_many_requests"}'), (408, b""), (503, b"<html>")]
)
def test_a_service_that_is_busy_while_a_code_is_typed_is_asked_again(
    authority: Authority, home: Path, status: int, body: bytes
) -> None:
    granted = {"access_token": "a-token", "device_code": "a-code", "user_code": "u", "expires_in": 60}
    offer = json.dumps(granted).encode()
    answers = [TokenAnswer(200, offer), TokenAnswer(status, body, 20.0), TokenAnswer(200, offer)]
    waits: list[float] = []
    grant = login.by_device(
        service(home, lambda url, fields: answers.pop(0)),
        lambda _: None,
        sleep=waits.append,
        clock=lambda: sum(waits),
    )
    assert grant.access == Secret("a-token")
    assert waits == [5.0, 20.0]


def test_a_code_that_is_refused_with_a_good_status_is_asked_about_no_more(
    authority: Authority, home: Path
) -> None:
    offer = b'{"device_code": "a-code", "user_code": "u", "expires_in": 60}'
    answers = [TokenAnswer(200, offer), TokenAnswer(200, b'{"error": "access_denied"}')]
    with pytest.raises(login.NotSignedIn, match="access_denied"):
        login.by_device(
            service(home, lambda url, fields: answers.pop(0)), lambda _: None, sleep=lambda _: None
        )


def test_a_stranger_who_never_finishes_a_request_delays_no_other(authority: Authority, home: Path) -> None:
    def visit(url: str) -> None:
        address = urllib.parse.urlsplit(
            dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))["redirect_uri"]
        )
        strangers.append(socket.create_connection((address.hostname, address.port)))
        strangers[0].sendall(b"GET /call")
        threading.Thread(target=lambda: httpx2.get(url, follow_redirects=True, trust_env=False)).start()

    strangers: list[socket.socket] = []
    began = time.monotonic()
    grant = login.by_browser(service(home), lambda _: None, visit=visit)
    with strangers[0]:
        assert grant.access == Secret(authority.access)
        assert time.monotonic() - began < 4


def test_a_stranger_who_never_finishes_a_request_prolongs_no_wait(authority: Authority, home: Path) -> None:
    def visit(url: str) -> None:
        address = urllib.parse.urlsplit(
            dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))["redirect_uri"]
        )
        strangers.append(socket.create_connection((address.hostname, address.port)))

    strangers: list[socket.socket] = []
    began = time.monotonic()
    with pytest.raises(login.NotSignedIn, match="the browser did not come back"):
        login.by_browser(service(home), lambda _: None, visit=visit, patience=0.2)
    with strangers[0]:
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            '[provider.p]\nurl = "https://p.example"\nkeys = ["oauth:corp"]\n',
            "there is no table [signin.corp]",
        ),
        (
            '[signin.corp]\nclient_id = "c"\ntoken_url = "https://a.example/t"\n',
            "no device_url, no authorize_url and no assertion",
        ),
        ('[signin.corp]\nclient_id = "c"\ndevice_url = "https://a.example/t"\n', "has no token_url"),
        (
            (
                '[signin.corp]\nclient_id = "c"\ntoken_url = "http://a.example/t"\n'
                'device_url = "https://a.example/t"\n'
            ),
            "is not https",
        ),
        (
            (
                '[signin.corp]\nclient_id = "c"\ntoken_url = "https://169.254.169.254/t"\n'
                'device_url = "https://a.example/t"\n'
            ),
            "metadata",
        ),
    ],
)
def test_a_sign_in_that_cannot_be_is_refused_with_its_place(home: Path, config: str, message: str) -> None:
    (home / "holdfast.toml").write_text(config)
    with pytest.raises(ConfigError) as caught:
        load_config(Home.at(home))
    assert message in str(caught.value)
    assert "holdfast.toml:" in str(caught.value)


@pytest.mark.parametrize("removed", [("key", "remove", "corp", "corp"), ("provider", "remove", "corp")])
def test_a_list_says_who_is_not_signed_in_and_a_removed_key_takes_its_sign_in_along(
    cli: Cli, home: Path, authority: Authority, removed: tuple[str, ...]
) -> None:
    assert "not signed in: holdfast key login corp" in cli("key", "list").stdout
    file = SecretsFile(home / "secrets.toml")
    file.put_grant("corp", Grant("g", 0, Secret("a-token"), None, 0.0, None))
    assert "found" in cli("key", "list").stdout
    assert cli(*removed).exit_code == 0
    assert SecretsFile(home / "secrets.toml").grant("corp") is None


def test_a_provider_without_a_sign_in_cannot_be_signed_in_for(cli: Cli, furnished: Path) -> None:
    result = cli("key", "login", "mimo")
    assert result.exit_code == 2
    assert "no key to sign in for" in result.stderr


def test_a_function_of_the_program_supplies_a_key_until_it_says_that_it_has_ended(
    home: Path, authority: Authority
) -> None:
    config = authority.config().replace("oauth:corp", "call:corp")
    (home / "holdfast.toml").write_text(config)
    calls: list[float] = []

    async def supply() -> tuple[str, float]:
        authority.issue()
        calls.append(time.time())
        return authority.access, time.time() + (0.2 if len(calls) == 1 else 3600)

    with holdfast.open(keys={"corp": supply}) as hf:
        session = hf.session("s", "corp/m")
        assert chat(session).status_code == 200
        time.sleep(0.25)
        assert [chat(session).status_code for _ in range(3)] == [200, 200, 200]
    assert len(calls) == 2


def test_a_key_that_has_ended_is_never_read_on_the_event_loop(home: Path, authority: Authority) -> None:
    (home / "holdfast.toml").write_text(authority.config().replace("oauth:corp", "call:corp"))
    readers: list[int] = []

    def supply() -> tuple[str, float]:
        readers.append(threading.get_ident())
        authority.issue()
        return authority.access, time.time() + 0.05

    async def turns(session: holdfast.Session) -> list[int]:
        async with httpx2.AsyncClient(
            transport=session.async_transport(), base_url="http://holdfast.invalid/v1"
        ) as client:
            tokens = []
            for _ in range(3):
                tokens.append(
                    (await client.post("/chat/completions", json={"model": "m", "messages": []})).status_code
                )
                await asyncio.sleep(0.06)
            return tokens

    with holdfast.open(keys={"corp": supply}) as hf:
        assert asyncio.run(turns(hf.session("s", "corp/m"))) == [200, 200, 200]
    assert len(readers) >= 3
    assert threading.get_ident() not in readers


@pytest.mark.parametrize(
    ("supply", "status", "message"),
    [
        (None, 401, "only the program that supplies it can read it"),
        (lambda: 1 / 0, 503, "the program's function raised ZeroDivisionError"),
        (lambda: 7, 401, "gave a int, not a string"),
        (lambda: "", 401, "its value cannot be empty"),
    ],
)
def test_a_function_that_gives_no_key_is_reported_without_its_words(
    home: Path, authority: Authority, supply: Any, status: int, message: str
) -> None:
    config = authority.config().replace("oauth:corp", "call:corp")
    (home / "holdfast.toml").write_text(f"{config}[settings]\nwait_budget = 0\n")
    with holdfast.open(keys={"corp": supply} if supply else None) as hf:
        session = hf.session("s", "corp/m")
        assert chat(session).status_code == status
        assert message in session.explain()
    assert authority.served + authority.turned_away == 0


def test_a_rename_of_another_provider_and_a_damaged_grant_lose_no_sign_in(home: Path) -> None:
    file = SecretsFile(home / "secrets.toml")
    text = (
        '["oauth:corp"]\nid = "g"\naccess = "a-token"\nrefresh = "r-token"\nexpires_at = 12.5\n'
        'generation = 3\n[mimo]\na = "key-of-mimo"\n'
    )
    file.path.write_text(text)
    file.copy("mimo", "plan")
    kept = SecretsFile(home / "secrets.toml").grant("corp")
    assert kept is not None
    assert (kept.generation, kept.expires_at, kept.refresh) == (3, 12.5, Secret("r-token"))
    file.path.write_text('["oauth:corp"]\nid = "g"\naccess = 7\n')
    with pytest.raises(ConfigError, match="set aside"):
        file.grant("corp")
