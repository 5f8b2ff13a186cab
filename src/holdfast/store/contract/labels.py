"""Keys that older versions stored by position get their labels once, all of them or none."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from ...core.identity import Pin
from ...core.session import Session
from ..base import Store
from ..journal_events import Detail, Event, KeysRelabelled
from .given import START, OpenedStore, written_by_older_software

CHOSE = Session("chose", Pin.parse("p/m"), "k2", kept_key="a", changed_at=START, version=3)
KEPT = Session("kept", Pin.parse("p/m"), kept_key="k1", changed_at=START)
NEITHER = Session("neither", Pin.parse("p/m"), "a", kept_key="b", changed_at=START)
RELABELLED = KeysRelabelled(before="k2", key="file-1")


class LabelContract(OpenedStore):
    """The behaviour of `relabel_once`."""

    def save(self, store: Store, sessions: Sequence[Session]) -> None:
        for session in sessions:
            store.save_session(session, None)

    def test_labels_are_replaced_once_and_nothing_else_of_a_session_is(self, store: Store) -> None:
        self.save(store, [CHOSE, KEPT, NEITHER, replace(written_by_older_software("broken"), key="k1")])
        asked: list[set[str]] = []

        def relabel(
            sessions: Sequence[Session], renamed: Collection[str]
        ) -> list[tuple[Session, Event[Detail]]]:
            asked.append({session.id for session in sessions} | set(renamed))
            lost = replace(
                CHOSE, pin=Pin.parse("q/m"), key="file-1", kept_key=None, version=9, changed_at=0.0
            )
            return [(lost, Event(START, RELABELLED, "chose", pin="p/m"))]

        revision = store.revision()
        assert store.relabel_once(relabel) is True
        assert store.session("chose") == replace(CHOSE, key="file-1", kept_key=None)
        assert [store.session("kept"), store.session("neither")] == [KEPT, NEITHER]
        assert store.journal() == [Event(START, RELABELLED, "chose", pin="p/m")]
        assert store.revision() != revision
        assert store.relabel_once(relabel) is False
        assert asked == [{"chose", "kept"}]

    def test_a_choice_that_changed_with_its_provider_s_name_is_told_apart(self, store: Store) -> None:
        again, other = replace(CHOSE, id="again"), replace(CHOSE, id="other", pin=Pin.parse("q/m"))
        self.save(store, [CHOSE, again, other])
        store.rename_provider("p", "new")
        renamed = store.session("again")
        assert renamed is not None
        store.save_session(renamed.choose(renamed.pin, renamed.changed_at + 1, "k2"), renamed.version)
        asked: list[Collection[str]] = []

        def relabel(_: Sequence[Session], renamed: Collection[str]) -> list[tuple[Session, Event[Detail]]]:
            asked.append(renamed)
            return []

        store.relabel_once(relabel)
        assert asked == [{"chose"}]

    def test_what_could_not_be_decided_is_asked_again(self, store: Store) -> None:
        self.save(store, [CHOSE])

        def interrupted(*_: object) -> list[tuple[Session, Event[Detail]]]:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            store.relabel_once(interrupted)
        assert store.session("chose") == CHOSE
        line: Event[Detail] = Event(START, RELABELLED, "chose")
        assert store.relabel_once(lambda *_: [(replace(CHOSE, key="x"), line)])
        assert store.session("chose") == replace(CHOSE, key="x")
