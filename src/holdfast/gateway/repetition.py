"""One request that repeats one before it, between its client and a provider. Its answer is passed on here if
it is whole, plain and good; for anything else a `FastRelay` goes on with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..core.steps import Outcome
from ..engine.fastpath import Learnt, Recalled
from ..engine.plain_answers import facts_of_good
from ..secrecy.masking import spellings_of
from ..wire.answer_shape import AnswerKind
from ..wire.request_body import RequestInfo
from ..wire.request_head import PreparedHead
from ..wire.usage import NO_USAGE
from .client_request import ClientRequest
from .fastpath import FastRelay
from .http1.head_shape import HeadShape
from .permissions import is_limited

if TYPE_CHECKING:
    from ..store.token import Token
    from .admission import Admission
    from .http1.ports import UpstreamLink
    from .http1.request_head import CachedHead
    from .http1.response_head import ResponseHead
    from .http1.server_connection import ServerConnection
    from .ports import RelayContext


class Kind:
    """Requests with one head, for one model, with or without a stream: the decision about them, the head as
    it leaves, the kind of answer, and the `shapes` of the heads of their answers. `tries`: the answers that
    were looked at for these."""

    __slots__ = ("answer", "learnt", "prepared", "shapes", "tries")

    def __init__(self, learnt: Learnt, prepared: PreparedHead, answer: AnswerKind) -> None:
        self.learnt, self.prepared, self.answer = learnt, prepared, answer
        self.shapes: list[HeadShape] = []
        self.tries = 0


class KnownHead(NamedTuple):
    """A head that was admitted, with this token and in this session, and the kinds of requests that came with
    it and were answered well, by the model that they name and whether they want a stream."""

    cached: CachedHead
    admission: Admission
    token: Token
    session: str
    kinds: dict[tuple[str | None, bool], Kind]


class Repetition:
    """The request (`ports.FinishedRequest`, `http1.ports.ResponseSink`). `began`: when, by the loop's
    clock."""

    __slots__ = (
        "_body",
        "_client",
        "_gateway",
        "_kind",
        "_known",
        "_recalled",
        "_upstream",
        "began",
        "seconds",
        "size",
        "usage",
    )

    status, chunks, code = 200, 0, ""
    streamed = client_left = False
    first = broken = None

    def __init__(
        self,
        gateway: RelayContext,
        client: ServerConnection,
        known: KnownHead,
        kind: Kind,
        body: bytes,
        recalled: Recalled,
        upstream: UpstreamLink,
    ) -> None:
        self._gateway, self._client, self._known, self._kind = gateway, client, known, kind
        self._body, self._recalled, self._upstream = body, recalled, upstream
        self.began = gateway.loop.time()
        self.seconds, self.size = 0.0, 0
        self.usage: Mapping[str, int] = NO_USAGE

    @property
    def route(self) -> str:
        """The name of its route."""
        return self._known.admission.route.name

    @property
    def session(self) -> str:
        """Its session."""
        return self._known.session

    @property
    def request_id(self) -> str:
        """The id by which the journal knows it."""
        return self._recalled.request_id

    @property
    def outcome(self) -> Outcome:
        """Its outcome, once it was answered here."""
        return self._recalled.learnt.outcome

    def send(self, info: RequestInfo) -> None:
        """Send the request, whose body names what `info` says."""
        kind = self._kind
        try:
            outbound = kind.prepared.with_body(self._body, info)
            self._upstream.send(self, outbound, self._takes if kind.shapes else None)
        except Exception as failure:
            self._relay().fail_inside(failure)

    def _takes(self, data: bytes) -> bool:
        """Pass on the answer if `data` is all of it, and it is as good as the one before. Return False,
        having done nothing, for any other."""
        kind, client, gateway = self._kind, self._client, self._gateway
        learnt, bounds = kind.learnt, gateway.conversation_bounds
        for shape in kind.shapes:
            head = shape.match(data)
            if head is not None:
                break
        else:
            return False
        body, secret = data[head.body :], learnt.key.secret
        if len(body) != head.length or len(body) > bounds.whole:
            return False
        if secret is not None and spellings_of(secret).may_show(head.lines):
            return False
        hidden = secret if bounds.mask_answers or self._known.token.strict else None
        facts = facts_of_good(kind.answer, body, learnt, asked=self._body, hidden=hidden)
        if facts is None or not gateway.engine.fast_path.succeeded(self._recalled, facts):
            return False
        self._upstream.free()
        request_id = self._recalled.request_id.encode("ascii")
        lines = b"%b\r\nholdfast-request-id: %b%b" % (head.lines, request_id, learnt.joined)
        client.answer_plainly(lines, body, dated=shape.dated)
        self.usage, self.size = facts.usage, len(body)
        self.seconds = gateway.loop.time() - self.began
        client.finished()
        gateway.metrics.finished(self)
        return True

    def _relay(self) -> FastRelay:
        """Return what goes on with the request in place of this."""
        known, token = self._known, self._known.token
        request = ClientRequest(
            known.cached.head,
            known.admission.route,
            self._body,
            strict=token.strict,
            limited=is_limited(token),
        )
        relay = FastRelay(self._gateway, self._client, request, known.session, token=token)
        relay.sent(self._recalled, self._upstream, self.began)
        self._client.running = relay
        self._upstream.hand_over(relay)
        return relay

    def look(self, now: float) -> None:
        """Check the time limits, and whether the token is good. `now` is the loop's time in seconds."""
        bounds = self._gateway.bounds
        good = self._known.token.id in self._gateway.good_tokens
        if not good or now - self.began > min(bounds.comment, bounds.answer):
            self._relay().look(now)

    def client_closed(self) -> None:
        """Give up, since the client closed its connection."""
        self._relay().client_closed()

    def pause(self) -> None:
        """Stop the provider, since the client reads too slowly."""
        self._upstream.pause()

    def resume(self) -> None:
        """Let the provider go on."""
        self._upstream.resume()

    def connected(self, link: UpstreamLink) -> None:
        """Take no other connection: this one has its own."""
        link.give_back()

    def answered(self, head: ResponseHead, pieces: list[bytes], *, ended: bool) -> None:
        """Take the head of an answer that was not taken whole."""
        self._relay().answered(head, pieces, ended=ended)

    def fed(self, data: bytes, *, ended: bool) -> None:
        """Take the next piece of the body."""
        self._relay().fed(data, ended=ended)

    def upstream_is_full(self, *, full: bool) -> None:
        """Take note that the provider reads slowly: a request that is sent whole waits for nobody."""

    def failed(self, error: Exception) -> None:
        """Take note that the connection broke."""
        self._relay().failed(error)
