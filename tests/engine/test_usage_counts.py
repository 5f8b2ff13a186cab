"""Usage is counted in memory and added to the store's sums; nothing is lost while the store is away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from holdfast.core.errors import StoreError
from holdfast.engine import usage_counts
from holdfast.engine.usage_counts import Counted, UsageCounts
from holdfast.store.base import StoreAway
from holdfast.store.batch import Batch
from holdfast.store.memory import MemoryStore
from holdfast.store.usage import Usage, day_of

AT = 1_764_540_000.0
DAY = day_of(AT)


class Flaky(MemoryStore):
    away = False
    cut = False
    added = 0

    def add_usage(self, counted: Iterable[Usage], batch: Batch | None = None) -> None:
        if self.away:
            raise StoreError("the disk is full", next_step="df")
        counted = list(counted)
        self.added = max(self.added, len(counted))
        super().add_usage(counted, batch)
        if self.cut:
            raise StoreAway("it was cut; what was to be stored may be stored all the same")


@pytest.fixture
def store() -> Iterator[Flaky]:
    with Flaky() as store:
        yield store


def test_counts_are_taken_under_the_names_of_every_provider(store: Flaky) -> None:
    counts = UsageCounts(store, pytest.fail)
    for usage in (
        {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
        {
            "input_tokens": 10,
            "output_tokens": 3,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 6,
        },
        {"input": 10, "output": 3, "cache-read": 5},
        {},
    ):
        counts.count(Counted(AT, "s", "k", "p/m", usage))
    counts.count(Counted(AT + 86400, "s", "", "p/m", {}))
    counts.close()
    assert store.usage(["day", "session", "key", "pin"]) == [
        Usage(DAY, "s", "k", "p/m", 4, 46, 9),
        Usage(day_of(AT + 86400), "s", "", "p/m", 1, 0, 0),
    ]


def test_what_cannot_be_added_is_added_later_and_at_the_end(store: Flaky) -> None:
    heard: list[Exception] = []
    counts = UsageCounts(store, heard.append)
    store.away = True
    for number in range(3):
        counts.count(Counted(AT, f"s{number}", "k", "p/m", {"input": 1}))
        counts.flush()
    assert (len(heard), store.usage()) == (3, [])
    store.away = False
    counts.count(Counted(AT, "s0", "k", "p/m", {}))
    counts.flush()
    assert store.usage() == [Usage("", "", "", "", 4, 3, 0)]
    store.away = True
    counts.count(Counted(AT, "s0", "k", "p/m", {}))
    counts.flush()
    store.away = False
    counts.close()
    assert store.usage() == [Usage("", "", "", "", 5, 3, 0)]


def test_what_was_added_although_the_call_was_cut_is_not_added_again(store: Flaky) -> None:
    counts = UsageCounts(store, str)
    for store.cut in (True, True, False, True):
        counts.count(Counted(AT, "s", "k", "p/m", {"input": 1}))
        counts.flush()
    store.cut = False
    counts.close()
    assert store.usage() == [Usage("", "", "", "", 4, 4, 0)]


def test_a_forked_child_adds_nothing_that_its_parent_counted(store: Flaky) -> None:
    counts = UsageCounts(store, str)
    store.away = True
    counts.count(Counted(AT, "s", "k", "p/m", {"input": 1}))
    counts.flush()
    store.away = False
    counts.renew()
    counts.close()
    assert store.usage() == []


def test_neither_a_transaction_nor_the_memory_grows_with_the_sessions(
    store: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_counts, "_MOST_SUMS", 20)
    monkeypatch.setattr(usage_counts, "_PORTION", 7)
    counts = UsageCounts(store, pytest.fail)
    for number in range(100):
        counts.count(Counted(AT, f"s{number % 50:02}", "k", "p/m", {"output": 1}))
    counts.close()
    assert store.added == 7
    assert store.usage() == [Usage("", "", "", "", 100, 0, 100)]
    assert len(store.usage(["session"])) == 21
    assert store.usage(["session"])[0] == Usage("", "", "", "", 60, 0, 60)
