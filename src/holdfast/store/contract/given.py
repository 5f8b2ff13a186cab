"""The base of the contract's tests: a clock set by hand, sample values, and the two fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ...core.changes import Cooldown, CooldownStarted, KeySucceeded
from ...core.faults import Confidence, Fault, FaultClass, Phase, Scope
from ...core.identity import Dialect, Pin
from ...core.session import Session
from ..base import Store
from ..journal_events import Attempted

START = 1_750_000_000.0
FP, URL = "0123456789abcdef", "https://plan.example/v1"
KEY = f"key:{FP}@{URL}"
FAULT = Fault(
    FaultClass.RATE_LIMITED,
    Scope.KEY,
    phase=Phase.BODY,
    status=429,
    retry_after=2.5,
    confidence=Confidence.CODE,
    signs=("code:1113",),
    excerpt="zu viel ☹",
)

ATTEMPTED = Attempted(number=1, key="k", url=URL, dialect=Dialect.OPENAI_CHAT, seconds=0.25)


class ManualClock:
    """A clock whose time (epoch seconds) is set by hand."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def worked(at: float = START, *, model: str = "m", account: str = "", durable: bool = True) -> KeySucceeded:
    return KeySucceeded(FP, URL, model, account, at=at, durable=durable)


def cooled(
    subject: str = KEY, *, until: float = START + 60, since: float = START, level: int = 1
) -> CooldownStarted:
    return CooldownStarted(Cooldown(subject, until, since, level=level, fault=FAULT))


def written_by_older_software(session_id: str, pin: str = "custom/m") -> Session:
    """Return a session with a pin that our constructors refuse."""
    provider, _, model = pin.partition("/")
    broken = Pin.parse("p/m")
    object.__setattr__(broken, "provider", provider)
    object.__setattr__(broken, "model", model)
    return Session(session_id, broken, version=3)


class OpenedStore:
    """Opens the store of a test and closes it."""

    def open_store(self, clock: Callable[[], float]) -> Store:
        """Return a store that takes its time from `clock`; it is empty at the first call of a test."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def store(self, clock: ManualClock) -> Iterator[Store]:
        with self.open_store(clock) as store:
            yield store
