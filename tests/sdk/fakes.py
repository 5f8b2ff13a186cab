"""A scripted engine for the transports, and the connections they speak through."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.core.classify import classify
from holdfast.core.errors import SecretMissing
from holdfast.core.faults import Fault, FaultClass, Phase
from holdfast.core.identity import Connection, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.core.steps import Answer, Attempt, Outcome, Send, Step
from holdfast.fake_provider import ScriptedProvider
from holdfast.providers.profiles import load
from holdfast.values.secret import Secret
from holdfast.wire.api_routes import BodyRule
from holdfast.wire.error_bodies import ClientError
from holdfast.wire.error_kinds import ERRORS

PROFILE = load(None)
KEYS = {"a": "sk-aaaaaaaaaaaaaaaa", "b": "sk-bbbbbbbbbbbbbbbb"}


def connect(
    provider: ScriptedProvider,
    dialect: Dialect = Dialect.OPENAI_CHAT,
    key: str = "a",
    model: str = "m",
    **endpoint: Any,
) -> Connection:
    """A connection to a scripted provider."""
    name = ProviderName("mine")
    url = provider.root if dialect is Dialect.ANTHROPIC_MESSAGES else provider.url
    keys = tuple(Key(name, label, f"env:{label}") for label in KEYS)
    entry = Provider(name, (Endpoint(url, dialect, **endpoint),), keys)
    return Connection(
        entry, dialect, next((candidate for candidate in keys if candidate.label == key), None), model
    )


class FakeExchange:
    """Takes the scripted steps in order until an answer is good or they run out. `turns` are what `perform`
    says, one by one."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.steps = list(engine.steps)
        self.step: Step | None = self.steps.pop(0) if self.steps else None
        self.outcome: Outcome | None = engine.memory
        self.answers: list[Answer] = []
        self.ended: list[tuple[Fault | None, str]] = []
        self.told_early: list[str] = []
        self.objects: list[str] = []
        self.abandoned = 0
        self.reasons: list[str] = []
        self.sent_at = 0.0

    def now(self) -> float:
        return time.time()

    def knows(self, connection: Connection) -> bool:
        return True

    def takes_long(self, connection: Connection | None = None) -> bool:
        return False

    def prepare(self, connection: Connection | None = None) -> bool:
        return True

    def translated(self, connection: Connection) -> None:
        """The caller's dialect is the endpoint's."""

    def secret(self, connection: Connection) -> Secret | None:
        if connection.key is not None and connection.key.label in self.engine.missing:
            raise SecretMissing("the key is gone", tried=["env:A: not set"])
        self.sent_at = self.now()
        return Secret(KEYS[connection.key.label]) if connection.key is not None else None

    unsaved = False

    def take(self, answer: Answer, *, is_open: bool = False) -> None:
        self.answers.append(answer)
        connection = self.step.connection  # type: ignore[union-attr]
        self.step = self.steps.pop(0) if self.steps and answer.reply is not None else None
        if self.step is None:
            fault = classify(answer.reply, PROFILE, now=answer.now) if answer.reply is not None else None
            attempts = tuple(
                Attempt(n, connection, clock.sent_at, clock.now) for n, clock in enumerate(self.answers, 1)
            )
            self.outcome = Outcome(connection, attempts, fault)

    def perform(self) -> bool:
        self.engine.performed += 1
        if self.engine.turns and not self.engine.turns.pop(0):
            return False
        self.step = self.steps.pop(0)
        return True

    def headers(self) -> dict[str, str]:
        assert self.outcome is not None
        fault = (
            {"holdfast-fault": str(self.outcome.fault.kind), "x-should-retry": "false"}
            if self.outcome.fault is not None
            else {}
        )
        return {
            "holdfast-request-id": "r1",
            "holdfast-key": "ä\r\nx: y" if self.engine.hostile else "a",
            "holdfast-attempts": str(len(self.answers)),
        } | fault

    def client_error(self) -> ClientError:
        headers = {"content-type": "application/json", **self.headers()}
        return ClientError(ERRORS["StoreError"], "explained", {"next_step": "holdfast why r1"}, headers)

    def explanation(self) -> str:
        return "what happened, and what to run"

    def answered_by(self, model: str) -> None:
        self.told_early.append(model)

    def made(self, names: Sequence[str]) -> None:
        self.objects += names

    def stream_ended(self, fault: Fault | None, answered_model: str, usage: Mapping[str, int]) -> None:
        self.ended.append((fault, answered_model))

    def give_up(self, reason: str) -> str:
        self.reasons.append(reason)
        return reason

    def save(self) -> None:
        """Save nothing."""

    def abandon(self, *, by_caller: bool = False) -> None:
        self.abandoned += 1


class NoFastPath:
    """Recalls no request."""

    def recall(self, *_: Any) -> None: ...

    def learn(self, *_: Any) -> None: ...


class FakeEngine:
    """Begins exchanges that take `steps`; with `memory`, exchanges that end before anything is sent."""

    def __init__(
        self,
        *steps: Step | Connection,
        turns: Sequence[bool] = (),
        memory: Outcome | None = None,
        refuses: Exception | None = None,
    ) -> None:
        self.steps = [Send(step, 0.0, "") if isinstance(step, Connection) else step for step in steps]
        self.turns, self.memory, self.refuses = list(turns), memory, refuses
        self.missing: set[str] = set()
        self.hostile = False
        self.performed = 0
        self.exchanges: list[FakeExchange] = []
        self.begun: list[tuple[Any, ...]] = []
        self.fast_path = NoFastPath()

    def check_open(self) -> None:
        """It never closes."""

    def is_settled(self, session_id: str) -> bool:
        return True

    def start_request(
        self,
        session_id: str,
        dialect: Dialect,
        model: str | None,
        *,
        replayable: bool,
        client_retries: int,
        rule: BodyRule,
        body: bytes | None,
        deadline: float | None = None,
        settled: bool = False,
    ) -> FakeExchange:
        self.begun.append((session_id, dialect, model, replayable, client_retries))
        if self.refuses is not None:
            raise self.refuses
        self.exchanges.append(FakeExchange(self))
        return self.exchanges[-1]

    def profile(self, connection: Connection) -> Any:
        return PROFILE

    def session(self, session_id: str) -> None:
        return None

    @property
    def last(self) -> FakeExchange:
        return self.exchanges[-1]


def remembered(connection: Connection) -> Outcome:
    """An outcome known before anything was sent."""
    return Outcome(connection, (), Fault(FaultClass.QUOTA_WINDOW, phase=Phase.HEADERS), from_memory=True)
