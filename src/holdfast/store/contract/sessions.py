"""Choices are read as they were made, and no writer overwrites a version that it has not read."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from dataclasses import replace

import pytest

from ...core.changes import Change, FallbackEnded, FallbackStarted, KeyKept
from ...core.errors import IdentityError, StoreError
from ...core.identity import Pin
from ...core.session import ActiveFallback, Session
from ..base import StaleSession, Store
from ..journal_events import Event, ProviderRenamed, SessionCreated, SessionRemoved, SessionSwitched
from .given import START, ManualClock, OpenedStore, written_by_older_software


class SessionContract(OpenedStore):
    """The user's choices."""

    def test_a_session_comes_back_exactly_as_it_was_chosen(self, store: Store) -> None:
        plain = Session("issue-42", Pin.parse("router/xiaomi/mimo-v2.5"), created_at=START, changed_at=START)
        full = replace(
            plain,
            id="b",
            key="eu",
            active_fallback=ActiveFallback(Pin.parse("q/other:free"), "429 on every key", START + 600.125),
            kept_key="a",
            version=7,
            former=(Pin.parse('q/x, "y"/z'), Pin.parse("p/m")),
        )
        store.save_session(plain, None)
        store.save_session(full, None)
        assert store.session("issue-42") == plain
        assert store.session("b") == full
        assert store.session("c") is None

    def test_sessions_are_listed_the_last_changed_first(self, store: Store) -> None:
        for number, name in enumerate(("old", "new", "newest")):
            store.save_session(Session(name, Pin.parse("p/m"), changed_at=START + number), None)
        assert [session.id for session in store.sessions()] == ["newest", "new", "old"]

    def test_of_two_writers_who_read_the_same_version_the_second_is_told(self, store: Store) -> None:
        first = Session("s", Pin.parse("p/m"))
        store.save_session(first, None)
        store.save_session(first.choose(Pin.parse("q/mine"), START), first.version)
        with pytest.raises(StaleSession, match="version 0"):
            store.save_session(first.choose(Pin.parse("q/theirs"), START), first.version)
        assert store.session("s") == first.choose(Pin.parse("q/mine"), START)

    def test_a_session_is_created_once(self, store: Store) -> None:
        store.save_session(Session("s", Pin.parse("p/m")), None)
        with pytest.raises(StaleSession, match="exists already"):
            store.save_session(Session("s", Pin.parse("q/m")), None)

    def test_a_removed_session_is_not_brought_back_by_a_late_writer(self, store: Store) -> None:
        session = Session("s", Pin.parse("p/m"))
        store.save_session(session, None)
        assert store.remove_session("s") is True
        assert store.remove_session("s") is False
        with pytest.raises(StaleSession, match="removed"):
            store.save_session(session.choose(Pin.parse("q/m"), START), 0)
        assert store.sessions() == []

    def test_a_change_that_the_next_writer_could_not_see_is_refused(self, store: Store) -> None:
        session = Session("s", Pin.parse("p/m"), version=4)
        store.save_session(session, None)
        with pytest.raises(ValueError, match="raise its version"):
            store.save_session(replace(session, pin=Pin.parse("q/m")), 4)

    def test_a_row_that_cannot_be_read_is_told_and_hides_no_other(self, store: Store) -> None:
        store.save_session(Session("good", Pin.parse("p/m")), None)
        store.save_session(written_by_older_software("bad"), None)
        assert [session.id for session in store.sessions()] == ["good"]
        (broken,) = store.broken_sessions()
        assert (broken.id, broken.raw["pin"], broken.raw["version"]) == ("bad", "custom/m", 3)
        assert "kind" in broken.why
        with pytest.raises(StoreError, match="holdfast session pin bad") as error:
            store.session("bad")
        assert not isinstance(error.value, StaleSession)

    def test_a_row_that_cannot_be_read_is_mended_by_a_new_choice(self, store: Store) -> None:
        store.save_session(written_by_older_software("bad"), None)
        store.save_session(Session("bad", Pin.parse("p/m"), version=4), 3)
        assert store.broken_sessions() == []
        assert store.session("bad") == Session("bad", Pin.parse("p/m"), version=4)

    def test_renaming_a_provider_moves_pins_and_fallbacks_and_nothing_else(
        self, store: Store, clock: ManualClock
    ) -> None:
        rows = {
            "pin": Session("pin", Pin.parse("a_b/x/a_b/y")),
            "fallback": Session(
                "fallback", Pin.parse("q/m"), active_fallback=ActiveFallback(Pin.parse("a_b/m"), "why", START)
            ),
            "both": Session(
                "both",
                Pin.parse("a_b/m"),
                key="k",
                active_fallback=ActiveFallback(Pin.parse("a_b/n"), "why", START),
                kept_key="l",
            ),
            "near": Session("near", Pin.parse("axb/m")),
            "longer": Session("longer", Pin.parse("a_b2/a_b/m")),
        }
        for session in rows.values():
            store.save_session(session, None)
        clock.now += 5
        assert store.rename_provider("a_b", "new") == ["both", "fallback", "pin"]
        assert store.session("pin") == replace(
            rows["pin"], pin=Pin.parse("new/x/a_b/y"), version=1, changed_at=START + 5
        )
        assert store.session("fallback") == replace(
            rows["fallback"],
            active_fallback=ActiveFallback(Pin.parse("new/m"), "why", START),
            version=1,
            changed_at=START + 5,
        )
        both = replace(
            rows["both"],
            pin=Pin.parse("new/m"),
            active_fallback=ActiveFallback(Pin.parse("new/n"), "why", START),
            version=1,
            changed_at=START + 5,
        )
        assert store.session("both") == both
        assert [store.session(name) for name in ("near", "longer")] == [rows["near"], rows["longer"]]

    def test_a_former_choice_keeps_the_name_that_its_clients_were_given(self, store: Store) -> None:
        session = Session("s", Pin.parse("old/m")).choose(Pin.parse("q/m"), START)
        store.save_session(session, None)
        assert store.rename_provider("old", "new") == []
        assert store.session("s") == session

    def test_the_present_name_of_a_renamed_provider_is_known(self, store: Store, clock: ManualClock) -> None:
        assert store.new_name("a") is None
        store.rename_provider("a", "b")
        store.rename_provider("b", "c")
        store.rename_provider("x", "y")
        assert [store.new_name(name) for name in "abcxy"] == ["c", "c", None, "y", None]
        store.rename_provider("c", "a")
        assert [store.new_name(name) for name in "abcxy"] == [None, "a", "a", "y", None]
        for number in range(120):
            clock.now += 1
            store.rename_provider(f"p{number}", "q")
        known = [number for number in range(120) if store.new_name(f"p{number}")]
        assert len(known) == 100

    def test_former_choices_that_cannot_be_read_hide_no_session(self, store: Store) -> None:
        store.save_session(Session("s", Pin.parse("p/m"), former=(written_by_older_software("x").pin,)), None)
        assert store.session("s") == Session("s", Pin.parse("p/m"))

    def test_a_provider_is_not_renamed_to_a_kind(self, store: Store) -> None:
        store.save_session(Session("s", Pin.parse("p/m")), None)
        with pytest.raises(IdentityError):
            store.rename_provider("p", "custom")
        assert store.session("s") == Session("s", Pin.parse("p/m"))

    def test_fallbacks_and_kept_keys_are_no_changes_of_the_user(self, store: Store) -> None:
        session = Session("s", Pin.parse("p/m"), key="k", changed_at=START, version=2)
        store.save_session(session, None)
        store.apply(
            [FallbackStarted("s", "q/fallback", "all keys cooling", START + 600), KeyKept("s", "b")],
            START + 1,
        )
        assert store.session("s") == replace(
            session,
            active_fallback=ActiveFallback(Pin.parse("q/fallback"), "all keys cooling", START + 600),
            kept_key="b",
        )
        store.apply([FallbackEnded("s")], START + 2)
        assert store.session("s") == replace(session, kept_key="b")
        assert store.sessions() == [replace(session, kept_key="b")]

    @pytest.mark.parametrize(
        "late", [FallbackStarted("s", "q/fallback", "why", START + 600), KeyKept("s", "old-key")]
    )
    def test_what_belonged_to_the_old_choice_does_not_reach_the_new_one(
        self, store: Store, late: Change
    ) -> None:
        session = Session("s", Pin.parse("p/m"), changed_at=START)
        store.save_session(session, None)
        switched = session.choose(Pin.parse("other/m"), START + 10)
        store.save_session(switched, 0)
        store.apply([late], START + 9)
        assert store.session("s") == switched

    def test_a_choice_and_the_line_that_tells_of_it_are_written_together(self, store: Store) -> None:
        first = Session("s", Pin.parse("p/m"))
        created = Event(START, SessionCreated(), "s", pin="p/m")
        store.save_session(first, None, [created])
        switched = Event(START + 1, SessionSwitched(before="p/m"), "s", pin="q/m")
        store.save_session(first.choose(Pin.parse("q/m"), START + 1), 0, [switched])
        assert store.journal(session="s") == [created, switched]
        removed = Event(START + 2, SessionRemoved(), "s", pin="q/m")
        assert store.remove_session("s", [removed]) is True
        assert store.journal(session="s") == [created, switched, removed]

    def test_no_line_tells_of_a_choice_that_was_refused(self, store: Store) -> None:
        session = Session("s", Pin.parse("p/m"))
        store.save_session(session, None)
        created = Event(START, SessionCreated(), "s", pin="p/m")
        with pytest.raises(StaleSession):
            store.save_session(session, None, [created])
        with pytest.raises(StaleSession):
            store.save_session(replace(session, version=9), 7, [created])
        assert store.remove_session("other", [created]) is False
        assert store.journal() == []

    def test_a_choice_whose_line_cannot_be_kept_is_not_made(self, store: Store) -> None:
        created = Event(START, SessionCreated(), "s\udcff", pin="p/m")
        with pytest.raises(StoreError):
            store.save_session(Session("s", Pin.parse("p/m")), None, [created])
        assert store.sessions() == []
        assert store.journal() == []

    def test_a_renamed_provider_is_told_of_each_session_whose_choice_it_is(
        self, store: Store, clock: ManualClock
    ) -> None:
        store.save_session(Session("pin", Pin.parse("old/m")), None)
        store.save_session(
            Session(
                "fallback", Pin.parse("q/m"), active_fallback=ActiveFallback(Pin.parse("old/m"), "why", START)
            ),
            None,
        )
        assert store.rename_provider("old", "new") == ["fallback", "pin"]
        assert store.journal() == [Event(clock.now, ProviderRenamed(before="old/m"), "pin", pin="new/m")]
