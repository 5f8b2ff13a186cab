"""One request to a provider, without I/O.

`run_conversation` is a generator: it says what to open, read, close or wait for, is sent what came of it, and
returns the result. The sync and the async transport and the gateway's relay only carry out what it says.
It obeys the engine's steps: the core decides whether an answer is good, and what a bad one means.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ..core.steps import Send
from .exchange import Bounds, ConversationRequest, ConversationResult
from .operations import Op, Perform, Wait
from .ports import ConnectionErrors, Engine, RequestRun
from .sending import SendState

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.25
"""Seconds between two tries of a step that another request is taking."""

Conversation = Generator[Op, Any, ConversationResult]  # what is sent in depends on the operation


def run_conversation(
    *,
    errors: ConnectionErrors,
    engine: Engine,
    request_run: RequestRun,
    request: ConversationRequest,
    bounds: Bounds,
) -> Conversation:
    """Carry one started request to its end."""
    state = SendState(errors=errors, engine=engine, request_run=request_run, request=request, bounds=bounds)
    try:
        if request_run.takes_long() and not (yield Perform(request_run.prepare)):
            request_run.abandon()
            return ConversationResult(None, None)
        while (step := request_run.step) is not None or request_run.unsaved:
            if request_run.unsaved:
                yield Perform(request_run.save)
            elif isinstance(step, Send):
                if step.after > 0:
                    yield Wait(step.after)
                answer = yield from state.send(step)
                request_run.take(answer, is_open=state.good is not None and state.good.stream is not None)
            else:
                pause = _FIRST_PAUSE
                while not (yield Perform(request_run.perform)):
                    yield Wait(pause)
                    pause = min(pause * 1.5, _LONGEST_PAUSE)
        return state.ended()
    except BaseException as error:
        if isinstance(error, errors.late):
            error.args = (request_run.give_up(str(error)),)
        request_run.abandon(by_caller=isinstance(error, GeneratorExit))
        raise
