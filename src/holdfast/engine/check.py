"""A test of a route by one small call, with the recovery that every request has, outside of any session.

`holdfast check` and the fail-back monitor use it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..core.config import Limits
from ..core.errors import SecretMissing
from ..core.faults import Reply
from ..core.identity import Connection
from ..core.routes import Route
from ..core.steps import Answer, Call, Outcome, Send
from ..values.secret import Secret
from ..wire.response_head import reply_of_unsent
from .request import RequestRun
from .state import Engine

if TYPE_CHECKING:
    from ..calls.api_calls import Checked
    from ..calls.network import Network

_ASK_AGAIN = 0.1
"""Seconds between two attempts while another request tests the key."""

AskOnce = Callable[[Connection, Secret | None], "Checked | Reply"]
"""Makes one small call; returns the model that answered, or the failed reply."""


def ask_once(
    connection: Connection, secret: Secret | None, network: Network | None = None
) -> Checked | Reply:
    """Make the small call. Its client is loaded here: it takes 8 MB, and few gateways ever call."""
    from ..calls.api_calls import check_call

    return check_call(connection, secret, network=network)


class CheckResult(NamedTuple):
    """The result of a check. `answer` is the last good answer, None if there was none."""

    request: RequestRun
    outcome: Outcome
    answer: Checked | None


def check_route(engine: Engine, route: Route, limits: Limits, *, ask: AskOnce = ask_once) -> CheckResult:
    """Make one small call on `route` within `limits`, and store what it shows about the keys.

    No fallback is used. Blocks until the flow has ended.
    """
    engine.catch_up()
    call = Call(request_id=secrets.token_hex(8), session="", route=route, limits=limits)
    request = RequestRun(engine, call, route.connection.pin, engine.store.now())
    answer: Checked | None = None
    try:
        while (step := request.step) is not None:
            if isinstance(step, Send):
                time.sleep(step.after)
                answer = _send(request, step.connection, ask) or answer
            elif not request.perform():
                time.sleep(_ASK_AGAIN)
    except BaseException:
        request.abandon()
        raise
    request.save()
    if request.outcome is None:
        raise RuntimeError("a request without a next step has no outcome")
    return CheckResult(request, request.outcome, answer)


def _send(request: RequestRun, connection: Connection, ask: AskOnce) -> Checked | None:
    """Perform a Send step and report its result to the flow. Return the answer, if it was good."""
    sent_at = request.now()
    try:
        secret = request.secret(connection)
    except SecretMissing as missing:
        request.answer(Answer(request.now(), reply_of_unsent(missing, sent_at), sent_at=sent_at))
        return None
    got = ask(connection, secret)
    if isinstance(got, Reply):
        request.answer(Answer(request.now(), got, sent_at=sent_at))
        return None
    request.answer(Answer(request.now(), sent_at=sent_at))
    request.stream_ended(None, got.model)
    return got
