"""The steps of `holdfast check`, and its calls: one in each dialect of the provider."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..values.fault_texts import called
from .context import CliContext
from .output import if_any
from .progress import waiting

if TYPE_CHECKING:
    from ..calls.api_calls import Checked
    from ..core.explain import Explanation
    from ..core.identity import Dialect, Provider
    from ..core.routes import Route
    from ..core.steps import Outcome, Refused
    from ..engine.state import Engine

_MOST_WAITED = 5.0
"""Seconds that a call of a check waits in all: who looks at it wants to be told soon."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the test. A `note` is no failure: it may be right as it is."""

    step: str
    ok: bool
    what: str
    note: bool = False

    @property
    def level(self) -> str:
        """Return the result in a word."""
        if self.note:
            return "note"
        return "ok" if self.ok else "wrong"

    @property
    def line(self) -> str:
        """Return the step as a line."""
        return f"{self.level:<5}  {self.step:<7}  {self.what}"


def calls(context: CliContext, provider: Provider, dialects: Sequence[Dialect], model: str) -> Iterator[Step]:
    """Make a call in each dialect, with the usual recovery but no fallback. Raises Refused after the last
    where one was refused; a model that is only missing in a dialect is noted if another has it."""
    from ..core.faults import Phase
    from ..core.routes import Route
    from ..sdk.api import open as open_home

    made: list[tuple[list[Step], Refused | None]] = []
    unreachable: dict[str, Refused] = {}
    with open_home(store=context.store, vault=context.vault) as holdfast:
        for dialect in dialects:
            route = Route.build(provider, dialect, model)
            endpoint = route.connection.endpoint
            refused = unreachable.get(endpoint.origin)
            if refused is None:
                steps, refused = _call(holdfast.engine, route)
            else:
                why = called(refused.fault.kind, refused.fault.cause)
                steps = [Step("call", ok=False, what=f"not made in {dialect}: {endpoint.host}: {why}")]
            if refused is not None and refused.fault.phase is Phase.CONNECT:
                unreachable[endpoint.origin] = refused
            made.append((steps, refused))
            if not _misses_the_model(refused):
                yield from steps
    answered = any(refused is None for _, refused in made)
    failed = []
    for steps, refused in made:
        if _misses_the_model(refused):
            yield replace(steps[-1], ok=answered, note=answered)
        if refused is not None and not (answered and _misses_the_model(refused)):
            failed.append(refused)
    if failed:
        raise failed[0]


def _misses_the_model(refused: Refused | None) -> bool:
    from ..core.faults import FaultClass

    return refused is not None and refused.fault.kind is FaultClass.MODEL_UNAVAILABLE


def _call(engine: Engine, route: Route) -> tuple[list[Step], Refused | None]:
    """Make one call on this route. Return what to tell of it, and the refusal if it was refused."""
    from ..engine.check import check_route
    from ..wire.answered_model import confirm_model

    model, dialect = route.connection.model, route.connection.dialect
    settings = engine.config().settings
    limits = replace(settings, wait_budget=min(settings.wait_budget, _MOST_WAITED))
    with waiting(f"calling {model} in {dialect}"):
        request, outcome, answer = check_route(engine, route, limits)
    if outcome.fault is not None or answer is None:
        kind = "unknown"
        if outcome.fault is not None:
            kind = called(outcome.fault.kind, outcome.fault.cause)
        what = f"{kind} in {dialect}, request {request.call.request_id}"
        return [Step("call", ok=False, what=what)], _refused(outcome, request.explanation())
    steps = [Step("call", ok=True, what=f"{_answered(outcome, answer)}, request {request.call.request_id}")]
    dropped = confirm_model(outcome.connection, answer.model)
    if dropped is not None:
        steps.append(Step("model", ok=False, what=dropped.what))
    return steps, None


def _answered(outcome: Outcome, answer: Checked) -> str:
    """Return the words about a good answer."""
    key = outcome.connection.key
    with_key = if_any(" with key '{}'", key and key.label)
    asked = ""
    if len(outcome.attempts) > 1:
        asked = f"after {len(outcome.attempts)} requests, "
    return f"{asked}{outcome.connection.dialect} answered in {answer.seconds:.1f} s{with_key}"


def _refused(outcome: Outcome, explanation: Explanation) -> Refused:
    """Build the error of a refused call from the four lines about it."""
    from ..core.faults import Fault, FaultClass
    from ..core.steps import Refused

    lines = [explanation.what, explanation.where, f"Tried: {explanation.tried}", explanation.quote]
    lines.append(f"Next: {explanation.advice}:")
    return Refused(
        "\n  ".join(line for line in lines if line),
        fault=outcome.fault or Fault(FaultClass.UNKNOWN),
        attempts=outcome.attempts,
        next_step=explanation.command,
    )
