"""`wif:NAME`: a workload shows an assertion to a token service and uses the access token that it gets, for as
long as that lives. The assertion goes to the token service alone, the access token to the provider alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest

import holdfast
from cli.conftest import Cli
from holdfast.core.errors import ConfigError
from holdfast.credentials import cached_source
from signins.authority import EXPIRED, SERVED, JsonHandler

JWT = "eyJ-assertion-canary-0001"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class TokenService:
    """A scripted token service, and the API that its tokens open. `says` is answered instead, once each;
    `life` is how long tokens live (seconds)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.calls: list[str] = []
        self.says: list[tuple[int, dict[str, Any]]] = []
        self.life, self.number = 3600.0, 0
        handler = type("Handler", (_Handler,), {"service": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def token(self) -> str:
        return f"at-canary-{self.number:04d}"

    def issue(self) -> tuple[int, dict[str, Any]]:
        if self.says:
            return self.says.pop(0)
        self.number += 1
        return 200, {"access_token": self.token, "token_type": "Bearer", "expires_in": self.life}


class _Handler(JsonHandler, BaseHTTPRequestHandler):
    service: TokenService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        kind, service = self.headers["content-type"], self.service
        if self.path == "/token":
            fields = json.loads(body) if kind == "application/json" else dict(parse_qsl(body))
            service.asked.append((kind, str(self.headers["authorization"]), fields))
            self.tell(*service.issue())
            return
        service.calls.append(f"{self.headers['authorization']} {body}")
        is_good = self.headers["authorization"] == f"Bearer {service.token}"
        self.tell(*(SERVED if is_good else EXPIRED))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenService]:
    monkeypatch.setattr(cached_source, "_FIRST_REST", 0.05)
    service = TokenService()
    yield service
    service.server.shutdown()
    service.server.server_close()


@pytest.fixture
def assertion(tmp_path: Path) -> Path:
    path = tmp_path / "projected" / "token"
    path.parent.mkdir()
    path.write_text(JWT + "\n")
    return path


def configured(home: Path, service: TokenService, reference: str, more: str = "") -> None:
    (home / "holdfast.toml").write_text(
        f'[provider.corp]\nurl = "{service.root}/v1"\nmodels = ["m"]\nkeys = ["wif:corp"]\n[signin.corp]\n'
        f'token_url = "{service.root}/token"\nassertion = "{reference}"\n{more}'
    )


def ask(hf: holdfast.Holdfast) -> int:
    session = hf.session("s", "corp/m")
    with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
        return client.post("/chat/completions", json={"model": "m", "messages": []}).status_code


KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "jwt-bearer": ("", "form", {"grant_type": JWT_BEARER, "assertion": JWT}),
    "token-exchange": (
        'audience = "api"\n',
        "form",
        {
            "grant_type": EXCHANGE,
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "audience": "api",
            "subject_token": JWT,
        },
    ),
    "anthropic": (
        'fields = { federation_rule_id = "fdrl_1", organization_id = "o", service_account_id = "svac_1" }\n',
        "json",
        {
            "grant_type": JWT_BEARER,
            "assertion": JWT,
            "federation_rule_id": "fdrl_1",
            "organization_id": "o",
            "service_account_id": "svac_1",
        },
    ),
    "google": (
        'audience = "//iam.googleapis.com/projects/1/workloadIdentityPools/p/providers/q"\n',
        "form",
        {
            "grant_type": EXCHANGE,
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "audience": "//iam.googleapis.com/projects/1/workloadIdentityPools/p/providers/q",
            "subject_token": JWT,
        },
    ),
    "azure": (
        'client_id = "c"\nscopes = ["https://cognitiveservices.azure.com/.default"]\n',
        "form",
        {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_id": "c",
            "scope": "https://cognitiveservices.azure.com/.default",
            "client_assertion": JWT,
        },
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_assertion_is_exchanged_once_for_a_token_that_serves(
    kind: str, home: Path, service: TokenService, assertion: Path
) -> None:
    more, form, sent = KINDS[kind]
    configured(home, service, f"file:{assertion}", f'kind = "{kind}"\n{more}')
    with holdfast.open() as hf:
        assert [ask(hf) for _ in range(3)] == [200] * 3
    ((content_type, authorization, fields),) = service.asked
    assert (form in content_type, authorization, fields) == (True, "None", sent)
    assert all(call.startswith(f"Bearer {service.token} ") and JWT not in call for call in service.calls)
    assert JWT not in (home / "holdfast.toml").read_text()
    assert not (home / "secrets.toml").exists(), "nothing is kept"


def test_a_token_that_ends_or_is_refused_is_exchanged_again_with_the_newest_assertion(
    home: Path, service: TokenService, assertion: Path
) -> None:
    configured(home, service, f"file:{assertion}")
    service.life = 0.2
    with holdfast.open() as hf:
        assert ask(hf) == 200
        time.sleep(0.15)
        assertion.write_text(JWT + "-2")
        service.life = 3600
        assert ask(hf) == 200
        service.number += 1
        assert ask(hf) == 200, "the service withdrew it before its end"
    assert [fields["assertion"] for _, _, fields in service.asked] == [JWT, f"{JWT}-2", f"{JWT}-2"]


def test_a_program_may_give_the_assertion(home: Path, service: TokenService, assertion: Path) -> None:
    configured(home, service, f"cmd:cat {assertion}")
    with holdfast.open() as hf:
        assert ask(hf) == 200


def test_an_assertion_that_ended_while_it_was_cached_is_read_again(
    home: Path, service: TokenService, tmp_path: Path
) -> None:
    helper, printed = tmp_path / "helper", tmp_path / "printed"
    helper.write_text(f"#!/bin/sh\ncat {printed}\n")
    helper.chmod(0o755)
    printed.write_text("assertion-1")
    configured(home, service, f"cmd:{helper}")
    service.life = 0.01
    ended = 401, {"error": "invalid_client", "error_description": "AADSTS700024: not within its time range"}
    with holdfast.open(home) as hf:
        assert ask(hf) == 200
        time.sleep(0.02)
        service.says, _ = [ended], printed.write_text("assertion-2")
        assert ask(hf) == 200
        assert [fields["assertion"] for _, _, fields in service.asked] == [
            "assertion-1",
            "assertion-1",
            "assertion-2",
        ]
        time.sleep(0.02)
        service.says = [ended]
        assert ask(hf) == 401
    assert len(service.asked) == 4, "the same assertion is not shown twice"


def test_a_token_service_in_trouble_is_waited_for(home: Path, service: TokenService, assertion: Path) -> None:
    configured(home, service, f"file:{assertion}")
    service.says = [(503, {}), (429, {"error": "slow_down"})]
    with holdfast.open() as hf:
        assert ask(hf) == 200
    assert len(service.asked) == 3


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((400, {"error": "invalid_grant"}), "the token service refuses the assertion: invalid_grant"),
        ((401, {}), "the token service refuses the assertion: HTTP 401"),
        ((400, {"error": JWT}), "the token service refuses the assertion: …0001"),
    ],
)
def test_a_refused_assertion_is_told_without_being_repeated(
    home: Path, service: TokenService, assertion: Path, answer: tuple[int, dict[str, Any]], why: str
) -> None:
    configured(home, service, f"file:{assertion}")
    service.says = [answer] * 5
    with holdfast.open() as hf:
        assert ask(hf) == 401
        text = hf.session("s").explain()
    assert why in text
    assert JWT not in text


def test_an_assertion_that_cannot_be_read_is_sent_nowhere(
    home: Path, service: TokenService, cli: Cli, tmp_path: Path
) -> None:
    configured(home, service, f"file:{tmp_path}/none")
    result = cli("check", "corp/m")
    assert "the assertion cannot be read: file:" in result.stderr
    assert service.asked == []


@pytest.mark.parametrize(
    ("more", "key", "what"),
    [
        ('kind = "anthropic"\n', "wif:corp", "signin.corp: has no federation_rule_id"),
        ('kind = "azure"\n', "wif:corp", "signin.corp: has no client_id"),
        ('kind = "google"\n', "wif:corp", "signin.corp: has no audience"),
        ('kind = "aws"\n', "wif:corp", "signin.corp.kind: must be one of jwt-bearer, token-exchange"),
        ("", "oauth:corp", "[signin.corp] has an assertion: nobody signs in there"),
        ("", "wif:other", "there is no table [signin.other]"),
        ('token_url = "http://login.example/t"\n', "wif:corp", "is not https"),
    ],
)
def test_a_workload_that_cannot_be_is_refused_with_its_place(
    home: Path, service: TokenService, more: str, key: str, what: str
) -> None:
    configured(home, service, "file:/var/run/token", more)
    path = home / "holdfast.toml"
    text = path.read_text().replace("wif:corp", key)
    if "token_url" in more:
        text = text.replace(f'token_url = "{service.root}/token"\n', "")
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        holdfast.open()
    assert what in str(caught.value)


def test_a_sign_in_of_a_person_has_no_assertion_to_show(home: Path, service: TokenService) -> None:
    configured(home, service, "file:/x")
    path = home / "holdfast.toml"
    person = 'client_id = "c"\ndevice_url = "https://login.example/d"\n'
    path.write_text(path.read_text().replace('assertion = "file:/x"\n', person))
    with pytest.raises(ConfigError, match=r"\[signin.corp\] has no assertion"):
        holdfast.open()
