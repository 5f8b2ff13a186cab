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
from children import Popen
from cli.furnishing import Cli, child_environment
from fixtures.old_home import MADE, SESSIONS, OldHome, old_home
from holdfast.config import Home
from holdfast.engine import home_store
from holdfast.sdk.api import NOWHERE, open_store
from holdfast.store.journal_events import EventKind

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def old(clean_environment: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Iterator[OldHome]:
    """The home in place, with its holdfast.toml as old as it was then: no program can set the clock of a file
    back."""
    with old_home(clean_environment, monkeypatch) as made:
        monkeypatch.setattr(home_store, "unchanged_since", lambda home: made.written_at)
        assert cli("config", "upgrade").exit_code == 0
        yield made


def pins() -> dict[str, str]:
    """What each session is on."""
    return {name: row["pin"] for name, row in SESSIONS.items()}


def expected(name: str) -> dict[str, Any]:
    """What must come of one more request: its status, where it arrives, for which model, and with which key
    if that was settled."""
    then = SESSIONS[name]
    wanted = {part: then.get(part) for part in ("status", "at", "model", "sent_key")}
    if then["key"] is None and str(then["kept_key"]).startswith("k"):  # the pool's choice, by a position
        wanted["sent_key"] = None
    return wanted


def came_of(old: OldHome, name: str, status: int) -> dict[str, Any]:
    """The same of the request that was just sent."""
    results: dict[str, Any] = {"status": status, "at": None, "model": None, "sent_key": None}
    for at, seen in old.arrived():
        results |= {"at": at, "model": seen.model, "sent_key": seen.key}
    if expected(name)["sent_key"] is None and expected(name)["at"] is not None:
        results["sent_key"] = None
    return results


@contextmanager
def serving() -> Iterator[str]:
    """A gateway of this home in another process; its address."""
    command = [sys.executable, "-m", "holdfast", "serve", "--json"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with Popen(command, env=child_environment(), **pipes) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def test_every_session_of_an_old_home_is_listed_with_its_pin_and_resumes(cli: Cli, old: OldHome) -> None:
    listed = {row["id"]: row for row in json.loads(cli("session", "list", "--json").stdout)}
    assert {name: row["pin"] for name, row in listed.items()} == pins()
    assert {name: row["why_not"] for name, row in listed.items() if not row["resumes"]} == {}
    in_use = {name: row["fallback"]["pin"] for name, row in listed.items() if row["fallback"]}
    assert in_use == {name: row["stands_in"] for name, row in SESSIONS.items() if row["stands_in"]}


def test_every_session_of_an_old_home_is_shown_and_explained(cli: Cli, old: OldHome) -> None:
    for name, then in SESSIONS.items():
        shown, results = cli("session", "show", name), cli("why", name)
        assert (shown.exit_code, results.exit_code) == (0, 0), name
        assert then["pin"] in shown.stdout
        provider, _, model = (then["stands_in"] or then["pin"]).partition("/")
        assert results.stdout.splitlines()[0].split() == ["provider", provider]
        assert f"model     {model}" in results.stdout


def test_every_session_of_an_old_home_resumes_in_the_library_on_exactly_its_pin_and_key(old: OldHome) -> None:
    resumed, results = {}, {}
    with holdfast.open(old.path) as held:
        for name in SESSIONS:
            session = held.session(name)
            resumed[name] = str(session.pin)
            with httpx2.Client(transport=session.transport(), base_url=f"{NOWHERE}/v1") as client:
                answer = client.post("/chat/completions", json={"model": session.model, "messages": MESSAGES})
            results[name] = came_of(old, name, answer.status_code)
    assert resumed == pins()
    assert results == {name: expected(name) for name in SESSIONS}


def test_every_session_of_an_old_home_goes_on_at_a_gateway_with_the_token_of_then(old: OldHome) -> None:
    open_store(Home.at(old.path)).close()
    results = {}
    headers = {"authorization": f"Bearer {MADE['token']}"}
    with serving() as url, httpx2.Client(base_url=url, headers=headers, trust_env=False) as client:
        for name, then in SESSIONS.items():
            body = {"model": then["pin"].partition("/")[2], "messages": MESSAGES}
            answer = client.post(f"/s/{name}/v1/chat/completions", json=body)
            results[name] = came_of(old, name, answer.status_code)
    assert results == {name: expected(name) for name in SESSIONS}


def test_every_kind_of_journal_line_of_an_old_home_is_shown_in_words(cli: Cli, old: OldHome) -> None:
    with holdfast.open(old.path) as held:
        events = held.engine.store.journal(limit=10_000)
    kinds = {event.kind for event in events}
    never = {EventKind.KEY_CHANGED, EventKind.FORMER_NAME, EventKind.REFUSED_ELSEWHERE, EventKind.GIVEN_UP}
    assert set(EventKind) - kinds == never | {EventKind.TRANSLATED}, "which that software never wrote"
    for session in {event.session for event in events if event.session}:
        assert "(not recorded)" not in cli("why", session).stdout
    attempts = [event for event in events if event.kind is EventKind.ATTEMPT and event.session == "plain"]
    assert cli("why", attempts[0].request).stdout.startswith("provider  house")


def test_what_an_old_home_remembers_of_keys_tokens_and_set_ups_is_still_known(cli: Cli, old: OldHome) -> None:
    keys = json.loads(cli("key", "list", "--json").stdout)
    assert {row["provider"] for row in keys if row["evidence"]} >= {
        "house",
        "pool",
        "spare",
        "doors",
        "team",
        "tired",
    }
    verdicts = {row["provider"]: row["verdicts"][0]["fault"] for row in keys if row["verdicts"]}
    assert verdicts == {"pool": "quota_window", "busy": "quota_exhausted"}
    tokens = json.loads(cli("token", "list", "--json").stdout)
    assert {row["label"]: bool(row["revoked_at"]) for row in tokens} == {
        "laptop": False,
        "ci": False,
        "lost": True,
    }
    (team,) = json.loads(cli("provision", "status", "--json").stdout)
    assert (team["name"], team["state"]) == ("team", "verified")
    assert cli("doctor").exit_code == 0
