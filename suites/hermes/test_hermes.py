"""hermes-agent 0.19.0 writes the sessions and loses whose they are; we heal them; it resumes them to the
right host with the right key.

What counts is what the providers saw: two scripted ones on loopback, which take one key each."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import real

from holdfast.distribution.interpreter import module_command
from holdfast.fake_provider import ScriptedProvider, only_keys, status

KEYS = {"team-a": "sk-team-a-0f1e2d3c4b5a6978", "team-b": "sk-team-b-9a8b7c6d5e4f3021"}
pytestmark = pytest.mark.timeout(600)


def answer() -> Any:
    """A streamed answer that tells its usage, without which hermes notes no billing."""
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "big"}
    delta = {
        **chunk,
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": "All quiet."}, "finish_reason": "stop"}
        ],
    }
    usage = {
        **chunk,
        "choices": [],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in (delta, usage)) + "data: [DONE]\n\n"
    return status(200, body, {"content-type": "text/event-stream"})


@pytest.fixture
def team_a() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(only_keys([KEYS["team-a"]], answer()), models=["big"]) as provider:
        yield provider


@pytest.fixture
def team_b() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(only_keys([KEYS["team-b"]], answer()), models=["big"]) as provider:
        yield provider


def furnish(home: Path, default: str, **urls: str) -> None:
    """A home with an entry for each URL, and one of them as today's default."""
    home.mkdir(exist_ok=True)
    entries = {
        name.replace("_", "-"): {"api": url, "key_env": name.upper() + "_KEY", "default_model": "big"}
        for name, url in urls.items()
    }
    (home / "config.yaml").write_text(
        json.dumps({"model": {"default": "big", "provider": default}, "providers": entries})
    )
    (home / ".env").write_text(
        "".join(f"{name.upper().replace('-', '_')}_KEY={key}\n" for name, key in KEYS.items())
    )


def heal(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """What `holdfast heal hermes --json` says."""
    command = module_command("holdfast", "heal", "hermes", "--home", str(home), "--json", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, report


def keys_seen(provider: ScriptedProvider) -> set[str | None]:
    """The keys that were shown since the last look."""
    seen = {call.key for call in provider.calls}
    provider.requests.clear()
    return seen


def test_a_session_that_would_resume_on_todays_default_returns_to_the_entry_it_was_on(
    tmp_path: Path, team_a: ScriptedProvider, team_b: ScriptedProvider
) -> None:
    home, copy = tmp_path / "hermes", tmp_path / "copy"
    furnish(home, "team-b", team_a=team_a.url, team_b=team_b.url)
    session = real.begin_in_tui(home)
    assert keys_seen(team_b) == {KEYS["team-b"]}
    furnish(home, "team-a", team_a=team_a.url, team_b=team_b.url)

    shutil.copytree(home, copy)
    real.resume_in_tui(copy, session)
    assert (keys_seen(team_a), keys_seen(team_b)) == ({KEYS["team-a"]}, set()), "the loss that is healed"

    code, report = heal(home)
    assert (
        code,
        [
            (session["id"], session["state"], session["today"]["entry"], session["belongs"])
            for session in report["sessions"]
        ],
    ) == (
        1,
        [(session, "wrong place", "team-a", "custom:team-b")],
    )
    assert heal(home, "--apply")[0] == 0
    real.resume_in_tui(home, session)
    assert (keys_seen(team_a), keys_seen(team_b)) == (set(), {KEYS["team-b"]})
    code, report = heal(home, "--apply")
    assert (code, report["healed"]) == (0, [])


def test_a_session_of_an_editor_takes_no_openrouter_key_to_a_private_host(
    tmp_path: Path, team_a: ScriptedProvider, team_b: ScriptedProvider
) -> None:
    home, copy = tmp_path / "hermes", tmp_path / "copy"
    furnish(home, "team-b", team_a=team_a.url, team_b=team_b.url)
    session = real.over_acp(home)
    assert keys_seen(team_b) == {KEYS["team-b"]}

    shutil.copytree(home, copy)
    stray = {"OPENROUTER" + "_API_KEY": "sk-or-v1-of-somebody-else"}
    real.over_acp(copy, session, **stray)
    assert "sk-or-v1-of-somebody-else" in keys_seen(team_b), (
        "the leak that is healed (NousResearch/hermes-agent#90088)"
    )

    assert heal(home, "--apply")[0] == 0
    real.over_acp(home, session, **stray)
    assert (keys_seen(team_a), keys_seen(team_b)) == (set(), {KEYS["team-b"]})


def test_a_session_of_the_second_entry_at_one_url_is_asked_about_and_then_has_its_own_key(
    tmp_path: Path, team_b: ScriptedProvider
) -> None:
    home = tmp_path / "hermes"
    furnish(home, "team-b", team_a=team_b.url, team_b=team_b.url)
    session = real.begin_in_tui(home)
    furnish(home, "team-a", team_a=team_b.url, team_b=team_b.url)
    keys_seen(team_b)
    code, report = heal(home, "--apply")
    (row,) = report["sessions"]
    assert (code, row["state"], row["today"]["entry"], row["candidates"], report["healed"]) == (
        1,
        "cannot be told",
        "team-a",
        ["team-a", "team-b"],
        [],
    )

    assert heal(home, "--choose", f"{session}=team-b", "--apply")[0] == 0
    real.resume_in_tui(home, session)
    assert keys_seen(team_b) == {KEYS["team-b"]}
