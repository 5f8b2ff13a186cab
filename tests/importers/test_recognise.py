"""A file of one program is not taken for an empty one of another: whose it is, is said."""

from __future__ import annotations

import pkgutil
import shutil
import sqlite3
from importlib import import_module
from pathlib import Path

import pytest

import holdfast.importers
from holdfast.core.errors import ConfigError
from holdfast.importers.programs import PROGRAMS
from holdfast.importers.recognise import owners_of, refuse_foreign, refuse_unnamed

SAMPLES = {
    "hermes": ("config.yaml", "model: {base_url: 'https://a.example/v1', default: m}"),
    "litellm": ("config.yaml", "model_list: [{model_name: m, litellm_params: {model: openai/m}}]"),
    "opencode": ("opencode.json", '{"provider": {"a": {"options": {"baseURL": "https://a.example"}}}}'),
    "pi": ("models.json", '{"providers": {"a": {"baseUrl": "https://a.example", "api": "x"}}}'),
    "codex": ("config.toml", 'model_provider = "a"'),
    "claude": ("settings.json", '{"env": {"ANTHROPIC_BASE_URL": "https://a.example"}}'),
    "claude-code-router": ("config.json", "{Providers: [], Router: {default: 'a,b',},}"),
    "cc-switch": ("config.json", '{"version": 2, "claude": {"providers": {}, "current": ""}}'),
    "gemini": ("settings.json", '{"security": {"auth": {"selectedType": "gemini-api-key"}}}'),
    "qwen": ("settings.json", '{"security": {"auth": {"selectedType": "openai"}}}'),
    "continue": ("config.yaml", "models: [{name: a, provider: openai, model: m}]"),
    "aider": (".aider.conf.yml", "openai-api-base: https://a.example/v1"),
    "crush": ("crush.json", '{"$schema": "https://charm.land/crush.json", "providers": {}}'),
    "goose": ("config.yaml", "GOOSE_PROVIDER: openai"),
    "llm": ("extra-openai-models.yaml", "- {model_id: a, model_name: b, api_base: 'https://a.example/v1'}"),
    "zed": ("settings.json", '// Zed\n{"language_models": {"ollama": {}}}'),
    "openclaw": ("openclaw.json", "{models: {providers: {a: {baseUrl: 'https://a.example'}}}}"),
}


@pytest.mark.parametrize("owner", SAMPLES)
def test_a_file_is_refused_by_every_importer_but_its_own(owner: str, tmp_path: Path) -> None:
    name, text = SAMPLES[owner]
    file = tmp_path / name
    file.write_text(text)
    refuse_foreign(PROGRAMS[owner], file)
    refuse_foreign(PROGRAMS[owner], tmp_path)
    what = f"{name} is a file of {PROGRAMS[owner].title}"
    for other in PROGRAMS.keys() - {owner}:
        with pytest.raises(ConfigError, match=what) as raised:
            refuse_foreign(PROGRAMS[other], file)
        assert raised.value.next_step == f"holdfast import {owner} {file}"
    with pytest.raises(ConfigError, match=what):
        refuse_foreign(PROGRAMS["env"], tmp_path)
    with pytest.raises(ConfigError, match=PROGRAMS[owner].title):
        refuse_unnamed(file)


@pytest.mark.parametrize(
    ("where", "owner"),
    [
        (".claude/settings.json", "claude"),
        (".qwen/settings.json", "qwen"),
        ("zed/settings.json", "zed"),
        (".codex/config.toml", "codex"),
        ("io.datasette.llm/keys.json", "llm"),
        ("crush.json", "crush"),
    ],
)
def test_a_file_that_says_nothing_is_known_by_its_place(where: str, owner: str, tmp_path: Path) -> None:
    file = tmp_path / where
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    refuse_foreign(PROGRAMS[owner], file)
    with pytest.raises(ConfigError, match=f"is a file of {PROGRAMS[owner].title}"):
        refuse_foreign(PROGRAMS["litellm"], file)


def test_the_list_of_programs_has_a_sample_and_a_module_of_each() -> None:
    assert SAMPLES.keys() == PROGRAMS.keys() - {"env"}
    importers = {
        module.name
        for module in pkgutil.iter_modules(holdfast.importers.__path__)
        if hasattr(import_module(f"holdfast.importers.{module.name}"), "default_path")
    }
    assert importers - {"hermes_home"} <= {program.module for program in PROGRAMS.values()}


def test_a_file_of_variables_may_belong_to_any_program_that_reads_one(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("OPENAI_API_KEY=sk-FAKE-1234\n")
    for name in ("env", "aider", "gemini", "hermes"):
        refuse_foreign(PROGRAMS[name], file)
    with pytest.raises(ConfigError, match="is a file of environment variables"):
        refuse_foreign(PROGRAMS["codex"], file)


def database(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return path


def test_a_database_is_known_by_its_tables_and_not_by_its_views(tmp_path: Path) -> None:
    columns = "id, app_type, name, settings_config, meta, is_current"
    real = database(tmp_path / "a.db", f"CREATE TABLE providers ({columns})")
    view = "CREATE VIEW providers AS SELECT 1 AS id, 'claude' AS app_type, '{}' AS settings_config"
    assert owners_of(real) == [PROGRAMS["cc-switch"]]
    assert owners_of(database(tmp_path / "b.db", view)) == []
    (tmp_path / "c.db").write_bytes(b"no database at all" * 100)
    assert owners_of(tmp_path / "c.db") == []


def test_a_database_that_is_in_use_is_read_whole_and_left_as_it_was(tmp_path: Path) -> None:
    from holdfast.importers.sqlite_rows import table_rows

    folder = tmp_path / "in use"
    folder.mkdir()
    connection = sqlite3.connect(folder / "cc-switch.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE providers (id, app_type)")
    connection.execute("INSERT INTO providers VALUES ('a', 'claude')")
    connection.commit()
    resting = tmp_path / "resting"
    shutil.copytree(folder, resting)
    connection.close()
    before = {path.name: path.read_bytes() for path in resting.iterdir()}
    assert any(name.endswith("-wal") for name in before)
    rows = table_rows(resting / "cc-switch.db", "providers", ["id", "app_type", "meta"])
    assert rows == [{"id": "a", "app_type": "claude", "meta": None}]
    assert {path.name: path.read_bytes() for path in resting.iterdir()} == before
