"""A small world for core tests: providers, keys, a board, a clock and a driver of the flow that performs no
I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from holdfast.core.changes import Change, CooldownStarted, Owner
from holdfast.core.config import Limits
from holdfast.core.faults import Phase, Reply
from holdfast.core.health import HealthRegistry
from holdfast.core.identity import Auth, Dialect, Endpoint, Key, Provider, ProviderName, Strategy
from holdfast.core.key_selection import DecisionContext
from holdfast.core.request_flow import flow
from holdfast.core.routes import Route
from holdfast.core.steps import Answer, Call, Outcome, Probe, Refresh, Relist, Send, Step
from holdfast.providers import profiles

CHAT = Dialect.OPENAI_CHAT


def key(provider: str, label: str, account: str | None = None, url: str | None = None) -> Key:
    own = (Endpoint(url),) if url else ()
    return Key(ProviderName(provider), label, f"env:{label.upper()}", account, own)


def provider(
    name: str,
    *labels: str,
    url: str = "",
    models: tuple[str, ...] | None = None,
    strategy: Strategy = Strategy.FILL_FIRST,
    keys: tuple[Key, ...] = (),
) -> Provider:
    made = keys or tuple(key(name, label) for label in labels)
    auth = Auth.BEARER if made else Auth.NONE
    return Provider(
        ProviderName(name),
        (Endpoint(url or f"https://{name}.example/v1", auth=auth),),
        made,
        models,
        strategy,
    )


def route(owner: Provider, model: str = "m1") -> Route:
    return Route.build(owner, CHAT, model)


def reply(
    status: int, code: str = "", message: str = "no", headers: Mapping[str, str] | None = None, kind: str = ""
) -> Reply:
    body = json.dumps({"error": {"message": message, "type": kind or None, "code": code or None}}).encode()
    return Reply(status, tuple((headers or {}).items()), body)


BAD_KEY = reply(401, "invalid_api_key", "Incorrect API key provided")
THROTTLED = reply(429, "rate_limit_exceeded", "Rate limit reached")
BROKE = reply(429, "insufficient_quota", "You exceeded your current quota", kind="insufficient_quota")
OVERLOADED = reply(529, message="Overloaded", kind="overloaded_error")
UNAVAILABLE = reply(503, message="The server is overloaded", kind="server_error")
BROKEN = reply(500, message="Internal server error", kind="server_error")
MODEL_FAILED = reply(200, "server_error", "An error occurred while processing your request")
NO_MODEL = reply(404, "model_not_found", "The model `m1` does not exist")
NO_PAGE = Reply(404, (("content-type", "text/plain"),), b"404 page not found")
WRONG = reply(400, "invalid_value", "Invalid value for 'temperature'", kind="invalid_request_error")
TOO_LONG = reply(400, "context_length_exceeded", "This model's maximum context length is 8192 tokens")
REFUSED_LINE = Reply(
    None,
    body=b"ConnectError: [Errno 104] Connection reset by peer",
    phase=Phase.CONNECT,
    request_written=False,
)
DELETED = reply(401, "account_deactivated", "The account was deactivated")

Script = Callable[[Send, float], Reply | None]


@dataclass
class Sim:
    """Runs flows against a script. `missing` keys cannot be read, `unread` must be read first; the sources of
    `silent` ones give nothing before a time; `leases` are held by others."""

    health: HealthRegistry = field(default_factory=HealthRegistry)
    now: float = 1_000_000.0
    missing: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    silent: dict[str, float] = field(default_factory=dict)
    generation: dict[str, int] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    models: tuple[str, ...] = ()
    plan_host: str | None = None
    first_owner: Owner | None = None
    busy_probes: list[Callable[[Sim], None]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def fingerprint(self, key: Key) -> str | None:
        return (
            None
            if key.label in self.unread | self.missing
            else f"{key.label}{self.generation.get(key.label, 0)}"
        )

    def context(self) -> DecisionContext:
        return DecisionContext(
            self.health,
            self.fingerprint,
            lambda connection: profiles.load(None),
            jitter=0.0,
            plan_host=lambda connection: self.plan_host,
            first_owner=lambda session: self.first_owner,
        )

    def run(self, call: Call, script: Script | Iterable[Reply | None]) -> Outcome:
        """Drive one call to its end; each send takes 0.1 s."""
        if not callable(script):
            answers = iter(script)
            script = lambda send, now: next(answers)  # noqa: E731
        going = flow(call, self.context(), self.now)
        try:
            step = next(going)
            while True:
                self.steps.append(step)
                self.changes += step.changes
                step = going.send(self._answer(step, script))
        except StopIteration as end:
            outcome: Outcome = end.value
            self.changes += outcome.changes
            return outcome

    def _answer(self, step: Step, script: Script) -> Answer:
        match step:
            case Send():
                self.now += step.after
                sent_at = self.now
                answer = script(step, self.now)
                self.now += 0.1
                return Answer(self.now, answer, sent_at=sent_at)
            case Probe():
                if self.busy_probes:
                    self.busy_probes.pop(0)(self)
                    return Answer(self.now)
                return Answer(self.now, yes=True)
            case Refresh(one, fingerprint):
                speaks = self.silent.get(one.label, self.now)
                if speaks > self.now + step.patience:
                    headers = (("retry-after", f"{speaks - self.now:g}"),)
                    self.unread.add(one.label)
                    return Answer(self.now, Reply(None, headers, b"SourceSilent: x", phase=Phase.UNSENT))
                self.now = max(self.now, speaks)
                self.silent.pop(one.label, None)
                if one.label in self.missing:
                    return Answer(self.now, Reply(None, body=b"SecretMissing: not set", phase=Phase.UNSENT))
                self.unread.discard(one.label)
                if fingerprint is not None and one.label in self.replaced:
                    self.replaced.discard(one.label)
                    self.generation[one.label] = self.generation.get(one.label, 0) + 1
                    return Answer(self.now, yes=True)
                return Answer(self.now, yes=False)
            case Relist():
                return Answer(self.now, models=self.models)

    @property
    def sends(self) -> list[Send]:
        return [step for step in self.steps if isinstance(step, Send)]

    @property
    def labels(self) -> list[str]:
        return [send.connection.key.label if send.connection.key else "" for send in self.sends]

    @property
    def cooled(self) -> list[CooldownStarted]:
        return [change for change in self.changes if isinstance(change, CooldownStarted)]


def call(route: Route, *fallbacks: Route, **more: object) -> Call:
    return Call("r1", "s1", route, fallbacks, limits=more.pop("limits", Limits()), **more)  # type: ignore[arg-type]
