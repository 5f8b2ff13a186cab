"""The rest of an answer after the commit point: nothing is replayed, no end is invented, and how it ended is
written down once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from ..core.classify import classify
from ..core.faults import Fault, Phase, Reply
from ..core.identity import Connection
from .error_bodies import ClientError, refusal
from .ports import Engine, Faults, RequestRun
from .response_head import BODY_LIMIT, reply_of_error
from .sse import StreamWatch
from .usage import by_kind

NOTHING: Mapping[str, int] = MappingProxyType({})
"""No token was counted."""


class ResponseStream:
    """Told every chunk that is passed on, unchanged, by `feed`; and how the body ended. `watch` is None for
    what is not an event stream."""

    __slots__ = (
        "_adapter",
        "_connection",
        "_engine",
        "_raises",
        "_request_run",
        "_told",
        "_watch",
        "fault",
        "feed",
    )

    def __init__(
        self,
        adapter: Faults,
        engine: Engine,
        request_run: RequestRun,
        connection: Connection,
        watch: StreamWatch | None,
        *,
        raises: bool,
    ) -> None:
        self._adapter, self._engine, self._request_run, self._connection, self._watch = (
            adapter,
            engine,
            request_run,
            connection,
            watch,
        )
        self._raises, self._told = raises, False
        self.fault: Fault | None = None
        self.feed: Callable[[bytes], object] = watch.feed if watch is not None else _unseen

    def finish(self) -> bytes:
        """The provider closed the body. What is still to be passed on: nothing, or an error event if the
        stream was cut.

        Raises the module's RemoteProtocolError instead where the setting says so, or where half an event was
        passed on."""
        watch = self._watch
        if watch is None:
            self.left()
            return b""
        whole = watch.whole
        watch.close()
        host = self._connection.endpoint.host
        if watch.error is not None:
            self._tell(Reply(200, (), watch.error[:BODY_LIMIT], Phase.POST_OUTPUT, host))
        elif watch.ended:
            self.left()
        else:
            self._tell(Reply(200, (), b"", Phase.POST_OUTPUT, host))
            cut = self._truncated("stream ended without its terminal event")
            if self._raises or not whole:
                raise self._adapter.cut(cut.message)
            return cut.event(self._connection.dialect)
        return b""

    def broke(self, error: Exception) -> Exception:
        """Return the exception by which the connection broke, with what it means here as its message."""
        error.args = (self._broken(error).message,)
        return error

    def cut_off(self, error: Exception) -> bytes:
        """Return what is still to be passed on once the connection broke: an error event; nothing after half
        an event."""
        whole = self._watch is not None and self._watch.whole
        told = self._broken(error)
        return told.event(self._connection.dialect) if whole else b""

    def _broken(self, error: Exception) -> ClientError:
        self._tell(reply_of_error(error, Phase.POST_OUTPUT, self._connection.endpoint.host))
        return self._truncated(str(error) or type(error).__name__)

    def _truncated(self, what: str) -> ClientError:
        """Return what the caller is told of a stream without an end."""
        request = self._request_run.headers()["holdfast-request-id"]
        return refusal("stream_truncated", what=what, connection=self._connection, request=request)

    @property
    def usage(self) -> Mapping[str, int]:
        """The token counts that the stream told so far."""
        return self._watch.usage if self._watch is not None else NOTHING

    @property
    def model(self) -> str:
        """Who the provider says answers, as far as the stream told it; else empty."""
        return self._watch.model if self._watch is not None else ""

    def left(self) -> None:
        """All was passed on, or the caller closed the response: nobody is blamed."""
        self._tell(None)

    def _tell(self, reply: Reply | None) -> None:
        if self._told:
            return
        self._told = True
        self.fault = (
            classify(reply, self._engine.profile(self._connection), now=self._request_run.now())
            if reply is not None
            else None
        )
        self._request_run.stream_ended(self.fault, self.model, by_kind(self.usage))


def _unseen(chunk: bytes) -> None:
    """What is no stream of events is not looked at."""
