"""Answers the requests of clients: a data route goes to a provider, everything else is answered here."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..core.errors import HoldfastError
from ..core.identity import Dialect
from ..wire.error_bodies import ClientError, from_error, refusal, unreadable
from ..wire.usage import NO_USAGE
from . import listener
from .account_relay import AccountRelay
from .admission import Admission, AdmissionControl, local_answer
from .client_request import ClientRequest
from .fastpath import FastRelay
from .http1.framing import MalformedMessage, RawHeaders
from .http1.ports import ClientConnection, LocalAnswer, RequestTimeout
from .http1.request_head import Head
from .http1.upload import Upload
from .permissions import is_limited
from .ports import AdminAnswer, AdminContext, AdminHandler, RelayContext
from .relay import Relay
from .routing import EVERYTHING, allowed_methods, unknown_route, wrong_method
from .upload_relay import UploadRelay, UploadRequest

if TYPE_CHECKING:
    from asyncio import Future

_log = logging.getLogger("holdfast.gateway")


class LocalResponse(NamedTuple):
    """A request that the gateway answered itself, as metrics and logs read it (`ports.FinishedRequest`)."""

    route: str
    status: int
    code: str = ""
    session: str = ""
    seconds: float = 0.0
    size: int = 0
    chunks: int = 0
    streamed: bool = False
    usage: Mapping[str, int] = NO_USAGE
    outcome: None = None
    request_id: str = ""
    client_left: bool = False
    first: None = None
    broken: None = None


class HandlerContext(RelayContext, AdminContext, Protocol):
    """The gateway as its handler sees it. `proof_key`: the key of `listener.proof`."""

    proof_key: bytes


class Handler:
    """Handles the requests of one gateway's connections (`http1.ports.RequestHandler`). `repeats` takes those
    that are like one before them."""

    def __init__(
        self,
        gateway: HandlerContext,
        admission: AdmissionControl,
        admin: AdminHandler,
        repeats: Callable[[Any, bytes], bool],
    ) -> None:
        self._gateway, self._admission, self._admin = gateway, admission, admin
        self.repeats = repeats
        self._waiting: list[Callable[[], None]] = []
        self._looks = False

    def admit(self, head: Head, *, again: bool = False) -> Admission:
        """Decide from the head whether the request's body is wanted; `again`, for good. Raises
        MalformedMessage."""
        admission = self._admission.admit(head)
        admission.unsure = admission.unsure and not again
        if admission.error is not None and not admission.unsure:
            admission.refusal = self._refused(admission.error, admission)
        return admission

    def look_at_tokens(self, then: Callable[[], None]) -> None:
        """Look for new tokens in a thread, and call `then` after that. Looks that begin meanwhile are one."""
        self._waiting.append(then)
        if not self._looks:
            self._look()

    def _look(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._looks = bool(waiting)
        if waiting:
            looking = self._gateway.in_store_thread(self._gateway.tokens.look)
            looking.add_done_callback(partial(self._looked, waiting))

    def _looked(self, waiting: Sequence[Callable[[], None]], done: Future[None]) -> None:
        self._look()
        if not done.cancelled():
            done.exception()  # what failed was reported; a token that is not known is refused
            for then in waiting:
                then()

    def handle(
        self, connection: ClientConnection, head: Head, admission: Admission, body: bytes | Upload
    ) -> None:
        """Answer a complete request, or one with a body that goes on, now or later."""
        token = admission.token
        if not admission.session or token is None:
            self._answer_locally(connection, head, admission)
            return
        relay: Relay
        if isinstance(body, Upload):
            limited = token.strict or is_limited(token)
            upload = UploadRequest(head, admission.route, body, limited=limited)
            relay = UploadRelay(self._gateway, connection, upload, admission.session, token=token)
        else:
            request = ClientRequest(
                head, admission.route, body, strict=token.strict, limited=is_limited(token)
            )
            kind = AccountRelay if request.rule.binds else FastRelay
            relay = kind(self._gateway, connection, request, admission.session, token=token)
        connection.running = relay
        relay.start()

    def still_admits(self, admission: Admission) -> bool:
        """Return whether the head of a data route would be admitted in the same way now."""
        token = admission.token
        return token is not None and self._gateway.tokens.is_unchanged(token)

    def answer_to(self, error: Exception, admission: Admission | None) -> LocalAnswer:
        """Return the answer to a request that cannot be read, took too long, or failed inside us."""
        if isinstance(error, MalformedMessage):
            return self._refused(unreadable(error.status, error.what), admission)
        if isinstance(error, RequestTimeout):
            return self._refused(refusal("request_timeout"), admission)
        _log.error("a request failed inside the gateway", exc_info=error)
        return self._refused(refusal("internal"), admission)

    def _answer_locally(self, connection: ClientConnection, head: Head, admission: Admission) -> None:
        route, method = admission.route, head.method
        if not (route.name or route.path == EVERYTHING or self._admin.serves(route.path)):
            self._finish(connection, admission, None)
            return
        if method == b"OPTIONS":
            allow = allowed_methods(route).encode("ascii")
            self._finish(connection, admission, (204, [(b"allow", allow)], b""))
            return
        if method not in (b"GET", b"HEAD"):
            connection.answer(*self._refused(wrong_method(route), admission))
            connection.finished()
            return
        answer = self._admin.answer(
            gateway=self._gateway,
            path=route.path,
            query=head.query.decode("ascii"),
            headers=head.headers,
            token=admission.token,
        )
        if inspect.isawaitable(answer):
            self._gateway.spawn(self._answer_later(connection, admission, answer))
            return
        if answer is not None and route.path == listener.PATH:
            status, headers, body = answer
            answer = status, [*headers, *self._proof(connection, head)], body
        self._finish(connection, admission, answer)

    def _proof(self, connection: ClientConnection, head: Head) -> RawHeaders:
        """Return the header that proves to a client that this is its home's gateway, if it asks for that."""
        challenge = dict(head.headers).get(listener.CHALLENGE.encode(), b"").decode("latin-1")
        proof = listener.proof(self._gateway.proof_key, challenge, connection.local_address)
        if not proof:
            return []
        return [(listener.PROOF.encode(), proof.encode())]

    async def _answer_later(
        self, connection: ClientConnection, admission: Admission, answer: Awaitable[AdminAnswer | None]
    ) -> None:
        try:
            value = await answer
        except HoldfastError as error:
            connection.reject(self._refused(from_error(error), admission))
        except Exception as error:
            _log.error("an admin page of the gateway failed", exc_info=error)
            connection.reject(self._refused(refusal("internal"), admission))
        else:
            self._finish(connection, admission, value)

    def _finish(self, connection: ClientConnection, admission: Admission, answer: AdminAnswer | None) -> None:
        route = admission.route
        if answer is None:
            connection.answer(*self._refused(unknown_route(route.path), admission))
        else:
            status, headers, body = answer
            connection.answer(status, [b"%b: %b" % pair for pair in headers], body)
            self._gateway.metrics.finished(LocalResponse(route.name, status))
        connection.finished()

    def _refused(self, error: ClientError, admission: Admission | None) -> LocalAnswer:
        """Return an error as an answer, and report it to metrics and logs."""
        route, dialect = "", Dialect.OPENAI_CHAT
        if admission is not None:
            route, dialect = admission.route.name, admission.route.dialect
        answer = local_answer(error, dialect)
        self._gateway.metrics.finished(LocalResponse(route, answer.status, error.kind.name))
        return answer
