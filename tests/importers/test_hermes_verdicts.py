"""The table of rows: what a session of Hermes means, and what we make of it, row by row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from holdfast.importers.hermes_home import KNOWN_VERSION, HermesHome, read_home
from holdfast.importers.hermes_rows import Row, row_of
from holdfast.importers.hermes_verdicts import judge

DATA = Path(__file__).parents[1] / "data" / "hermes"
ROWS: list[dict[str, Any]] = json.loads((DATA / "rows.json").read_text("utf-8"))
NAMES = "A_KEY B_KEY G_KEY S_KEY Z_KEY D_KEY M_KEY M2_KEY MV_KEY V_KEY W_KEY K_KEY ME_KEY".split()
OWN_NAMES = ["DEEPSEEK", "OPENROUTER", "XAI"]
ENV = {
    name: f"sk-of-{name.lower()}-0123456789" for name in (*NAMES, *(f"{own}_API_KEY" for own in OWN_NAMES))
}
POOL = {
    "minimax": [{"source": "manual", "access_token": "sk-in-the-pool-0123456789"}],
    "novita": [{"source": "env:NOVITA_API_KEY"}],
}
COLUMNS = ("id", "source", "model", "billing_provider", "billing_base_url", "billing_mode")


def furnish(directory: Path, version: int = KNOWN_VERSION) -> HermesHome:
    """Return the home of the table."""
    directory.mkdir(exist_ok=True)
    config = (DATA / "config.yaml").read_text("utf-8")
    (directory / "config.yaml").write_text(
        config.replace(f"_config_version: {KNOWN_VERSION}", f"_config_version: {version}")
    )
    (directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in ENV.items()))
    (directory / "auth.json").write_text(json.dumps({"credential_pool": POOL}))
    return read_home(directory, {})


def columns_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a row of the table, as the database holds them."""
    config = row.get("model_config")
    text = config if isinstance(config, str) or config is None else json.dumps(config)
    return {**{name: row.get(name) for name in COLUMNS}, "model_config": text}


def written(row: dict[str, Any], config: str) -> Row:
    return row_of({**columns_of(row), "model_config": config})


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> HermesHome:
    return furnish(tmp_path_factory.mktemp("known") / "hermes")


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> HermesHome:
    return furnish(tmp_path_factory.mktemp("newer") / "hermes", 45)


def candidates_of(row: dict[str, Any], home: HermesHome) -> list[str]:
    listed = row.get("candidates", [])
    return [home.name_of(entry) for entry in home.entries] if listed == "all" else listed


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_each_row_belongs_where_its_user_says_or_is_asked_about(
    known: HermesHome, newer: HermesHome, row: dict[str, Any]
) -> None:
    for home, state in ((known, row["state"]), (newer, row.get("newer"))):
        verdict = judge(home, row_of(columns_of(row)))
        seen = (str(verdict.state), verdict.belongs, list(verdict.candidates))
        belongs = row.get("belongs")
        if state == "cannot be told":
            belongs = None
        assert seen == (state or seen[0], belongs, candidates_of(row, home)), verdict.why
        assert bool(verdict.why) == (seen[0] in ("cannot be told", "no key"))
        assert "hunter2" not in f"{verdict.why} {verdict.today}"


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_a_row_that_is_written_is_settled_and_not_written_again(
    known: HermesHome, newer: HermesHome, row: dict[str, Any]
) -> None:
    for home in (known, newer):
        before = judge(home, row_of(columns_of(row)))
        if before.config is None:
            continue
        after = judge(home, written(row, before.config))
        assert after.is_settled, after
        assert (after.belongs, after.config) == (before.belongs, None)


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_every_candidate_can_be_chosen_and_ends_the_question(
    known: HermesHome, newer: HermesHome, row: dict[str, Any]
) -> None:
    for home in (known, newer):
        for candidate in judge(home, row_of(columns_of(row))).candidates:
            chosen = judge(home, row_of(columns_of(row)), candidate)
            assert chosen.config is not None, candidate
            after = judge(home, written(row, chosen.config))
            assert after.is_settled or row.get("model") is None or "follow" in str(row), (candidate, after)
            assert (after.belongs, after.config, after.note) == (chosen.belongs, None, "")


def test_a_row_is_told_to_have_no_key_only_while_none_is_seen(tmp_path: Path) -> None:
    furnish(tmp_path / "hermes")
    (row,) = [row for row in ROWS if row["id"].startswith("s10")]
    for environ, state in (({}, "no key"), ({"ZAI_API_KEY": "sk-zai-0123456789"}, "resumes")):
        assert str(judge(read_home(tmp_path / "hermes", environ), row_of(columns_of(row))).state) == state


def test_a_profile_takes_the_keys_that_it_lacks_from_the_home_that_holds_it(tmp_path: Path) -> None:
    furnish(tmp_path / "hermes")
    profile = tmp_path / "hermes" / "profiles" / "one"
    shutil.copytree(tmp_path / "hermes", profile, ignore=shutil.ignore_patterns("profiles", "auth.json"))
    (row,) = [row for row in ROWS if row["id"].startswith("n22")]
    assert str(judge(read_home(profile, {}), row_of(columns_of(row))).state) == "resumes"


def test_the_users_own_url_for_a_provider_of_hermes_is_its_own(tmp_path: Path) -> None:
    home = tmp_path / "hermes"
    home.mkdir()
    url = "https://plan.example/v1"
    row = row_of(
        {"id": "s", "model": "m", "model_config": json.dumps({"provider": "xiaomi", "base_url": url})}
    )
    environ = {"XIAOMI_API_KEY": "tp-0123456789"}
    block = f"model: {{provider: xiaomi, base_url: {url}/}}\n"
    (home / "config.yaml").write_text(block)
    assert str(judge(read_home(home, environ), row).state) == "resumes"
    (home / "config.yaml").write_text("model: {provider: openrouter}\n")
    assert str(judge(read_home(home, environ), row).state) == "cannot be told"
    assert str(judge(read_home(home, {**environ, "XIAOMI_BASE_URL": url}), row).state) == "resumes"
