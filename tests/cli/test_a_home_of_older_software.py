"""A home that the software of commit 6f19264 made opens, and each of its sessions goes on exactly as its user
chose (tests/fixtures)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdfast
from cli.furnishing import Cli, child_environment
from fixtures.old_home import MADE, SESSIONS, OldHome, old_home
from holdfast.sdk.api import NOWHERE
from holdfast.store.events import EventKind

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def old(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OldHome]:
    with old_home(clean_environment, monkeypatch) as made:
        yield made


def pins() -> dict[str, str]:
    """What each session is on."""
    return {name: one["pin"] for name, one in SESSIONS.items()}


def expected(name: str) -> dict[str, Any]:
    """What must come of one more request: its status, where it arrives, for which model, and with which key
    if that was settled."""
    then = SESSIONS[name]
    found = {part: then.get(part) for part in ("status", "at", "model", "sent_key")}
    if then["key"] is None and str(then["kept_key"]).startswith("k"):  # the pool's choice, by a position
        found["sent_key"] = None
    return found


def came_of(old: OldHome, name: str, status: int) -> dict[str, Any]:
    """The same of the request that was just sent."""
    told: dict[str, Any] = {"status": status, "at": None, "model": None, "sent_key": None}
    for at, seen in old.arrived():
        told |= {"at": at, "model": seen.model, "sent_key": seen.key}
    if expected(name)["sent_key"] is None and expected(name)["at"] is not None:
        told["sent_key"] = None
    return told


@contextmanager
def serving() -> Iterator[str]:
    """A gateway of this home in another process; its address."""
    command = [sys.executable, "-m", "holdfast", "serve", "--json"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, env=child_environment(), **pipes) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def test_every_session_of_an_old_home_is_listed_with_its_pin_and_resumes(cli: Cli, old: OldHome) -> None:
    listed = {one["id"]: one for one in json.loads(cli("session", "list", "--json").stdout)}
    assert {name: one["pin"] for name, one in listed.items()} == pins()
    assert {name: one["why_not"] for name, one in listed.items() if not one["resumes"]} == {}
    standing = {name: one["stand_in"]["rung"] for name, one in listed.items() if one["stand_in"]}
    assert standing == {name: one["stands_in"] for name, one in SESSIONS.items() if one["stands_in"]}


def test_every_session_of_an_old_home_is_shown_and_explained(cli: Cli, old: OldHome) -> None:
    for name, then in SESSIONS.items():
        shown, told = cli("session", "show", name), cli("why", name)
        assert (shown.exit_code, told.exit_code) == (0, 0), name
        assert then["pin"] in shown.stdout
        provider, _, model = (then["stands_in"] or then["pin"]).partition("/")
        assert told.stdout.splitlines()[0].split() == ["provider", provider]
        assert f"model     {model}" in told.stdout


def test_every_session_of_an_old_home_resumes_in_the_library_on_exactly_its_pin_and_key(old: OldHome) -> None:
    resumed, told = {}, {}
    with holdfast.open(old.path) as held:
        for name in SESSIONS:
            session = held.session(name)
            resumed[name] = str(session.pin)
            with httpx2.Client(transport=session.transport(), base_url=f"{NOWHERE}/v1") as client:
                answer = client.post("/chat/completions", json={"model": session.model, "messages": MESSAGES})
            told[name] = came_of(old, name, answer.status_code)
    assert resumed == pins()
    assert told == {name: expected(name) for name in SESSIONS}


def test_every_session_of_an_old_home_goes_on_at_a_gateway_with_the_token_of_then(old: OldHome) -> None:
    told = {}
    headers = {"authorization": f"Bearer {MADE['token']}"}
    with serving() as url, httpx2.Client(base_url=url, headers=headers, trust_env=False) as client:
        for name, then in SESSIONS.items():
            body = {"model": then["pin"].partition("/")[2], "messages": MESSAGES}
            answer = client.post(f"/s/{name}/v1/chat/completions", json=body)
            told[name] = came_of(old, name, answer.status_code)
    assert told == {name: expected(name) for name in SESSIONS}


def test_every_kind_of_journal_line_of_an_old_home_is_told_in_words(cli: Cli, old: OldHome) -> None:
    with holdfast.open(old.path) as held:
        events = held.engine.store.journal(limit=10_000)
    kinds = {event.kind for event in events}
    assert set(EventKind) - kinds <= {EventKind.KEY_CHANGED}, "no software wrote the others"
    for session in {event.session for event in events if event.session}:
        assert "(not recorded)" not in cli("why", session).stdout
    attempts = [event for event in events if event.kind is EventKind.ATTEMPT and event.session == "plain"]
    assert cli("why", attempts[0].request).stdout.startswith("provider  house")


def test_what_an_old_home_remembers_of_keys_tokens_and_set_ups_is_still_known(cli: Cli, old: OldHome) -> None:
    keys = json.loads(cli("key", "list", "--json").stdout)
    assert {one["provider"] for one in keys if one["evidence"]} >= {
        "house",
        "pool",
        "spare",
        "doors",
        "team",
        "tired",
    }
    verdicts = {one["provider"]: one["verdicts"][0]["fault"] for one in keys if one["verdicts"]}
    assert verdicts == {"pool": "quota_window", "busy": "quota_exhausted"}
    tokens = json.loads(cli("token", "list", "--json").stdout)
    assert {one["label"]: bool(one["revoked_at"]) for one in tokens} == {
        "laptop": False,
        "ci": False,
        "lost": True,
    }
    (team,) = json.loads(cli("provision", "status", "--json").stdout)
    assert (team["name"], team["state"]) == ("team", "verified")
    assert cli("doctor").exit_code == 0
