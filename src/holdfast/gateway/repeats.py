"""Recognises requests that repeat one before them: the same head but for its length, on any connection, and a
body for the same model. They are sent without being read anew.

It decides nothing. What is certain by the bytes alone is taken from the request before; what may have changed
since (the token, the session, the key, what is known of it) is looked at each time. Whatever is unusual, of a
request or of its answer, is left to `fastpath`, and there to the full path."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..core.errors import HoldfastError
from ..wire.account_objects import may_name_objects
from ..wire.api_routes import answer_of
from ..wire.header_policy import names_on_the_wire
from ..wire.request_body import inspect_body, is_plain
from ..wire.strict_body import refusal_of_doubt
from .client_request import SHORT, ClientRequest
from .header_rules import ANSWER_NAMES
from .http1.head_shape import shape_of
from .http1.header_actions import ENCODED
from .http1.server_connection import ServerConnection
from .permissions import is_limited
from .repetition import Kind, KnownHead, Repetition

if TYPE_CHECKING:
    from ..engine.fastpath import Learnt
    from .admission import Admission
    from .http1.response_head import ResponseHead
    from .ports import RelayContext

_LENGTH, _HEAD_END = b"ength: ", b"\r\n\r\n"
_MOST, _MOST_KINDS, _MOST_SHAPES, _MOST_TRIES = 4_096, 16, 4, 16
"""Heads that are kept, kinds of requests with one of them, shapes of the answers to one of these, and answers
that are looked at for them."""


class Repeats:
    """The heads of one gateway's requests. On its loop. `forgot`: they were forgotten since `forgot` was last
    set to False; what connections keep of their last requests is to go, too."""

    def __init__(self, gateway: RelayContext) -> None:
        self._gateway = gateway
        self._known: dict[bytes, KnownHead] = {}
        self.forgot = False
        gateway.engine.fast_path.forgotten = self.forget

    def forget(self) -> None:
        """Forget all of them; they are learnt again. May be called from any thread."""
        self._known, self.forgot = {}, True

    def take(self, client: ServerConnection, data: bytes) -> bool:
        """Send a request that is like one before it, if `data` is all of it. Return False, having done
        nothing, for any other."""
        start = data.find(_LENGTH) + len(_LENGTH)
        end = data.find(b"\r", start, start + 16)
        begins = data.find(_HEAD_END, end) + len(_HEAD_END)
        known = self._known.get(data[:start] + data[end:begins])
        if known is None:
            return False
        digits, body = data[start:end], data[begins:]
        if not digits.isdigit() or int(digits) != len(body):
            return False
        info = inspect_body(body)
        kind = known.kinds.get((info.model, info.streams))
        if kind is None or info.span is None or not is_plain(body) or not self._admits(known, body):
            return False
        gateway = self._gateway
        engine = gateway.engine
        if not engine.is_settled(known.session):
            return False
        try:
            recalled = engine.fast_path.again(kind.learnt, body)
        except HoldfastError:  # the full path meets it, too, and says so
            return False
        if recalled is None:
            if kind.learnt.ended:
                del known.kinds[info.model, info.streams]
            return False
        upstream = gateway.upstreams.to(kind.learnt.connection.endpoint.origin).take()
        if upstream is None:
            return False
        client.begin_again(known.cached, known.admission)
        running = client.running = Repetition(
            gateway, client, known, kind, body=body, recalled=recalled, upstream=upstream
        )
        engine.fast_path.sends(recalled)
        running.send(info)
        return True

    def _admits(self, known: KnownHead, body: bytes) -> bool:
        """Return whether a request is admitted as the one before it was, and its body needs no closer
        look."""
        gateway, token = self._gateway, known.token
        if not gateway.tokens.is_unchanged(token):
            return False
        if len(body) > min(known.admission.body_bytes, gateway.conversation_bounds.replay):
            return False
        if token.strict and (len(body) >= SHORT or refusal_of_doubt(body) is not None):
            return False
        return not (is_limited(token) and may_name_objects(known.admission.route.dialect, body))

    def learn(self, client: object, request: ClientRequest, learnt: Learnt, head: ResponseHead) -> None:
        """Learn from a request that was answered well, as `learnt`, with this `head` of its answer."""
        if not isinstance(client, ServerConnection) or learnt.ended:
            return
        known, info, prepared = self._head_of(client, request), request.info, request.prepared
        if known is None or not prepared.fits(learnt.connection, learnt.key.secret, info.streams):
            return  # another request with this head has left meanwhile
        kind = known.kinds.get((info.model, info.streams))
        if kind is None or kind.learnt is not learnt:
            if len(known.kinds) >= _MOST_KINDS:
                known.kinds.clear()
            kind = Kind(learnt, prepared, answer_of(request.path))
            known.kinds[info.model, info.streams] = kind
        kind.tries += 1
        if info.streams or len(kind.shapes) >= _MOST_SHAPES or kind.tries > _MOST_TRIES:
            return
        wanted = names_on_the_wire(learnt.connection.provider.forward_headers)
        shape = shape_of(head, ANSWER_NAMES, wanted)
        if shape is not None and shape not in kind.shapes:
            kind.shapes.append(shape)

    def _head_of(self, client: ServerConnection, request: ClientRequest) -> KnownHead | None:
        """Return what is kept of the head of a connection's request; None where it is not certain that
        another one with these bytes means the same."""
        admitted = client.admitted
        if admitted is None or not request.inspected or ENCODED in admitted[0].head.once:
            return None
        cached, admission = admitted[0], cast("Admission", admitted[1])
        name, token = cached.before + cached.after, admission.token
        if token is None or name.find(_LENGTH) + len(_LENGTH) != len(cached.before):
            return None
        known = self._known.get(name)
        if known is None or known.token is not token:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[name] = KnownHead(
                cached, admission, token, session=admission.session, kinds={}
            )
        return known
