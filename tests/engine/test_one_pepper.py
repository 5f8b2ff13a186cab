"""Homes that share a database recognise keys by one pepper, or are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from holdfast.config.home import Home
from holdfast.core.config import Config
from holdfast.core.errors import StoreError
from holdfast.engine.home_store import open_store, take_over_store
from holdfast.store import opening
from holdfast.store.sqlite import SqliteStore


class Far(SqliteStore):
    far = True


def test_a_home_with_another_pepper_is_refused_until_it_has_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "open_store", lambda *_, **__: Far(tmp_path / "shared.db"))
    first, second = (Home.at(tmp_path / name) for name in ("first", "second"))
    for home in (first, second):
        home.state.mkdir(mode=0o700)
    for _ in range(2):
        open_store(first, Config()).close()
    with pytest.raises(StoreError, match="homes with another pepper") as error:
        open_store(second, Config())
    assert str(error.value.next_step).startswith(f"cp THE-OTHER-HOME/pepper {second.pepper} ")
    theirs = second.pepper.read_text()
    shutil.copy(first.pepper, second.pepper)
    open_store(second, Config()).close()
    second.pepper.write_text(theirs)
    take_over_store(second, Config())
    open_store(second, Config()).close()
    with pytest.raises(StoreError, match="holdfast store pepper --replace"):
        open_store(first, Config())


def test_a_store_of_one_home_needs_no_pepper(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    open_store(home, Config()).close()
    assert not home.pepper.exists()
