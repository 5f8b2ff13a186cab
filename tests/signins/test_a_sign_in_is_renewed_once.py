"""Refresh tokens that are good for one use (NousResearch/hermes-agent#22903, anomalyco/opencode#49439,
anthropics/claude-code#84440): whenever tokens are needed at the same time, in however many processes, one
asks and all go on."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import holdfast
from children import Popen
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.values.secret import Secret
from signins.authority import CANARY, Authority

WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture
def authority(home: Path) -> Iterator[Authority]:
    with Authority(thinks=0.3) as made:
        (home / "holdfast.toml").write_text(made.config())
        yield made


def signed_in(home: Path, authority: Authority, ends_in: float | None) -> SecretsFile:
    """What a sign-in of an hour ago left, its token ending `ends_in` seconds from now."""
    authority.issue()
    file, now = SecretsFile(home / "secrets.toml"), time.time()
    ends = now + ends_in if ends_in is not None else None
    file.put_grant(
        "corp", Grant("g1", 0, Secret(authority.access), Secret(authority.refresh), now - 3600, ends)
    )
    return file


def together(home: Path, processes: int, requests: int) -> int:
    """How many requests of all processes were answered well."""
    command = [sys.executable, str(WORKER), str(home), str(requests)]
    children = [
        Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        return sum(int(child.communicate(timeout=50)[0]) for child in children)
    finally:
        for child in children:
            child.kill()
            child.wait()


def ask(home: Path) -> httpx2.Response:
    with holdfast.open(home) as hf:
        session = hf.session("s", "corp/m")
        with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
            return client.post("/chat/completions", json={"model": "m", "messages": []})


def test_a_hundred_requests_of_four_processes_renew_an_ended_token_once_and_all_succeed(
    home: Path, authority: Authority
) -> None:
    signed_in(home, authority, ends_in=-10.0)
    assert together(home, 4, 25) == 100
    assert (authority.refreshes, authority.refused, authority.turned_away) == (1, 0, 0)


def test_a_hundred_requests_whose_token_was_withdrawn_before_its_end_renew_it_once(
    home: Path, authority: Authority
) -> None:
    signed_in(home, authority, ends_in=3000.0)
    authority.access = "withdrawn"
    assert together(home, 4, 25) == 100
    assert (authority.refreshes, authority.refused) == (1, 0)


def test_the_new_refresh_token_is_on_the_disk_before_the_access_token_is_used(
    home: Path, authority: Authority
) -> None:
    file = signed_in(home, authority, ends_in=-10.0)
    assert ask(home).status_code == 200
    grant = file.grant("corp")
    assert grant is not None
    assert (grant.id, grant.generation, grant.refresh, grant.access) == (
        "g1",
        1,
        Secret(authority.refresh),
        Secret(authority.access),
    )
    assert (home / "secrets.toml").stat().st_mode & 0o777 == 0o600


def test_a_sign_in_that_is_over_names_the_command_and_is_asked_about_once(
    home: Path, authority: Authority
) -> None:
    signed_in(home, authority, ends_in=-10.0)
    authority.alive = False
    for _ in range(2):
        answer = ask(home)
        assert answer.status_code == 401
        assert answer.headers["holdfast-fault"] == "auth_expired"
        assert "holdfast key login corp" in answer.text
        assert "nothing was sent" in answer.text
    assert (authority.refreshes, authority.served + authority.turned_away) == (1, 0)


def test_a_sign_in_service_that_is_down_ends_nothing(home: Path, authority: Authority) -> None:
    file = signed_in(home, authority, ends_in=-10.0)
    (home / "holdfast.toml").write_text(authority.config() + "[settings]\nwait_budget = 0\n")
    authority.broken = True
    answer = ask(home)
    assert "could not renew it now" in answer.text
    grant = file.grant("corp")
    assert grant is not None
    assert (grant.generation, grant.ended) == (0, "")
    authority.broken = False
    (home / ".oauth.corp.state").unlink()  # the rest that all processes keep
    assert ask(home).status_code == 200


def test_a_provider_without_a_sign_in_says_how_to_get_one(home: Path, authority: Authority) -> None:
    answer = ask(home)
    assert answer.headers["holdfast-fault"] == "auth_expired"
    assert "holdfast key login corp" in answer.text
    assert authority.posts == []


def test_no_token_is_in_the_store_or_in_a_message(home: Path, authority: Authority) -> None:
    signed_in(home, authority, ends_in=-10.0)
    ask(home)
    authority.alive = False
    text = ask(home).text
    stored = b"".join(
        path.read_bytes() for path in home.iterdir() if path.is_file() and path.name != "secrets.toml"
    )
    assert CANARY not in text
    assert CANARY.encode() not in stored
