"""The setting `[gateway] store` decides where every program of a home remembers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import holdfast
from holdfast.core.errors import ConfigError
from holdfast.distribution import install_command
from holdfast.store.memory import MemoryStore
from holdfast.store.opening import database, open_store


@pytest.mark.parametrize(
    ("setting", "file"),
    [
        ("sqlite:state.db", "/home/x/state.db"),
        ("sqlite:", "/home/x/state.db"),
        ("sqlite:deeper/other.db", "/home/x/deeper/other.db"),
        ("sqlite:/elsewhere/a.db", "/elsewhere/a.db"),
        ("memory:", None),
        ("postgresql://db/holdfast", None),
    ],
)
def test_a_relative_path_starts_in_the_home(setting: str, file: str | None) -> None:
    assert database(setting, Path("/home/x")) == (Path(file) if file else None)


def test_a_home_remembers_where_its_configuration_says(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(
        '[provider.p]\nurl = "http://127.0.0.1:9/v1"\nauth = "none"\n[gateway]\n'
        'store = "sqlite:deeper/other.db"\n'
    )
    with holdfast.open(tmp_path) as hf:
        hf.session("s", "p/m")
    assert (tmp_path / "deeper" / "other.db").exists()
    assert not (tmp_path / "state.db").exists()


def test_a_store_in_memory_makes_no_file(tmp_path: Path) -> None:
    with open_store("memory:", tmp_path) as store:
        assert isinstance(store, MemoryStore)
    assert not list(tmp_path.iterdir())


def test_a_store_that_this_version_lacks_is_refused_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"names no store[\s\S]+sqlite:state.db"):
        open_store("mysql://db/holdfast", tmp_path)


def test_a_store_whose_package_is_not_installed_is_refused_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "holdfast.store.postgres", raising=False)
    with pytest.raises(ConfigError, match="needs the package psycopg") as refusal:
        open_store("postgresql://db/holdfast", tmp_path)
    assert refusal.value.next_step == install_command("postgres")
