"""What lists of models say of a model, as the engine keeps it: known before the first request, never waited
for, and read again after a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import holdfast
from holdfast.core.config import ModelFacts
from holdfast.core.errors import StoreError
from holdfast.core.identity import Connection, Dialect, Pin
from holdfast.engine.model_lists import ModelLists
from holdfast.store.base import Store
from holdfast.store.sqlite import SqliteStore

URL = "http://127.0.0.1:9/v1"
CONFIG = f'[provider.mine]\nurl = "{URL}"\nauth = "none"\n'
BIG: ModelFacts = {"context": 9_000, "output": 700, "input": ("text",)}


def store_of(home: Path) -> SqliteStore:
    return SqliteStore(home / "state.db")


@pytest.fixture
def mine(home: Path) -> Connection:
    (home / "holdfast.toml").write_text(CONFIG)
    with store_of(home) as store:
        store.save_models("mine", URL, {"big": BIG, "small": {}}, store.now())
    with holdfast.open(home) as held:
        provider = held.config.providers[Pin.parse("mine/big").provider]
    return Connection(provider, Dialect.OPENAI_CHAT, None, "big")


def test_a_translation_goes_by_what_the_endpoint_listed(mine: Connection, home: Path) -> None:
    with holdfast.open(home) as held:
        held.engine.catch_up()
        caps = held.engine.translations._caps_of(mine)
        assert (caps.max_output, caps.input) == (700, ("text",))


def test_a_list_is_read_again_after_a_while_and_nothing_waits_for_it(
    mine: Connection, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    later: list[Callable[[], object]] = []
    failures: list[StoreError] = []
    with store_of(home) as store:
        lists = ModelLists(store, lambda *_: {}, failures.append, later.append)
        assert lists.facts(mine) == {}
        assert lists.facts(mine) == {}
        (read,) = later  # asked for once
        read()
        assert lists.facts(mine) == BIG
        store.save_models("mine", URL, {"big": {"output": 5}}, store.now() + 1)
        now[0] += 599
        assert lists.facts(mine) == BIG
        now[0] += 2
        assert lists.facts(mine) == BIG
        later[-1]()
        assert lists.facts(mine) == {"output": 5}
        monkeypatch.setattr(store, "models", _failing)
        now[0] += 601
        lists.facts(mine)
        later[-1]()
        assert lists.facts(mine) == {"output": 5}
        assert (len(later), len(failures)) == (3, 1)


def _failing(*_: object) -> None:
    raise StoreError("away")


def test_a_list_of_older_software_has_names_only(home: Path) -> None:
    with store_of(home) as store:
        store.save_models("mine", URL, {"big": BIG}, 1.0)
        _write(store, '["a", "b"]')
        assert store.models("mine", URL) == ({"a": {}, "b": {}}, 1.0)
        _write(store, '{"a": {"context": true, "output": -1, "input": "text", "reasoning": 1}, "b": 7}')
        assert store.models("mine", URL) == ({"a": {}, "b": {}}, 1.0)


def _write(store: Store, text: str) -> None:
    with store._write() as transaction:  # type: ignore[attr-defined]
        transaction.execute("UPDATE models SET models = :text", {"text": text})
