"""The library's side of a conversation: its beginning, and its end as a response.

The response is the provider's good answer, or the error of its class in the SDK's dialect, the same as the
gateway's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.errors import ConnectionLost, HoldfastError
from ..core.identity import Dialect
from ..engine.candidates import completed
from ..engine.store_guard import Unsettled, from_memory, result_of
from ..wire.conversation import run_conversation
from ..wire.error_bodies import ClientError, from_error
from ..wire.exchange import Bounds, ConversationResult, GoodAnswer, SendFailed, passes_as_it_came
from ..wire.operations import Op, Perform
from ..wire.response_head import (
    answer_headers,
    beside_error,
    fault_headers,
    mask_key,
    relabelled,
    without_coding,
    without_length,
)
from .client_paths import Family, refusal_of_client
from .fastpath import FastRequest, recall
from .httpx_compat import HttpxAdapter
from .requests import SdkRequest, SdkResponse

if TYPE_CHECKING:
    from ..engine.answered_request import AnsweredRequest
    from ..engine.fastpath import Question
    from ..engine.request import RequestRun
    from ..engine.state import Engine


def serve(
    *,
    adapter: HttpxAdapter,
    engine: Engine,
    session: str,
    request: SdkRequest,
    named: Callable[[str | None], str | None],
    bounds: Bounds,
    made_for: Family | None = None,
    deadline: float | None = None,
) -> Generator[Op, Any, SdkResponse]:
    """Carry one request to its end; `named` returns the model for which it asks, given the name in its body,
    `made_for` is the SDK for which its transport was made, and `deadline` the seconds that it may take.
    Raises the module's exception when the connection broke and recovery has ended."""
    wrong = refusal_of_client(request.path, made_for, request.dialect is Dialect.ANTHROPIC_MESSAGES)
    wrong = wrong or request.bad_deadline
    if wrong is not None:
        return _error_response(request.dialect, wrong)
    if not request.readable:
        refused = yield Perform(request.make_readable)
        if refused is not None:
            return _error_response(request.dialect, refused)
    model = named(request.info.model)
    if not engine.is_settled(session):
        yield Perform(partial(engine.settle, session))
    question = session, request.dialect, model, request.rule.any_model
    recalled = recall(engine, question, request, bounds) if deadline is None else None
    if recalled is not None:
        fast = FastRequest(adapter, engine, recalled, request=request, bounds=bounds)
        answered = yield from fast.run()
        if isinstance(answered, SdkResponse):
            return answered
        run, result = answered
        return _learnt_response(engine, question, run, request=request, result=result)
    start = partial(
        engine.start_request,
        session,
        request.dialect,
        model,
        replayable=request.body is not None and len(request.body) <= bounds.replay,
        client_retries=request.headers.client_retries,
        rule=request.rule,
        body=request.body,
        deadline=deadline,
    )
    request_run = yield from _started(start, engine, request, session=session, model=model)
    if isinstance(request_run, SdkResponse):
        return request_run
    result = yield from run_conversation(
        errors=adapter, engine=engine, request_run=request_run, request=request, bounds=bounds
    )
    return _learnt_response(engine, question, request_run, request=request, result=result)


def _started(
    start: Callable[..., RequestRun], engine: Engine, request: SdkRequest, *, session: str, model: str | None
) -> Generator[Op, Any, RequestRun | SdkResponse]:
    """Return the request that `start` starts, or its refusal."""
    try:
        try:
            with from_memory():
                return start(settled=True)
        except (Unsettled, ConnectionLost):
            started: RequestRun | HoldfastError = yield Perform(partial(result_of, start))
            if isinstance(started, HoldfastError):
                raise started from None
            return started
    except ConnectionLost as lost:
        complete = partial(completed, engine, lost, session, model)
        return _error_response(request.dialect, from_error((yield Perform(complete))))
    except HoldfastError as error:
        return _error_response(request.dialect, from_error(error))


def _learnt_response(
    engine: Engine,
    question: Question,
    run: AnsweredRequest,
    *,
    request: SdkRequest,
    result: ConversationResult,
) -> SdkResponse:
    """Return the response for a conversation's result, from which the fast path learns."""
    good = result.good
    if good is not None and request.inspected:
        engine.fast_path.learn(question, run, good.model if good.stream is None else good.stream.model)
    return _response(run, request, result)


def _forward_headers(request_run: AnsweredRequest) -> tuple[str, ...]:
    """Return the names of headers that may pass besides the common ones, by the provider that answered."""
    if request_run.outcome is None:
        return ()
    return request_run.outcome.connection.provider.forward_headers


def _response(request_run: AnsweredRequest, request: SdkRequest, result: ConversationResult) -> SdkResponse:
    """Return the response for a conversation's result. Raises the exception by which the connection broke."""
    if result.good is not None:
        return _good_response(request_run, request, result.good)
    bad = result.bad
    if bad is not None and bad.error is not None:
        bad.error.args = (f"{bad.error}\n{request_run.explanation()}",)
        raise bad.error
    if bad is None or bad.head is None:
        return _error_response(request.dialect, request_run.client_error())
    return _refused_response(request_run, request, bad, bad.head)


def _good_response(request_run: AnsweredRequest, request: SdkRequest, good: GoodAnswer) -> SdkResponse:
    head: Any = good.head
    theirs = mask_key(head.headers, good.secret)
    if request.info.streams and good.stream is not None:
        theirs = without_length(theirs)
    if good.decoded:
        theirs = without_coding(theirs)
    if good.label:
        theirs = relabelled(theirs, good.label)
    return SdkResponse(
        status=head.status,
        headers=answer_headers(theirs, request_run.headers(), _forward_headers(request_run)),
        chunks=good.chunks,
        extensions=head.extensions,
        rest=good.stream,
    )


def _refused_response(
    request_run: AnsweredRequest, request: SdkRequest, bad: SendFailed, head: Any
) -> SdkResponse:
    """Return the response for a provider's refusal: an error of ours if a model was called, or if its body
    is no JSON, which an SDK cannot read; else the refusal as it came."""
    forwarded = _forward_headers(request_run)
    if passes_as_it_came(request, bad):
        headers = fault_headers(bad.headers, request_run.headers(), forwarded)
        return SdkResponse(head.status, headers, [bad.body], head.extensions)
    error = request_run.client_error().with_provider_error(bad.body)
    ours = error.headers_for(request.dialect, (name for name, _ in bad.headers))
    return _error_response(request.dialect, error)._replace(
        headers=beside_error(bad.headers, ours, forwarded), extensions=head.extensions
    )


def _error_response(dialect: Dialect, error: ClientError) -> SdkResponse:
    """Return an error of our own as a response, in the caller's dialect."""
    headers = answer_headers([], error.headers_for(dialect))
    return SdkResponse(error.status(dialect), headers, [error.body(dialect)], {})
