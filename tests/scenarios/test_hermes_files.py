"""What Hermes itself has stored, as it left it: healed where it is certain, asked about where it is not
(`holdfast heal hermes`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from importers.homes import (
    CONFIG,
    KEY_A,
    KEY_B,
    SHARED,
    A,
    B,
    billed,
    configs,
    everything,
    hermes_home,
    stored,
)
from scenarios.stage import TEXT, Face, Stage, hermes, keys_seen, scenario, value_of

KEYS = f"TEAM_A_KEY={KEY_A}\nTEAM_B_KEY={KEY_B}\n"


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a Hermes home will be."""
    monkeypatch.setenv("HERMES_HOME", str(tmp_path / "hermes"))
    return tmp_path / "hermes"


@scenario(
    "T1 T2 T3",
    *hermes(44108, 44022, 74628),
    elsewhere=(
        "Rows of the terminal and of ACP that hold only `custom` and a URL resume on whatever is the "
        "default today, or at OpenRouter."
    ),
    here=(
        "`holdfast heal hermes` shows for every row where it goes and where it belongs; `--apply` writes "
        "the entry's name, `--undo` restores the file."
    ),
    only=Face.COMMAND_LINE,
)
def test_rows_that_lost_their_entry_get_it_back(stage: Stage, theirs: Path) -> None:
    rows = [billed("terminal", B), stored("editor", "custom", B, source="acp"), billed("fine", A)]
    hermes_home(theirs, CONFIG, *rows, env=KEYS)
    before = everything(theirs)
    result = stage.command("heal", "hermes")
    assert "1 resume, 2 would go to the wrong place, 0 have no key, 0 cannot be told" in result.stdout
    assert everything(theirs) == before, "a look changes nothing"
    assert stage.command("heal", "hermes", "--apply").returncode == 0
    assert {name: (row or {}).get("provider") for name, row in configs(theirs).items()} == {
        "terminal": "custom:team-b",
        "editor": "custom:team-b",
        "fine": None,
    }


@scenario(
    "T6 T7",
    *hermes(9315, 14141, 102725),
    elsewhere=(
        "Two entries share a URL; a row that holds the URL only resumes with the first one's key, "
        "without a word."
    ),
    here=(
        "Nothing is guessed: both entries are named, nothing is changed, and `--choose SESSION=ENTRY` "
        "decides."
    ),
    only=Face.COMMAND_LINE,
)
def test_a_row_that_could_be_two_entries_is_asked_about(stage: Stage, theirs: Path) -> None:
    hermes_home(theirs, SHARED, billed("either", A), env=KEYS)
    result = stage.command("heal", "hermes", "--apply")
    assert result.returncode == 1
    assert "team-a or team-b" in result.stdout
    assert configs(theirs) == {"either": None}
    assert stage.command("heal", "hermes", "--choose", "either=team-b", "--apply").returncode == 0
    assert configs(theirs)["either"]["provider"] == "custom:team-b"


@scenario(
    "T24 M3",
    *hermes(43586, 44666),
    elsewhere=(
        "The same entry gets the key of its variable, of its file or none, depending on which other "
        "lists there are."
    ),
    here=(
        "`holdfast import hermes` takes the entry with its URL and its key by reference; a session on it "
        "sends that key there."
    ),
)
def test_an_imported_entry_keeps_its_url_and_its_key(stage: Stage, theirs: Path) -> None:
    stage.own("a")
    plan = stage.provider()
    config = (
        f"model: {{default: m1, provider: plan}}\nproviders:\n"
        f"  plan: {{api: {plan.url}, key_env: KEY_A, models: [m1]}}\ncustom_providers:\n"
    )
    hermes_home(
        theirs,
        config + f"  - {{name: Other, base_url: {B}, api_key: sk-other-0f1e2d3c4b5a6978, models: [m1]}}\n",
    )
    done = stage.command("import", "hermes", "--apply")
    assert done.returncode == 0, done.stderr + done.stdout
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    assert keys_seen(plan) == ["a"]
    assert value_of("a") not in (stage.path / "holdfast.toml").read_text()
