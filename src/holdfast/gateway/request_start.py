"""The start of a request: from memory where that suffices, else on a thread that may wait for the store.

Nothing here waits: the event loop's thread never asks the store."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from ..core.errors import ConnectionLost, HoldfastError
from ..engine.first_requests import FirstRequest
from ..engine.request import RequestRun
from ..engine.store_guard import Unsettled, from_memory
from ..store.token import Token
from ..wire.account_objects import may_name_objects
from ..wire.error_bodies import ClientError, from_error
from .begun_sessions import begun_sessions
from .client_answer import ClientAnswer
from .client_request import ClientRequest
from .http1.ports import ClientConnection
from .permissions import is_limited
from .ports import RelayContext
from .token_refusals import begin, plan_first, reference_refusal


class RequestStart(ClientAnswer):
    """A request that comes from its client, until its conversation begins (`_converse`)."""

    __slots__ = ("_asked_whose", "_looked", "_token")

    def __init__(
        self,
        gateway: RelayContext,
        client: ClientConnection,
        request: ClientRequest,
        *,
        session: str,
        token: Token,
    ) -> None:
        super().__init__(gateway, client, request, session)
        self._token, self._looked = token, False
        self._asked_whose = not is_limited(token)

    def start(self) -> None:
        """Start the request."""
        if not self._looks_first():
            self._start()

    def _looks_first(self) -> bool:
        """Return whether others may have changed something that counts for the request: then that is looked
        at in a thread, for a moment, and the request started after that."""
        gateway, session = self._gateway, self.session
        engine = gateway.engine
        if self._looked or engine.is_settled(session):
            return False
        known = engine.sessions.peek(session) is not None
        if not known and not is_limited(self._token):
            return False  # `_start` has it created or found
        self._looked = True
        in_thread = gateway.in_thread if known else gateway.in_store_thread
        in_thread(partial(engine.settle, session)).add_done_callback(self._ready)
        return True

    def _start(self) -> None:
        """Start the request from memory. Where that does not suffice, it is started in a thread."""
        request, gateway = self.request, self._gateway
        if not request.readable:
            reading = gateway.in_thread(partial(request.make_readable, gateway.bounds.body_bytes))
            reading.add_done_callback(self._ready)
            return
        if self._has_to_ask_whose():
            self._asked_whose = True
            gateway.in_store_thread(self._ask_whose).add_done_callback(self._ready)
            return
        if not self._looked and gateway.engine.sessions.peek(self.session) is None:
            self._looked = True
            self._begin_first()
            return
        try:
            with from_memory():
                request_run = self._begun(settled=True)
        except (Unsettled, ConnectionLost):
            gateway.in_store_thread(self._begin_slowly).add_done_callback(self._slowly_begun)
        except HoldfastError as error:
            self._refuse(from_error(error))
        else:
            self._converse(request_run)

    def _begin_first(self) -> None:
        """Have the session created or found, together with those of other requests."""
        engine, token, loop = self._gateway.engine, self._token, self._gateway.loop
        settled = loop.create_future()
        settled.add_done_callback(self._ready)

        def done(error: HoldfastError | None) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_settle, settled, error)

        plan = partial(plan_first, engine, token, self.session, self.request.info.model)
        begun = partial(begun_sessions(engine).begun, token)
        engine.first_requests.submit(FirstRequest(self.session, plan, begun, done))

    def _has_to_ask_whose(self) -> bool:
        """Return whether the token is limited, and the request may name what another session made."""
        request = self.request
        if self._asked_whose or not request.rule.judged:
            return False
        return may_name_objects(request.dialect, request.body or b"")

    def _ask_whose(self) -> ClientError | None:
        """Return the refusal of a request that names what another session made. May block on the store."""
        body = self.request.body or b""
        return reference_refusal(self._gateway.engine, self._token, self.session, body)

    def _begun(self, *, settled: bool) -> RequestRun:
        """Return the started request. Raises HoldfastError."""
        request, gateway = self.request, self._gateway
        body = request.body or b""
        return gateway.engine.start_request(
            self.session,
            request.dialect,
            request.info.model,
            replayable=request.body is not None and len(body) <= gateway.conversation_bounds.replay,
            client_retries=request.retries,
            rule=request.rule,
            body=body,
            settled=settled,
        )

    def _begin_slowly(self) -> RequestRun | ClientError:
        """Start the request on a thread that may wait for the store. A session that does not exist yet is
        created first. Raises HoldfastError."""
        try:
            return self._begun(settled=False)
        except ConnectionLost as lost:
            engine, token, model = self._gateway.engine, self._token, self.request.info.model
            refused = begin(engine, token, lost, session_id=self.session, model=model)
            return refused or self._begun(settled=False)

    def _slowly_begun(self, done: asyncio.Future[RequestRun | ClientError]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._ready(done)
            return
        begun = done.result()
        if isinstance(begun, ClientError):
            self._ready(done)
        elif self.over:
            begun.abandon(by_caller=True)
        else:
            self._converse(begun)

    def _ready(self, done: asyncio.Future[Any]) -> None:
        """Start once more, since the body can be read now, or what others changed was looked at."""
        if self.over or done.cancelled():
            return
        refused = done.exception() or done.result()
        if refused is None:
            self.start()
        elif isinstance(refused, ClientError):
            self._refuse(refused)
        elif isinstance(refused, HoldfastError):
            self._refuse(from_error(refused))
        else:
            self.fail_inside(refused)

    def _converse(self, request_run: RequestRun) -> None:
        """Begin the conversation of a started request."""
        raise NotImplementedError

    def fail_inside(self, error: BaseException) -> None:
        """Log an internal error, and end the request without details for the client."""
        raise NotImplementedError


def _settle(future: asyncio.Future[HoldfastError | None], result: HoldfastError | None) -> None:
    if not future.done():
        future.set_result(result)
