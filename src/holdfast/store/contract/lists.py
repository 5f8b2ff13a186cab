"""Many sessions are listed by pages and by choice, and changed in portions."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from dataclasses import replace

import pytest

from ...core.errors import IdentityError
from ...core.identity import Pin
from ...core.session import ActiveFallback, Session
from ..base import Store
from ..journal_events import Event, SessionCreated, SessionRemoved
from ..listing import Choice
from .given import START, ManualClock, OpenedStore, written_by_older_software

DAY = 86400.0


class ListContract(OpenedStore):
    """Lists of sessions."""

    def test_pages_hold_every_session_once_in_the_order_of_the_whole_list(self, store: Store) -> None:
        for number in range(23):  # several were changed at one time, to a fraction of a second
            at = START + number // 3 + 0.1234567
            store.save_session(Session(f"s{number:02}", Pin.parse("p/m"), changed_at=at), None)
        for limit in (1, 4, 22, 23, 24):
            seen, after = [], ""
            while True:
                page = store.session_page(limit, after)
                assert len(page.sessions) <= limit
                seen += page.sessions
                after = page.after
                if not after:
                    break
            assert seen == store.sessions()

    def test_a_page_goes_on_where_it_was_although_sessions_come_change_and_go(self, store: Store) -> None:
        for number in range(9):
            store.save_session(Session(f"s{number}", Pin.parse("p/m"), changed_at=START + number), None)
        first = store.session_page(3)
        assert [session.id for session in first.sessions] == ["s8", "s7", "s6"]
        store.remove_session("s6")
        store.save_session(Session("new", Pin.parse("p/m"), changed_at=START + 99), None)
        moved = store.session("s2")
        assert moved is not None
        store.save_session(moved.choose(Pin.parse("q/m"), START + 98), 0)
        assert [session.id for session in store.session_page(9, first.after).sessions] == [
            f"s{number}" for number in (5, 4, 3, 1, 0)
        ]

    def test_a_text_that_no_page_gave_is_refused(self, store: Store) -> None:
        for after in ("s1", "x,s", "nan,s", "1.0,", "1.0,no session"):
            with pytest.raises(IdentityError, match="continues no list"):
                store.session_page(3, after)

    def test_a_row_that_cannot_be_read_is_on_no_page_and_ends_none(self, store: Store) -> None:
        for number in range(6):
            store.save_session(Session(f"s{number}", Pin.parse("p/m"), changed_at=START + number), None)
        store.save_session(replace(written_by_older_software("bad"), changed_at=START + 2.5), None)
        first = store.session_page(4)
        assert [session.id for session in first.sessions] == ["s5", "s4", "s3"]
        assert [session.id for session in store.session_page(4, first.after).sessions] == ["s2", "s1", "s0"]
        bad = store.stored_session("bad")
        assert [bad] == store.broken_sessions()
        assert store.stored_session("s1") == store.session("s1")
        assert store.stored_session("none") is None

    def test_sessions_are_found_by_what_they_use(self, store: Store) -> None:
        fallen = ActiveFallback(Pin.parse("q/n"), "why", START)
        pinned = Session("a", Pin.parse("p/m"))
        keyed = Session("b", Pin.parse("p/m"), key="k")
        helped = Session("c", Pin.parse("p/m"), active_fallback=fallen, changed_at=START)
        other = Session("d", Pin.parse("pp/m"))
        for session in (pinned, keyed, helped, other):
            store.save_session(session, None)
        store.save_session(written_by_older_software("bad"), None)
        assert store.sessions_using("p") == [helped, pinned, keyed]
        assert store.sessions_using("q") == [helped]
        assert store.sessions_on_fallback(Pin.parse("p/m")) == [helped]
        assert store.sessions_on_fallback(Pin.parse("q/n")) == []
        on_pin, on_key, on_other = store.choices()
        assert on_pin == Choice(Pin.parse("p/m"), "", 2)
        assert on_key == Choice(Pin.parse("p/m"), "k", 1)
        assert on_other == Choice(Pin.parse("pp/m"), "", 1)
        assert store.sessions_on(on_pin, 1) == [helped]
        assert store.sessions_on(on_key, 9) == [keyed]

    def test_a_session_is_unused_by_what_was_written_about_it_last(
        self, store: Store, clock: ManualClock
    ) -> None:
        for name, changed in (("fresh", START), ("asked", START - 90 * DAY), ("old", START - 90 * DAY)):
            store.save_session(Session(name, Pin.parse("p/m"), changed_at=changed), None)
        store.record([Event(START - DAY, SessionCreated(), "asked")])
        before = START - 30 * DAY
        assert store.unused_sessions(before, 9) == ["old"]
        assert store.unused_sessions(START, 9) == ["asked", "old"]
        assert store.unused_sessions(START, 1) == ["asked"]
        assert store.unused_sessions(START, 9, after="asked") == ["old"]
        clock.now += 1
        revision = store.revision()
        assert [store.forget_sessions(before), store.forget_sessions(before)] == [1, 0]
        assert store.revision() != revision, "others have it in memory"
        assert [session.id for session in store.sessions()] == ["fresh", "asked"]
        assert store.journal(session="old") == [Event(clock.now, SessionRemoved(), "old", pin="p/m")]

    def test_the_newest_time_is_that_of_what_was_written_and_never_to_come(
        self, store: Store, clock: ManualClock
    ) -> None:
        assert store.newest() == START
        store.save_session(Session("s", Pin.parse("p/m"), changed_at=START - 5), None)
        assert store.newest() == START - 5
        store.record([Event(START - 2, SessionCreated(), "s")])
        clock.now += 365 * DAY
        assert store.newest() == START - 2
        store.record([Event(clock.now + second, SessionCreated(), "s") for second in (60, -60, -7200)])
        assert store.newest() == START - 2, "a clock may be ahead"
        clock.now += 1.1 * DAY
        store.record([Event(clock.now, SessionCreated(), "s")])
        assert store.newest() == clock.now, "more than a day went by there"
