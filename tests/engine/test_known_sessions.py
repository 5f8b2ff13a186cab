"""The sessions in memory are those that were stored last, whichever threads use them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine.change_writer import ChangeWriter
from holdfast.engine.known_sessions import KnownSessions
from holdfast.store.memory import MemoryStore

OLD, NEW = (Session("s", Pin.parse(f"p/{model}"), version=version) for version, model in enumerate("mn"))


class Disturbed(dict[str, Session]):
    """Sessions that another thread changes at the moment when one was not found among those used last."""

    meanwhile: Callable[[], object] | None = None

    def get(self, *args: object) -> Session | None:  # type: ignore[override]
        session = super().get(str(args[0]))
        now, self.meanwhile = self.meanwhile, None
        if now is not None:
            now()
        return session


@pytest.mark.parametrize("stored", [NEW, None])
def test_a_session_that_is_replaced_or_removed_while_it_is_looked_up_stays_so(stored: Session | None) -> None:
    with MemoryStore() as store:
        store.create_sessions([(OLD, ())])
        sessions = KnownSessions(store, ChangeWriter(store, print))
        sessions._older, recent = {"s": OLD}, Disturbed()
        sessions._recent = recent
        if stored is None:
            store.remove_session("s")
        else:
            store.save_session(stored, 0)
        recent.meanwhile = lambda: sessions.read_again(["s"])
        sessions.get("s")
        assert sessions.get("s") == stored


def test_a_session_that_another_process_changed_right_after_its_creation_is_read_as_it_is_now() -> None:
    with MemoryStore() as store:
        sessions = KnownSessions(store, ChangeWriter(store, print))
        turn = sessions.turn
        store.create_sessions([(OLD, ())])
        store.save_session(NEW, 0)
        sessions.read_again(["s"])
        assert not sessions.add(OLD, turn)
        assert sessions.get("s") == NEW


@pytest.mark.parametrize("changes", [1, 2])
def test_sessions_that_are_read_while_others_change_are_known_as_they_are_stored(changes: int) -> None:
    class Changing(MemoryStore):
        left = changes

        def sessions_named(self, ids: Iterable[str]) -> list[Session]:
            read = super().sessions_named(ids)
            if self.left:
                self.left -= 1
                sessions.read_again([])  # word of another change comes while these are read
                if not self.left:
                    self.save_session(NEW, 0)
            return read

    with Changing() as store:
        store.create_sessions([(OLD, ())])
        sessions = KnownSessions(store, ChangeWriter(store, print))
        sessions.load({"s", "absent"})
        assert sessions.peek("s") == NEW
