"""The fast path, decision side: recognises requests about which the full path has decided before.

A request of the same session, dialect and model as one that was answered well is sent in the same way, as
long as nothing has changed that the full path looks at: the configuration, the session's row, the key's
value, and what is known of the key, its account, the model and the endpoint. Whatever differs takes the full
path, which alone decides; an answer that is not plainly good enters it as the answer to its first send."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from ..core.changes import NO_KEY, key_succeeded
from ..core.config import Config
from ..core.identity import Connection, Dialect, Key
from ..core.key_selection import KeySelection, order
from ..core.steps import Attempt, Call, Outcome
from ..store.gathered import Line, Similar, second
from ..store.journal_events import Attempted, Event, UsageCounted
from ..values.secret import Secret
from ..wire.answer_facts import AnswerFacts
from ..wire.response_head import header_lines, header_pairs
from ..wire.usage import NO_USAGE, by_kind
from .answered_request import AnsweredRequest
from .ports import FastPathContext
from .request import Begun, RequestRun
from .store_guard import Unsettled, from_memory
from .usage_counts import Counted

if TYPE_CHECKING:
    from .dispatch import RequestPlan

_MOST = 10_000
"""Decisions that are kept."""
_MOST_NAMES, _LONGEST_NAME = 10, 200

Question = tuple[str, Dialect, str | None, bool]
"""What the full path decides by: a session, a dialect, the model that a request names, and whether its route
takes any model (`BodyRule.any_model`)."""


class KeyInUse(NamedTuple):
    """A key as it was sent: its fingerprint, its value, and the function that gives the value it has now."""

    fingerprint: str
    secret: Secret | None
    now: Callable[[], Secret | None]


class Learnt:
    """A decision of the full path about the requests of a `plan`.

    It holds as long as the configuration is the plan's, the session's row is equal to `session`, and the key
    has the same value, until it is `ended`. `name` is its pin as text, `models` are the names by which the
    model has answered; `lines` the header lines of its answers behind the request's id, `joined` the same as
    bytes, each behind a line end, and `pairs` as names and values.
    """

    __slots__ = (
        "connection",
        "ended",
        "joined",
        "key",
        "lines",
        "models",
        "name",
        "outcome",
        "pairs",
        "plan",
        "session",
    )

    def __init__(
        self, plan: RequestPlan, outcome: Outcome, key: KeyInUse, headers: Mapping[str, str]
    ) -> None:
        self.plan, self.session, self.ended = plan, plan.session, False
        self.outcome, self.connection = outcome._replace(changes=()), outcome.connection
        self.key, self.name = key, str(outcome.connection.pin)
        self.lines, self.pairs = header_lines(headers), header_pairs(headers)
        self.joined = b"".join(b"\r\n" + line for line in self.lines)
        self.models = {"", outcome.connection.model}

    def add_model(self, name: str) -> None:
        """Take note of a name by which the model answers."""
        if len(self.models) < _MOST_NAMES and len(name) <= _LONGEST_NAME:
            self.models.add(name)


class Recalled(NamedTuple):
    """A request that is sent as it was `learnt`, at `sent_at` (epoch seconds)."""

    learnt: Learnt
    request_id: str
    sent_at: float

    def call(self) -> Call:
        """Return the request as the core sees it."""
        return self.learnt.plan.call._replace(request_id=self.request_id)


class FastPath:
    """The decisions that the full path has made about an engine's requests. Thread-safe.

    `on` is false where every request is to take the full path. `forgotten` is called when much of what was
    learnt has ended."""

    def __init__(self, engine: FastPathContext) -> None:
        self._engine = engine
        self._known: dict[Question, Learnt] = {}
        self.on = True
        self.forgotten: Callable[[], object] = _forget_nothing

    def recall(self, question: Question, body: bytes) -> Recalled | None:
        """Return the request as it is sent now, if the full path has decided about its like and would decide
        in the same way now. Raises ConfigError."""
        learnt = self._known.get(question)
        if learnt is None:
            return None
        recalled = self.again(learnt, body)
        if learnt.ended:
            self._known.pop(question, None)
        return recalled

    def again(self, learnt: Learnt, body: bytes) -> Recalled | None:
        """Return a request with this body, about whose like `learnt` decided, in the same way."""
        if learnt.ended:
            return None
        engine, key, connection = self._engine, learnt.key, learnt.connection
        session = engine.sessions.peek(learnt.session.id)
        if session is not learnt.session:
            if session is None or session != learnt.session:
                learnt.ended = True
                return None
            learnt.session = session
        config = engine.config()
        if config is not learnt.plan.config or key.now() is not key.secret:
            learnt.ended = True
            self._forget(config, key.secret)
            return None
        if not engine.health.is_good(key.fingerprint, connection):
            return None
        if learnt.plan.several and self._is_bound(learnt.connection.dialect, body):
            return None
        now = engine.store.now()
        return Recalled(learnt, f"{int(now):08x}{random.getrandbits(32):08x}", now)

    def _is_bound(self, dialect: Dialect, body: bytes) -> bool:
        """Return whether a request refers to what only one account knows, or may do so."""
        try:
            with from_memory():
                return self._engine.objects.bind(dialect, body, to_model=True)[0]
        except Unsettled:
            return True

    def sends(self, recalled: Recalled) -> None:
        """Take note that the request leaves: count one use of the key."""
        self._engine.health.use(recalled.learnt.connection)

    def learn(self, question: Question, run: AnsweredRequest, model: str) -> None:
        """Learn from a request that the full path has answered, by `model` as its provider names it."""
        if not isinstance(run, RequestRun):
            return
        outcome, plan = run.outcome, run.plan
        if not self.on or outcome is None or plan is None or plan.active_fallback is not None:
            return
        if outcome.connection.dialect is not question[1]:  # a translation is made for each request
            return
        headers = run.headers()
        if "holdfast-answered-model" in headers or not _is_plain(outcome, run.call):
            return
        key = self._key_of(outcome.connection.key)
        if key is None or not self._comes_first(outcome.connection, run.call):
            return
        learnt = self._known.get(question)
        if learnt is None or learnt.plan is not plan or learnt.key.secret is not key.secret:
            headers.pop("holdfast-request-id")
            if learnt is not None:
                learnt.ended = True
            if len(self._known) >= _MOST:
                self._known.clear()
                self.forgotten()
            learnt = self._known[question] = Learnt(plan, outcome, key, headers)
        learnt.add_model(model)

    def succeeded(self, recalled: Recalled, facts: AnswerFacts) -> bool:
        """Take note of a good answer, as the full path does. Return False, having done nothing, where the
        full path has to: when the store is to know of the answer at once."""
        engine, learnt, now = self._engine, recalled.learnt, self._engine.store.now()
        health, connection, fingerprint = engine.health, learnt.connection, learnt.key.fingerprint
        evidence = health.evidence(fingerprint, connection.endpoint)
        was_cooled = health.cooldown(fingerprint, connection) is not None
        change = key_succeeded(evidence, connection, now, was_cooled=was_cooled)
        if change.durable and not change.routine:
            return False
        health.bucket(connection.endpoint).succeed()
        health.apply(change)
        if change.durable:
            engine.take_changes([change], recalled.sent_at)
        if facts.objects:
            engine.objects.made(learnt.session.id, connection, facts.objects)
        engine.journal_writer.journal_alike(_events, recalled, now, facts.usage)
        if facts.usage is not NO_USAGE:  # it is whole; a stream is counted at its end
            counted = (now, learnt.session.id, connection.label, learnt.name, facts.usage)
            engine.journal_writer.count(Counted._make(counted))
        engine.watch(learnt.outcome)
        return True

    def take_over(self, recalled: Recalled, dialect: Dialect, body: bytes | None) -> RequestRun:
        """Return the request on the full path: its first send is made. It may need a translation of its
        `body` for a fallback."""
        learnt, sent_at = recalled.learnt, recalled.sent_at
        self._engine.health.use(learnt.connection, -1)  # the full path counts it
        choice = KeySelection(learnt.connection, learnt.key.fingerprint)
        begun = Begun(choice, learnt.key.secret, sent_at)
        call, pin, translator = recalled.call(), learnt.session.pin, None
        if learnt.plan.translated:
            translator = self._engine.translations.begin(dialect, body, call, sent_at)
        return RequestRun(
            self._engine, call, pin, sent_at, plan=learnt.plan, begun=begun, translator=translator
        )

    def opened(self, recalled: Recalled) -> AnsweredRequest:
        """Return the request whose good answer goes on."""
        learnt = recalled.learnt
        return AnsweredRequest(self._engine, recalled.call(), learnt.session.pin, learnt.outcome)

    def renew(self) -> None:
        """Forget everything, in a forked child."""
        self._known.clear()
        self.forgotten()

    def _forget(self, config: Config, ended: Secret | None) -> None:
        """Forget what was learnt by another configuration, or with a key that has `ended`: many sessions may
        never ask again, and neither is to stay in memory for them."""
        self._known = {
            question: learnt
            for question, learnt in [*self._known.items()]  # another thread may learn meanwhile
            if learnt.plan.config is config and learnt.key.secret is not ended
        }
        self.forgotten()

    def _key_of(self, key: Key | None) -> KeyInUse | None:
        """Return a key as it is now; None where it has to be read, or is being changed."""
        if key is None:
            return KeyInUse(NO_KEY, None, _no_secret)
        now = partial(self._engine.vault.peek, key)
        secret, fingerprint = now(), self._engine.fingerprint(key)
        if secret is None or fingerprint is None or now() is not secret:
            return None
        return KeyInUse(fingerprint, secret, now)

    def _comes_first(self, connection: Connection, call: Call) -> bool:
        """Return whether the session's next request is sent on this connection, unless it ails: no key is
        chosen by how often it was used."""
        if len(call.route.connections) == 1:
            return True
        first = order(call.route, self._engine.context(), call.kept_key)[0]
        return connection is first and connection.label == call.kept_key


def _no_secret() -> None:
    return None


def _forget_nothing() -> None:
    """Nobody keeps what was learnt."""


def _is_plain(outcome: Outcome, call: Call) -> bool:
    """Return whether a request was sent once and answered well, by the choice of its session."""
    special = call.passthrough or call.bound or call.on_fallback or call.returning or call.ends != inf
    if special or not call.replayable or call.client_retries:
        return False
    if outcome.fault is not None or outcome.active_fallback or len(outcome.attempts) != 1:
        return False
    return not outcome.attempts[0].probe and outcome.connection in call.route.connections


def _events(answered: Sequence[tuple[Recalled, float, Mapping[str, int]]]) -> Iterator[Similar]:
    """Yield the events of requests that were answered on the fast path, each with the time of its end and its
    usage. On the journal writer's thread."""
    groups: dict[tuple[Learnt, str], list[tuple[Recalled, float, Mapping[str, int]]]] = {}
    for request in answered:
        learnt, request_id, _ = request[0]
        groups.setdefault((learnt, second(request_id)), []).append(request)
    for (learnt, began), requests in groups.items():
        attempts, counted = list[Line](), list[Line]()
        for (_, request_id, sent_at), ended_at, usage in requests:
            own = request_id[len(began) :]
            attempts.append((own, sent_at, round(ended_at - sent_at, 4)))
            if usage and (tokens := by_kind(usage)):
                counted.append((own, ended_at, tokens))
        (recalled, ended_at, _), session, pin = requests[0], learnt.session.id, learnt.name
        sent = Attempt._make((1, learnt.connection, recalled.sent_at, ended_at, None, False, ""))
        for detail, lines in (Attempted.of(sent), attempts), (UsageCounted({}), counted):
            if lines:
                yield Similar(Event._make((ended_at, detail, session, recalled.request_id, pin)), lines)
