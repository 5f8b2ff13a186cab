"""Where we say that hermes-agent 0.19.0 sends a session is compared with what its own code decides, row by
row."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import real

from holdfast.importers.hermes_home import read_home
from holdfast.importers.hermes_resume import goes_to
from holdfast.importers.hermes_rows import row_of
from holdfast.importers.hermes_verdicts import judge

A, B, GONE = "http://127.0.0.1:9101/v1", "http://127.0.0.1:9102/v1", "http://127.0.0.1:9103/v1"
ENTRIES = {
    "team-a": {"api": A, "key_env": "TEAM_A_KEY"},
    "team-b": {"name": "Second Team", "api": B, "key_env": "TEAM_B_KEY"},
}
TWIN = {"team-a": {"api": A, "api_key": "sk-inline-team-a"}, "twin": {"api": A, "key_env": "TEAM_B_KEY"}}
pytestmark = pytest.mark.timeout(600)
HOMES: dict[str, dict[str, Any]] = {
    "two entries": {"model": {"default": "big", "provider": "team-a"}, "providers": ENTRIES},
    "a list": {
        "model": {"default": "big", "provider": "custom:team-b"},
        "custom_providers": [{"name": "Team B", "base_url": B, "key_env": "TEAM_B_KEY"}],
    },
    "one URL": {"model": {"default": "big", "provider": "twin"}, "providers": TWIN},
    "no name": {
        "model": {"default": "big", "provider": "custom", "base_url": A, "api_key": "sk-in-the-block"},
        "providers": {"team-b": ENTRIES["team-b"]},
    },
    "known": {"model": {"default": "big", "provider": "deepseek"}, "providers": ENTRIES},
}
KEYS = {
    "TEAM_A_KEY": "sk-team-a-0f1e2d3c4b5a6978",
    "TEAM_B_KEY": "sk-team-b-9a8b7c6d5e4f3021",
    "DEEPSEEK" + "_API_KEY": "sk-deepseek-0123456789",
}
STRAY = "sk-or-v1-of-somebody-else"
HERE = {"OPENROUTER" + "_API_KEY": STRAY}
"""The environment in which hermes is asked."""

DECIDE = """
import json, sys
import run_agent
class Recorder:
    def __init__(self, **given):
        self.given = given
        self.model = given.get("model")
run_agent.AIAgent = Recorder
from tui_gateway import server
from acp_adapter.session import SessionManager
decided = []
for row in json.load(sys.stdin):
    try:
        if row["source"] == "acp":
            agent = None
            class Db:
                def get_session(self, _): return row
                def get_messages_as_conversation(self, *_, **__): return []
            manager = SessionManager(db=Db())
            state = manager._restore(row["id"])
            agent = state.agent
        else:
            overrides = server._stored_session_runtime_overrides(row)
            agent = server._make_agent(
                "sid", row["id"], session_id=row["id"], session_db=object(), **overrides
            )
        given = agent.given
        decided.append({"url": given.get("base_url") or "", "key": str(given.get("api_key") or "")})
    except Exception as error:
        decided.append({"refused": type(error).__name__ + ": " + str(error)})
with open(sys.argv[1], "w") as out:  # hermes keeps stdout for itself
    json.dump(decided, out)
"""


def rows() -> Iterator[dict[str, Any]]:
    """Every combination of what the columns and `model_config` may say."""
    providers = (
        "",
        "custom",
        "custom:team-b",
        "team-a",
        "custom:gone",
        "gone",
        "deepseek",
        "ollama",
        "auto",
        "openrouter",
    )
    for source, provider, url, billed, billed_url in itertools.product(
        ("tui", "acp"), providers, ("", A, B, GONE), ("", "custom", "deepseek", "openrouter"), ("", A, B)
    ):
        config = {
            "model": "big",
            **({"provider": provider} if provider else {}),
            **({"base_url": url} if url else {}),
        }
        columns = {
            "source": source,
            "model": "big",
            "model_config": json.dumps(config),
            "billing_provider": billed,
            "billing_base_url": billed_url,
        }
        yield {"id": f"{source}-{provider}-{url}-{billed}-{billed_url}", **columns}


def agrees(predicted: Any, decided: dict[str, str]) -> bool:
    """Whether our words fit what hermes decided: the same URL, and the key of whom we name."""
    if "refused" in decided:
        return predicted.url == "" or predicted.provider.startswith("nowhere")
    if predicted.url.rstrip("/") != decided["url"].rstrip("/") and predicted.url:
        return False
    if predicted.entry is not None and predicted.entry.keys:
        key = predicted.entry.keys[0]
        wanted = KEYS.get(key.ref.partition(":")[2], "sk-inline-team-a")
        return decided["key"] == wanted
    if "placeholder" in predicted.key:
        return decided["key"] in ("", "no-key-required")
    if "OpenRouter" in predicted.key:
        return decided["key"] in ("", STRAY, "no-key-required")
    if predicted.key == "its key":
        return decided["key"] == "sk-in-the-block"
    owners = {
        "hermes's key for openrouter": STRAY,
        "hermes's key for deepseek": KEYS["DEEPSEEK" + "_API_KEY"],
    }
    return not predicted.key or decided["key"] == owners[predicted.key]


@pytest.fixture(params=HOMES)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A home of hermes without sessions."""
    directory = tmp_path / "hermes"
    directory.mkdir()
    (directory / "config.yaml").write_text(json.dumps(HOMES[request.param]))
    (directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in KEYS.items()))
    return directory


def decide(home: Path, every: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What hermes makes of these rows."""
    inside, out = real.environment(home, **HERE), home / "decided.json"
    command = [real.PYTHON, "-c", DECIDE, str(out)]
    done = subprocess.run(
        command, input=json.dumps(every), env=inside, cwd=home, capture_output=True, text=True, check=False
    )
    assert out.exists(), done.stderr[-2000:]
    decided: list[dict[str, str]] = json.loads(out.read_text())
    return decided


def test_what_we_say_of_a_session_is_what_hermes_decides(home: Path) -> None:
    known, every = read_home(home, HERE), list(rows())
    predicted = [goes_to(known, row_of(row)) for row in every]
    decided = decide(home, every)
    wrong = [
        f"{row['id']}: we say {ours}, hermes {theirs}"
        for row, ours, theirs in zip(every, predicted, decided, strict=True)
        if not agrees(ours, theirs)
    ]
    assert not wrong, f"{len(wrong)} of {len(every)}:\n" + "\n".join(wrong[:8])


def test_every_row_that_we_heal_goes_where_we_say_that_it_belongs(home: Path) -> None:
    known = read_home(home, HERE)
    verdicts = [(row, judge(known, row_of(row))) for row in rows()]
    healed = [
        ({**row, "model_config": verdict.config}, verdict)
        for row, verdict in verdicts
        if verdict.config is not None
    ]
    is_shared = len({entry.url for entry in known.entries}) < len(known.entries)
    assert healed or is_shared, "nothing is certain of two entries at one URL"
    wrong = []
    for (row, verdict), theirs in zip(healed, decide(home, [row for row, _ in healed]), strict=True):
        entry = known.named(verdict.belongs or "")
        wanted = ("https://openrouter.ai/api/v1", STRAY)
        if entry is not None:
            wanted = (entry.url, KEYS.get(entry.keys[0].ref.partition(":")[2], "sk-inline-team-a"))
        if (theirs.get("url"), theirs.get("key")) != wanted:
            wrong.append(f"{row['id']} as {verdict.belongs}: {theirs}")
    assert not wrong, f"{len(wrong)} of {len(healed)}:\n" + "\n".join(wrong[:8])
