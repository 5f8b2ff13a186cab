"""Keys that older software called k1, k2 by their position: a session that chose one goes on with exactly
that key where their order cannot have changed since, and is refused with the candidates everywhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import holdfast
from children import Popen
from cli.furnishing import Cli, child_environment, write
from fixtures.old_home import SESSIONS, OldHome, old_home
from holdfast.config import Home, load
from holdfast.config.home import unchanged_since
from holdfast.core.errors import ConnectionLost, StoreError
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine import home_store
from holdfast.sdk.api import open_store
from holdfast.store.sqlite import SqliteStore
from holdfast.values.key_labels import label_of

LABELS = {
    "by-file": label_of("file:~/keys/house"),
    "by-program": label_of("cmd:printenv HOUSE_PROGRAM"),
    "pooled-chosen": label_of("file:~/keys/pool"),
    "imported": label_of("file:~/keys/house"),
}
"""What the chosen keys of these sessions are called now; those of all others are called as they were."""
FORGOTTEN = {"pooled-one": "k1", "pooled-two": "k2"}
THEN = {name: row["key"] for name, row in SESSIONS.items() if row["key"]}
CHILD = """
import sys
from holdfast.engine import home_store
from holdfast.config import Home
from holdfast.sdk.api import open_store
home_store.unchanged_since = lambda home: float(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
open_store(Home.find()).close()
"""


@pytest.fixture
def old(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OldHome]:
    """The old home in place; its holdfast.toml was written now, after all choices, with today's words."""
    with old_home(clean_environment, monkeypatch) as made:
        file = made.path / "holdfast.toml"
        file.write_text(file.read_text().replace("[ladder]", "[fallback]"))
        yield made


@pytest.fixture
def untouched(old: OldHome, monkeypatch: pytest.MonkeyPatch) -> OldHome:
    """The same with the file as old as it was then, until somebody writes it."""
    believed(old, monkeypatch)
    return old


def believed(old: OldHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the file look as old as it was then, until it is written: the time of a change cannot be set."""
    file = old.path / "holdfast.toml"
    then = file.read_bytes()

    def since(home: Home) -> float:
        if file.read_bytes() == then:
            return old.written_at
        return unchanged_since(home)

    monkeypatch.setattr(home_store, "unchanged_since", since)


def chosen_keys(cli: Cli) -> dict[str, str]:
    listed = json.loads(cli("session", "list", "--json").stdout)
    return {row["id"]: row["key"] for row in listed if row["key"]}


def journal_lines(old: OldHome) -> list[tuple[str, dict[str, str]]]:
    """The journal's lines about labels: of which session, and what it tells."""
    rows = old.sql("SELECT session, detail FROM journal WHERE kind = 'relabelled' ORDER BY session")
    return [(session, json.loads(detail)) for session, detail in rows]


def test_a_chosen_position_becomes_the_key_s_label_where_the_file_is_what_it_was(
    cli: Cli, untouched: OldHome
) -> None:
    rest = "SELECT id, pin, changed_at, version, stand_in FROM session ORDER BY id"
    before = untouched.sql(rest)
    assert chosen_keys(cli) == THEN | LABELS
    assert untouched.sql(rest) == before, "a label is no choice of the user's"
    assert untouched.sql("SELECT id FROM session WHERE kept_key LIKE 'k_'") == []
    lines = [(name, {"before": THEN[name], "key": label}) for name, label in LABELS.items()]
    lines += [(name, {"forgotten": label}) for name, label in FORGOTTEN.items()]
    assert journal_lines(untouched) == sorted(lines, key=lambda line: line[0])
    words = f"its keys are no longer called by their position (before: k2, key: {LABELS['by-file']})"
    assert words in cli("why", "by-file").stdout


def test_several_programs_that_open_an_old_home_at_once_relabel_it_once(old: OldHome) -> None:
    command = [sys.executable, "-c", CHILD, str(old.written_at)]
    children = [
        Popen(command, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.communicate("go\n", timeout=30)
    assert [child.returncode for child in children] == [0] * len(children)
    assert [name for name, _ in journal_lines(old)] == sorted({**LABELS, **FORGOTTEN})


def test_a_chosen_position_is_refused_with_the_candidates_where_the_file_was_written_since(
    cli: Cli, old: OldHome
) -> None:
    house = [key.label for key in load(Home.at(old.path)).providers["house"].keys]
    with holdfast.open(old.path) as held:
        for name, then in SESSIONS.items():
            if name not in LABELS:
                assert str(held.session(name).pin) == then["pin"]
                continue
            with pytest.raises(ConnectionLost, match=f"has no key '{THEN[name]}'") as refused:
                held.session(name)
            assert f"holdfast session pin {name} {then['pin']} --key LABEL" in str(refused.value)
            if then["pin"].startswith("house/"):
                assert list(refused.value.candidates) == house
    assert old.arrived() == []
    assert chosen_keys(cli) == THEN
    assert journal_lines(old) == sorted((name, {"forgotten": label}) for name, label in FORGOTTEN.items())
    assert cli("session", "pin", "by-file", "house/large", "--key", LABELS["by-file"]).exit_code == 0
    with holdfast.open(old.path) as held:
        assert held.session("by-file").row.key == LABELS["by-file"]


def test_what_was_not_certain_once_is_not_taken_for_certain_later(
    old: OldHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(Home.at(old.path)).close()
    monkeypatch.setattr(home_store, "unchanged_since", lambda home: old.written_at)
    with open_store(Home.at(old.path)) as store:
        assert {row.id: row.key for row in store.sessions() if row.key} == THEN


@pytest.mark.parametrize(
    "edit",
    [
        ("key", "add", "house", "--from", "env:HOUSE_KEY_TWO"),
        ("key", "remove", "house", "desk", "--force"),
        ("provider", "add", "another", "--url", "https://another.example/v1"),
        ("provider", "endpoint", "house", "openai-chat=https://moved.example/v1"),
        ("provider", "rename", "pool", "lake"),
        ("provider", "remove", "doors", "--force"),
    ],
    ids=lambda edit: " ".join(edit[:2]),
)
def test_our_own_edit_of_the_file_settles_first_what_was_stored_by_it(
    cli: Cli, untouched: OldHome, edit: tuple[str, ...]
) -> None:
    before = (untouched.path / "holdfast.toml").read_text()
    assert cli(*edit).exit_code == 0
    assert (untouched.path / "holdfast.toml").read_text() != before
    left = {name: key for name, key in (THEN | LABELS).items() if key != "desk" or "desk" not in edit}
    assert chosen_keys(cli).items() >= left.items()


def test_an_upgrade_of_the_file_settles_first_what_was_stored_by_it(
    cli: Cli, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with old_home(clean_environment, monkeypatch) as old:
        believed(old, monkeypatch)
        assert cli("config", "upgrade").exit_code == 0
        assert "[fallback]" in (old.path / "holdfast.toml").read_text()
        assert chosen_keys(cli) == THEN | LABELS


def test_a_store_that_cannot_be_written_is_read_as_it_is(
    cli: Cli, untouched: OldHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "relabel_once", full)
        assert chosen_keys(cli) == THEN
    assert chosen_keys(cli) == THEN | LABELS


def test_a_store_that_other_homes_may_share_is_left_as_it_is(old: OldHome, tmp_path: Path) -> None:
    elsewhere = tmp_path / "shared.db"
    (old.path / "state.db").rename(elsewhere)
    text = (old.path / "holdfast.toml").read_text().replace("sqlite:state.db", f"sqlite:{elsewhere}")
    write(old.path / "holdfast.toml", text)
    with open_store(Home.at(old.path)) as store:
        sessions = store.sessions()
    assert {row.id: row.key for row in sessions if row.key} == THEN
    assert {row.id: row.kept_key for row in sessions if row.id in FORGOTTEN} == FORGOTTEN


# What proves that a file is what it was
# ------------------------------------------------------------------------


@pytest.fixture
def fresh(tmp_path: Path) -> Home:
    made = Home.at(tmp_path / "home-of-mine")
    made.config.parent.mkdir()
    made.config.write_text("")
    return made


def test_a_file_is_what_it_was_since_a_moment_after_it_was_written(fresh: Home) -> None:
    before = time.time()
    fresh.config.write_text("[settings]\n")
    assert before < unchanged_since(fresh) < time.time() + 0.1


@pytest.mark.parametrize("at", [0, 1_000_000_000])
def test_a_file_whose_time_was_set_back_is_as_young_as_its_entry(fresh: Home, at: int) -> None:
    before = time.time()
    os.utime(fresh.config, (at, at))
    assert unchanged_since(fresh) > before - 0.1


def test_a_time_in_whole_seconds_is_believed_two_seconds_later(fresh: Home) -> None:
    later = int(time.time()) + 100
    os.utime(fresh.config, (later, later))
    assert unchanged_since(fresh) == later + 2


@pytest.mark.parametrize("linked", ["holdfast.toml", "home-of-mine"])
def test_of_a_link_the_age_is_not_known(fresh: Home, tmp_path: Path, linked: str) -> None:
    target = tmp_path / "target"
    link = {"home-of-mine": fresh.config.parent, "holdfast.toml": fresh.config}[linked]
    link.rename(target)
    link.symlink_to(target)
    assert fresh.config.read_text() == ""
    assert unchanged_since(fresh) == float("inf")


def test_of_a_file_that_is_not_there_nothing_is_known(fresh: Home) -> None:
    fresh.config.unlink()
    assert unchanged_since(fresh) == float("inf")


def test_a_file_of_another_file_system_than_the_store_s_proves_nothing(fresh: Home) -> None:
    assert home_store._on_one_file_system(fresh.config, fresh.config.parent)
    assert not home_store._on_one_file_system(Path("/proc/self/status"), fresh.config)
    assert not home_store._on_one_file_system(fresh.config, fresh.config.with_name("nowhere"))


def test_a_session_of_older_software_goes_on_with_its_key_on_real_clocks(home: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"sk-{name}-not-a-real-key-0123456789")
    references = [f"file:{tmp_path / name}" for name in ("one", "two")]
    write(home / "holdfast.toml", f'[provider.team]\nurl = "http://127.0.0.1:9/v1"\nkeys = {references}\n')
    while time.time() <= unchanged_since(Home.at(home)):
        time.sleep(0.005)
    older = Session("s", Pin.parse("team/m"), "k2", changed_at=time.time())
    with closing(SqliteStore(home / "state.db")) as store:
        store.save_session(older, None)
    with holdfast.open(home) as held:
        assert held.session("s").row.key == label_of(references[1])
    (home / "holdfast.toml").touch()
    with holdfast.open(home) as held:
        assert held.session("s").row.key == label_of(references[1])
