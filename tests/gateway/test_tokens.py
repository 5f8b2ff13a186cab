"""Gateway tokens: shown once, kept as a hash, seen by all at once."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.errors import StoreError
from holdfast.gateway import tokens as module
from holdfast.gateway.tokens import Tokens, issue
from holdfast.store.memory import MemoryStore
from holdfast.store.sqlite import SqliteStore
from holdfast.values.secret import redact


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_token_is_good_as_it_was_shown_and_in_no_other_form(clock: Clock) -> None:
    with MemoryStore() as store:
        tokens = Tokens(store, clock=clock)
        token, shown = tokens.new("laptop", "issue-42")
        assert tokens.check(shown.encode()) == token
        assert (token.label, token.session) == ("laptop", "issue-42")
        for wrong in (
            b"",
            shown[:-1].encode(),
            shown.upper().encode(),
            f"{shown} ".encode(),
            token.hash.encode(),
            token.id.encode(),
            b"\xff" * 50,
        ):
            assert tokens.check(wrong) is None


def test_the_store_keeps_no_token_and_a_message_shows_none(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "state.db") as store:
        token, shown = issue(store, "ci")
        random = shown.removeprefix(f"hf-{token.id}-")
        assert len(random) >= 43
        assert random not in redact(f"the client sent {shown}")
    assert not [path for path in tmp_path.iterdir() if random.encode() in path.read_bytes()]


def test_no_two_tokens_are_alike() -> None:
    with MemoryStore() as store:
        assert len({issue(store, "x")[1] for _ in range(50)}) == 50


def test_another_process_sees_a_new_and_a_revoked_token_within_50_ms(tmp_path: Path, clock: Clock) -> None:
    with SqliteStore(tmp_path / "state.db") as store, SqliteStore(tmp_path / "state.db") as other:
        tokens = Tokens(store, clock=clock)
        assert tokens.check(b"x") is None
        token, shown = issue(other, "from elsewhere")
        clock.now += 0.05
        assert tokens.check(shown.encode()) == token
        other.revoke_token(token.id)
        clock.now += 0.05
        assert tokens.check(shown.encode()) is None


def test_a_token_with_other_limits_is_not_the_one_that_was_admitted(tmp_path: Path, clock: Clock) -> None:
    with SqliteStore(tmp_path / "state.db") as store, SqliteStore(tmp_path / "state.db") as other:
        tokens = Tokens(store, clock=clock)
        token, _ = tokens.new("a program")
        clock.now += 0.05
        assert tokens.is_unchanged(token)
        assert not tokens.is_unchanged(replace(token, session="another"))
        other.revoke_token(token.id)
        clock.now += 0.05
        assert not tokens.is_unchanged(token)


def test_a_store_is_asked_once_in_a_while_however_many_requests_come(clock: Clock) -> None:
    class Counting(MemoryStore):
        asked = 0

        def revision(self) -> int:
            self.asked += 1
            return super().revision()

    with Counting() as store:
        tokens = Tokens(store, clock=clock)
        token, shown = tokens.new("laptop")
        before = store.asked
        for _ in range(1000):
            clock.now += 0.0001
            assert tokens.check(shown.encode()) == token
        assert store.asked <= before + 4
        before = store.asked
        for _ in range(1000):
            tokens.check(b"hf-guess")
        assert store.asked <= before + 1


def test_a_store_that_fails_makes_no_token_good_and_none_bad(clock: Clock) -> None:
    errors: list[StoreError] = []
    store = MemoryStore()
    tokens = Tokens(store, tell=errors.append, clock=clock)
    token, shown = tokens.new("laptop")
    assert tokens.check(shown.encode()) == token
    store.close()
    clock.now += 1
    assert tokens.check(shown.encode()) == token
    assert tokens.check(b"hf-guess") is None
    assert errors


def test_a_token_that_is_revoked_while_another_thread_chooses_stays_revoked(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MemoryStore() as store:
        tokens = Tokens(store, clock=clock)
        token, shown = tokens.new("laptop")
        store.revoke_token(token.id)
        feed = threading.Thread(target=tokens._follower.look)

        def is_good(*args: Any, **limits: Any) -> bool:
            monkeypatch.undo()
            good = module.is_good(*args, **limits)
            feed.start()
            feed.join(0.2)
            return good

        monkeypatch.setattr(module, "is_good", is_good)
        tokens._put({})
        feed.join(10)
        assert tokens.check(shown.encode()) is None


def test_looks_do_not_pile_up_while_the_store_keeps_one_waiting(tmp_path: Path, clock: Clock) -> None:
    waiting: list[Any] = []
    with SqliteStore(tmp_path / "state.db") as store, SqliteStore(tmp_path / "state.db") as other:
        tokens = Tokens(store, clock=clock, soon=waiting.append)
        for _ in range(2):
            _, shown = issue(other, "from elsewhere")
            for _ in range(100):
                clock.now += 0.05
                assert tokens.check(shown.encode()) is None
            assert len(waiting) == 1
            waiting.pop()()
            assert tokens.check(shown.encode()) is not None
