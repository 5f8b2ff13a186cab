"""Who made the objects that only one account knows: known at once, stored beside the requests, bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.test_engine import World
from holdfast.core.changes import NO_KEY, Owner
from holdfast.core.errors import StoreError
from holdfast.core.identity import Connection, Dialect
from holdfast.engine import account_objects, journal_writer
from holdfast.engine.account_objects import AccountObjects
from holdfast.engine.journal_writer import JournalWriter
from holdfast.store.base import AccountObject
from holdfast.store.memory import MemoryStore
from world import BAD_KEY, CHAT, THROTTLED, provider

RESPONSES = Dialect.OPENAI_RESPONSES
CONNECTION = Connection(provider("mimo", "a"), CHAT, provider("mimo", "a").keys[0], "m1")
KEYLESS = Connection(provider("local"), CHAT, None, "m1")


def refers_to(*names: str) -> bytes:
    items = [{"type": "item_reference", "id": name} for name in names]
    return json.dumps({"model": "m1", "input": items}).encode()


class Kept:
    """What is known of objects in one process on a store."""

    def __init__(self, store: MemoryStore) -> None:
        self.writer = JournalWriter(store)
        self.objects = AccountObjects(store, self.writer, lambda key: f"{key.label}0")

    def owner(self, *names: str) -> Owner | None:
        bound, owner = self.objects.bind(RESPONSES, refers_to(*names), to_model=True)
        assert bound
        return owner


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    with MemoryStore(clock=lambda: 1000.0) as store:
        yield store


def test_what_was_made_is_known_at_once_and_to_others_when_it_is_written(store: MemoryStore) -> None:
    here, there = Kept(store), Kept(store)
    here.objects.made("s1", CONNECTION, ["resp_1"])
    here.objects.made("s1", CONNECTION, ["resp_1"])
    owner = Owner("mimo", "a", "a0")
    assert (here.owner("resp_1"), here.objects.first_owner("s1")) == (owner, owner)
    assert there.owner("resp_1") is None
    assert here.writer.waiting == 1, "what is known is not written again"
    here.writer.flush()
    there.objects.load("s1")
    assert (there.owner("resp_1"), there.objects.first_owner("s1")) == (owner, owner)
    assert store.account_object("resp_1") == AccountObject("resp_1", "s1", owner, 1000.0)
    assert there.objects.first_owner("other") is None


def test_the_newest_known_object_says_whose_the_request_is(store: MemoryStore) -> None:
    kept = Kept(store)
    kept.objects.made("s1", CONNECTION, ["resp_1"])
    kept.objects.made("s1", KEYLESS, ["resp_2"])
    assert kept.owner("resp_1", "resp_2", "resp_3") == Owner("local", "", NO_KEY)
    assert kept.owner("resp_2", "resp_1") == Owner("mimo", "a", "a0")


def test_a_store_that_cannot_be_read_costs_knowledge_and_no_request(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise StoreError("the disk is gone")

    kept = Kept(store)
    monkeypatch.setattr(store, "account_object", broken)
    monkeypatch.setattr(store, "first_object", broken)
    assert kept.owner("resp_1") is None
    assert kept.objects.first_owner("s1") is None
    assert "the disk is gone" in caplog.text


def test_memory_and_store_are_bounded(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_objects, "_MOST", 10)
    monkeypatch.setattr(journal_writer, "_PRUNED_EVERY", 20)
    pruned: list[int] = []
    monkeypatch.setattr(store, "prune_objects", lambda: pruned.append(1))
    kept = Kept(store)
    for number in range(25):
        kept.objects.made(f"s{number}", CONNECTION, [f"resp_{number}"])
    assert len(kept.objects._made) <= 10
    assert len(kept.objects._firsts) <= 10
    kept.writer.flush()
    assert kept.owner("resp_0") == Owner("mimo", "a", "a0"), "the store still knows"
    assert len(pruned) == 1, "once for so many"
    kept.objects.made("s", CONNECTION, [f"resp_more_{number}" for number in range(20)])
    kept.writer.flush()
    assert len(pruned) == 2


def test_a_request_is_bound_only_where_several_accounts_may_answer(
    context: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, body = context.engine(), b'{"model":"m1","messages":[{"file_id":"file-1"}]}'
    assert engine.start_request("s1", CHAT, None, body=body).call.bound
    assert not engine.start_request("s1", CHAT, None, body=b'{"model":"m1"}').call.bound
    monkeypatch.setattr(engine.dispatcher, "objects", None)
    assert not engine.start_request("s1", CHAT, None, body=body).call.bound
    only = context.engine()
    assert not only.start_request("s1", CHAT, "router/m1", body=body).call.bound
    same = '{ from = "env:MIMO_A", account = "x" }, { from = "env:MIMO_B", account = "x" }'
    context.write(f'[provider.mimo]\nurl = "https://mimo.example/v1"\nkeys = [{same}]\n')
    only.look_again()
    assert not only.start_request("s1", CHAT, None, body=body).call.bound


def test_the_error_says_that_no_other_account_was_asked(context: World) -> None:
    engine, body = context.engine(), b'{"model":"m1","messages":[{"file_id":"file-1"}]}'
    bound = context.run(engine, THROTTLED, THROTTLED, THROTTLED, body=body)
    assert "so no other was asked" in bound.explanation().what
    refused = context.run(engine, BAD_KEY, model="router/m1", body=body)
    assert "so no other was asked" not in refused.explanation().what


@pytest.fixture
def context(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(home)
    yield made
    for engine in made.engines:
        engine.close()


def test_what_is_told_meanwhile_does_not_disturb_what_is_forgotten(store: MemoryStore) -> None:
    """Requests tell of new sessions while another thread takes over what changed."""

    class Telling(str):
        __slots__ = ()

        def __hash__(self) -> int:
            return hash("a")

        def __eq__(self, other: object) -> bool:
            here.objects.none_yet(f"new {len(here.objects._firsts)}")
            return super().__eq__(other)

    here = Kept(store)
    here.objects.none_yet("a")
    here.objects.forget((Telling("b"),))
    assert here.objects.knows("a")
