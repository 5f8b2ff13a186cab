"""`holdfast heal hermes`: what it prints, what it changes and what it leaves."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli.furnishing import Cli
from importers.homes import (
    CONFIG,
    KEY_B,
    SHARED,
    A,
    B,
    add,
    billed,
    configs,
    everything,
    hermes_home,
    names,
    stored,
)
from importers.test_hermes_verdicts import ROWS, columns_of, furnish


@pytest.fixture
def hermes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one session that resumes, two that would go to the wrong provider, and one that is
    unclear."""
    rows = [billed("fine", A), billed("astray", B), stored("acp", "custom", B, source="acp"), {"id": "bare"}]
    home = hermes_home(tmp_path / "hermes", CONFIG, *rows, env="TEAM_A_KEY=sk-team-a-0f1e2d3c4b5a6978\n")
    monkeypatch.setenv("HERMES_HOME", str(home))
    return home


def test_a_dry_run_says_where_each_session_goes_and_belongs_and_changes_nothing(
    cli: Cli, hermes: Path
) -> None:
    before, there = everything(hermes), names(hermes)
    result = cli("heal", "hermes")
    assert result.exit_code == 1
    assert "4 sessions" in result.stdout
    assert "1 resume, 2 would go to the wrong place, 0 have no key, 1 cannot be told" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("astray")]
    assert "team-a at 127.0.0.1:9101 with the key of 'team-a' (TEAM_A_KEY)" in line
    assert line.rstrip().endswith("custom:team-b")
    assert "its model is listed by 'team-a' and 'team-b' (team-a or team-b)" in result.stdout
    assert "run: holdfast heal hermes --apply" in result.stdout
    assert (everything(hermes), names(hermes)) == (before, there)


def test_the_commands_it_prints_name_the_same_home_and_the_same_decisions(
    cli: Cli, hermes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HERMES_HOME")
    command = ("heal", "hermes", "--home", str(hermes))
    shown = cli(*command, "--choose", "bare=team-a").stdout
    assert f"run: holdfast heal hermes --home {hermes} --choose bare=team-a --apply" in shown
    assert f"holdfast heal hermes --home {hermes} --choose bare=team-a --apply" in cli(*command).stdout
    assert f"holdfast heal hermes --home {hermes} --undo" in cli(*command, "--apply").stdout


def test_apply_repairs_what_is_certain_and_a_second_run_finds_nothing_to_do(cli: Cli, hermes: Path) -> None:
    result = cli("heal", "hermes", "--apply")
    assert result.exit_code == 1, "one session still cannot be placed"
    assert "Repaired 2 sessions. The file as it was: " in result.stdout
    healed = configs(hermes)
    assert healed == {
        "fine": None,
        "astray": {"provider": "custom:team-b"},
        "acp": {"model": "big", "provider": "custom:team-b", "base_url": B},
        "bare": None,
    }
    before = everything(hermes)
    again = cli("heal", "hermes", "--apply", "--json")
    assert json.loads(again.stdout)["healed"] == []
    assert everything(hermes) == before


def test_the_users_choice_settles_what_is_unclear(cli: Cli, hermes: Path) -> None:
    result = cli("heal", "hermes", "--choose", "bare=team-b", "--apply")
    assert result.exit_code == 0
    assert configs(hermes)["bare"] == {"provider": "custom:team-b"}


@pytest.mark.parametrize("word", ["nobody=team-b", "bare=nobody", "bare"])
def test_a_word_on_a_session_or_an_entry_that_is_not_there_is_refused(
    cli: Cli, hermes: Path, word: str
) -> None:
    result = cli("heal", "hermes", "--choose", word, "--apply")
    assert result.exit_code == 2
    assert "entries: team-a, team-b" in result.stderr


def test_undo_takes_it_back(cli: Cli, hermes: Path) -> None:
    before = (hermes / "state.db").read_bytes()
    cli("heal", "hermes", "--apply")
    result = cli("heal", "hermes", "--undo")
    assert (result.exit_code, (hermes / "state.db").read_bytes()) == (0, before)
    assert "as it was before 2 sessions were repaired" in result.stdout
    assert cli("heal", "hermes", "--undo", "--json").exit_code == 2
    assert cli("heal", "hermes", "--undo", "--apply").exit_code == 2


def test_it_is_not_healed_while_hermes_has_it_open(cli: Cli, hermes: Path) -> None:
    with closing(sqlite3.connect(hermes / "state.db")) as open_one:
        add(open_one, billed("new", A))
        result = cli("heal", "hermes", "--apply")
    assert result.exit_code == 1
    assert "another program has" in result.stderr
    assert "nothing was changed" in result.stderr
    assert configs(hermes)["astray"] is None


def test_json_tells_everything_a_program_needs(cli: Cli, hermes: Path) -> None:
    report = json.loads(cli("heal", "hermes", "--json").stdout)
    (astray,) = [session for session in report["sessions"] if session["id"] == "astray"]
    assert astray == {
        "id": "astray",
        "source": "tui",
        "title": "",
        "model": "big",
        "stored": {"provider": "custom", "url": B, "dialect": None},
        "state": "wrong place",
        "today": {
            "entry": "team-a",
            "provider": "team-a",
            "host": "127.0.0.1:9101",
            "key": "the key of 'team-a' (TEAM_A_KEY)",
        },
        "belongs": "custom:team-b",
        "healable": True,
        "why": "",
        "candidates": [],
        "note": "",
    }
    assert (report["backup"], report["healed"], report["ignored"]) == (None, [], [])


def test_a_shared_url_is_pointed_out_and_profiles_too(cli: Cli, tmp_path: Path) -> None:
    keys = "TEAM_A_KEY=sk-team-a-0f1e2d3c4b5a6978\nTEAM_B_KEY=sk-team-b-9a8b7c6d5e4f3021\n"
    home = hermes_home(tmp_path / "shared", SHARED, stored("one", "custom:team-a", A), env=keys)
    (home / "profiles").mkdir()
    profile = hermes_home(home / "profiles" / "work", SHARED)
    result = cli("heal", "hermes", "--home", str(home))
    assert (
        result.exit_code,
        "1 session may carry the name of another entry" in result.stdout,
        f"holdfast heal hermes --home {profile}\n" in result.stdout,
    ) == (0, True, True)
    shown = cli("heal", "hermes", "--home", str(home), "--all").stdout
    assert f"holdfast heal hermes --home {home} --choose one=team-b --apply" in shown


COMMAND = re.compile(r"holdfast heal hermes [^(\n]*")


def test_every_command_that_it_prints_works_and_the_choices_end_the_questions(
    cli: Cli, tmp_path: Path
) -> None:
    known = furnish(tmp_path / "hermes")
    with closing(sqlite3.connect(hermes_home(tmp_path / "made") / "state.db")) as made:
        add(made, *({**columns_of(row), "started_at": at} for at, row in enumerate(ROWS)))
    home = shutil.move(tmp_path / "made" / "state.db", known.path / "state.db").parent
    result = cli("heal", "hermes", "--home", str(home), "--all")
    commands = [shlex.split(command)[1:] for command in COMMAND.findall(result.stdout)]
    together = ["heal", "hermes", "--home", str(home), "--apply"]
    for command in commands:
        assert cli(*command, "--help").exit_code == 0, command
        together += [word for word in command if "=" in word or word == "--choose"]
    assert together.count("--choose") > 20
    for command in (*commands[:4], together):
        again = cli(*command, "--json")
        assert again.exit_code == 1, again.stderr
        rows = {row["id"]: row for row in json.loads(again.stdout)["sessions"]}
        for session, _, provider in (word.partition("=") for word in command if "=" in word):
            assert rows[session]["state"] in ("resumes", "no key"), (command, rows[session])
            assert str(rows[session]["belongs"]).removeprefix("custom:") == provider.removeprefix("custom:")


def test_a_provider_without_a_key_is_reported_with_the_names_of_its_variables(
    cli: Cli, tmp_path: Path
) -> None:
    home = hermes_home(tmp_path / "hermes", "{}", stored("glm", "zai"))
    result = cli("heal", "hermes", "--home", str(home))
    assert (result.exit_code, "0 would go to the wrong place, 1 have no key" in result.stdout) == (1, True)
    assert (
        "no key for it is set: GLM_API_KEY or ZAI_API_KEY or Z_AI_API_KEY, neither in .env nor here"
        in result.stdout
    )


def test_a_home_of_a_newer_version_is_said_to_be_one(cli: Cli, tmp_path: Path) -> None:
    for version, is_newer in ((33, False), (45, True), ("45", True), ("soon", False)):
        home = hermes_home(tmp_path / "hermes", f"_config_version: {version}\n")
        (home / "state.db").unlink()
        result = cli("heal", "hermes", "--home", str(home))
        assert ("newer than the rules known here" in result.stdout) == is_newer
        report = json.loads(cli("heal", "hermes", "--home", str(home), "--json").stdout)
        assert report["newer_than_known"] == is_newer


def test_a_home_that_is_not_there_or_broken_is_refused_with_the_next_command(
    cli: Cli, tmp_path: Path
) -> None:
    assert cli("heal", "hermes", "--home", str(tmp_path / "gone")).exit_code == 2
    broken = hermes_home(tmp_path / "broken", f"a: b: {KEY_B}")
    result = cli("heal", "hermes", "--home", str(broken))
    assert (result.exit_code, "is not plain YAML near line 1" in result.stderr, KEY_B in result.stderr) == (
        2,
        True,
        False,
    )


def test_no_key_is_ever_shown(cli: Cli, hermes: Path) -> None:
    for arguments in ((), ("--json",), ("--all",), ("--apply",)):
        result = cli("heal", "hermes", *arguments)
        assert KEY_B not in result.stdout + result.stderr
        assert "0f1e2d3c4b5a6978" not in result.stdout + result.stderr
