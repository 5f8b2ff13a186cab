"""Evidence and cooldowns: time decides and not the order of writing."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import math

import pytest

from ...core.changes import CooldownStarted, Evidence, FallbackEnded, FallbackStarted, KeyFailed, KeyKept
from ...core.errors import StoreError
from ...core.faults import FaultClass
from ...core.identity import Pin
from ...core.session import Session
from ..base import COOLDOWN_KEPT, Store
from .given import FP, KEY, START, URL, ManualClock, OpenedStore, cooled, worked

HOUR = 3600.0


class VerdictContract(OpenedStore):
    """Evidence and cooldowns."""

    def test_evidence_keeps_the_first_and_the_last_success(self, store: Store) -> None:
        for at in (START, START + 9, START + 5):
            store.apply([worked(at)], at)
        assert store.evidence() == [Evidence(FP, URL, START, START + 9)]

    def test_a_refusal_keeps_what_worked_before_and_the_latest_refusal_counts(self, store: Store) -> None:
        store.apply([KeyFailed(FP, URL, FaultClass.AUTH_REJECTED, START + 9), worked(START)], START)
        store.apply([KeyFailed(FP, URL, FaultClass.AUTH_EXPIRED, START + 3)], START)
        assert store.evidence() == [
            Evidence(FP, URL, START, START, last_fault=FaultClass.AUTH_REJECTED, last_fault_at=START + 9)
        ]

    def test_a_key_has_its_evidence_at_each_url_apart(self, store: Store) -> None:
        elsewhere = "https://eu.example/v1"
        store.apply([worked(START), KeyFailed(FP, elsewhere, FaultClass.AUTH_REJECTED, START)], START)
        assert {evidence.url: evidence.last_ok for evidence in store.evidence()} == {
            URL: START,
            elsewhere: None,
        }

    def test_a_success_that_the_store_knows_already_writes_nothing(self, store: Store) -> None:
        before = store.revision()
        store.apply([worked(durable=False)], START)
        assert (store.evidence(), store.revision()) == ([], before)

    def test_a_verdict_comes_back_whole_also_without_an_end(self, store: Store) -> None:
        verdict = cooled(until=math.inf, level=3)
        store.apply([verdict], START)
        assert store.cooldowns() == [verdict.cooldown]

    @pytest.mark.parametrize(
        ("second", "stands"),
        [
            pytest.param(
                cooled(since=START + 5, until=START + 90),
                cooled(since=START + 5, until=START + 90),
                id="a later verdict replaces",
            ),
            pytest.param(
                cooled(since=START - 5, until=START + 90, level=2), cooled(), id="an earlier one does not"
            ),
            pytest.param(
                cooled(since=START + 5, until=START + 10),
                cooled(since=START + 5),
                id="nor does one of the same level shorten",
            ),
            pytest.param(
                cooled(since=START + 5, until=START + 10, level=2),
                cooled(since=START + 5, until=START + 10, level=2),
                id="one of another level may",
            ),
            pytest.param(
                cooled(since=START - HOUR, until=START - HOUR + 10),
                cooled(since=START - HOUR, until=START - HOUR + 10),
                id="one since the clock was set back replaces",
            ),
        ],
    )
    def test_of_two_verdicts_on_one_subject(
        self, store: Store, second: CooldownStarted, stands: CooldownStarted
    ) -> None:
        store.apply([cooled()], START)
        store.apply([second], START)
        assert store.cooldowns() == [stands.cooldown]

    def test_one_good_answer_refutes_what_was_held_against_its_key_model_account_and_endpoint(
        self, store: Store
    ) -> None:
        refuted = (KEY, f"{KEY}#m", f"model:m@{URL}", f"endpoint:{URL}", f"account:p:team@{URL}")
        innocent = (f"key:other@{URL}", f"{KEY}#n", f"model:n@{URL}", f"account:p:others@{URL}")
        store.apply([cooled(subject) for subject in refuted + innocent], START)
        store.apply([worked(START + 1, account="p:team")], START + 1)
        assert {cooldown.subject for cooldown in store.cooldowns()} == set(innocent)

    def test_a_good_answer_refutes_no_verdict_that_came_after_it(self, store: Store) -> None:
        store.apply([cooled(since=START + 2)], START + 2)
        store.apply([worked(START + 1)], START + 3)
        assert store.cooldowns() == [cooled(since=START + 2).cooldown]

    def test_what_was_noted_before_the_clock_was_set_back_stands_in_nobodys_way(
        self, store: Store, clock: ManualClock
    ) -> None:
        store.save_session(Session("s", Pin.parse("p/m"), changed_at=START), None)
        store.save_models("p", URL, {"before": {}}, START)
        refused = KeyFailed(FP, URL, FaultClass.AUTH_REJECTED, START)
        store.apply([worked(START), refused, cooled("endpoint:" + URL, since=START)], START)
        now = START - 365 * 24 * HOUR
        clock.now = now
        store.apply([worked(now), KeyFailed(FP, URL, FaultClass.AUTH_EXPIRED, now)], now)
        store.apply([FallbackStarted("s", "q/m", "why", now + 9), KeyKept("s", "a")], now)
        store.save_models("p", URL, {"after": {}}, now)
        assert store.evidence() == [
            Evidence(FP, URL, now, now, last_fault=FaultClass.AUTH_EXPIRED, last_fault_at=now)
        ]
        assert (store.cooldowns(), store.models("p", URL)) == ([], ({"after": {}}, now))
        session = store.session("s")
        assert session is not None
        assert (session.kept_key, session.active_fallback is not None) == ("a", True)
        store.apply([FallbackEnded("s")], now)
        assert store.sessions()[0].active_fallback is None

    def test_changes_are_applied_all_or_none(self, store: Store) -> None:
        unspeakable = KeyFailed("\udcff", URL, FaultClass.AUTH_REJECTED, START)
        before = store.revision()
        with pytest.raises(StoreError):
            store.apply([worked(), cooled(), unspeakable], START)
        assert (store.evidence(), store.cooldowns(), store.revision()) == ([], [], before)

    def test_an_ended_verdict_is_remembered_for_thirty_days(self, store: Store, clock: ManualClock) -> None:
        store.apply([cooled(until=START)], START)
        clock.now = START + COOLDOWN_KEPT - 1
        assert len(store.cooldowns()) == 1
        clock.now += 2
        assert store.cooldowns() == []

    def test_forgetting_a_key_removes_what_it_did_and_nothing_of_others(self, store: Store) -> None:
        other = f"key:{FP}0@{URL}"
        store.apply(
            [
                worked(),
                KeyFailed(FP, "https://eu.example", FaultClass.AUTH_REJECTED, START),
                KeyFailed(FP + "0", URL, FaultClass.AUTH_REJECTED, START),
            ],
            START,
        )
        store.apply([cooled(), cooled(f"{KEY}#m"), cooled(other), cooled(f"endpoint:{URL}")], START + 1)
        assert store.forget(FP) == 4
        assert store.forget(FP) == 0
        assert [evidence.fingerprint for evidence in store.evidence()] == [f"{FP}0"]
        assert {cooldown.subject for cooldown in store.cooldowns()} == {other, f"endpoint:{URL}"}

    def test_one_verdict_is_ended_by_its_name(self, store: Store) -> None:
        store.apply([cooled(), cooled("endpoint:x")], START)
        assert store.clear(KEY) is True
        assert store.clear(KEY) is False
        assert [cooldown.subject for cooldown in store.cooldowns()] == ["endpoint:x"]
