"""The rest of an answer after its first byte went to the caller: nothing is replayed, no end is invented, and
how it ended is reported once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..core.classify import classify
from ..core.faults import Fault, Phase, Reply
from ..core.identity import Connection
from .error_bodies import ClientError, refusal
from .ports import ConnectionErrors, Engine, RequestRun
from .response_head import BODY_LIMIT, reply_of_error
from .sse import StreamWatch
from .usage import NO_USAGE, by_kind

"""Token counts where none were reported."""


class ResponseStream:
    """Watches the rest of an answer as it is passed on, unchanged, and reports once how it ended.

    `feed` takes every chunk. `watch` is None for what is not a stream of events. With `raises`, a stream
    without its terminal event raises; otherwise it ends with an error event.
    """

    __slots__ = (
        "_connection",
        "_engine",
        "_errors",
        "_raises",
        "_reported",
        "_request_run",
        "_watch",
        "fault",
        "feed",
    )

    def __init__(
        self,
        *,
        errors: ConnectionErrors,
        engine: Engine,
        request_run: RequestRun,
        connection: Connection,
        watch: StreamWatch | None,
        raises: bool,
    ) -> None:
        self._errors = errors
        self._engine = engine
        self._request_run = request_run
        self._connection = connection
        self._watch = watch
        self._raises = raises
        self._reported = False
        self.fault: Fault | None = None
        self.feed: Callable[[bytes], object] = _unwatched
        if watch is not None:
            self.feed = watch.feed

    @property
    def usage(self) -> Mapping[str, int]:
        """Return the token counts that the stream has reported so far."""
        if self._watch is None:
            return NO_USAGE
        return self._watch.usage

    @property
    def model(self) -> str:
        """Return the model that answers, as far as the provider has named it by now; else ""."""
        if self._watch is None:
            return ""
        return self._watch.model

    def finish(self) -> bytes:
        """End the stream, since the provider closed the body. Return what is still to be passed on: an error
        event if the stream was cut, else nothing.

        Raises the library's RemoteProtocolError instead where `raises` is set, or where half an event was
        passed on.
        """
        watch = self._watch
        if watch is None:
            self.end_without_fault()
            return b""
        whole = watch.whole
        watch.close()
        if watch.error is not None:
            self._report(self._reply(watch.error[:BODY_LIMIT]))
            return b""
        if watch.ended:
            self.end_without_fault()
            return b""
        self._report(self._reply(b""))
        error = self._truncated("stream ended without its terminal event")
        if self._raises or not whole:
            raise self._errors.cut(error.message)
        return error.event(self._connection.dialect)

    def with_explanation(self, error: Exception) -> Exception:
        """Report that the connection broke. Return `error` with its consequence as its message."""
        error.args = (self._broken(error).message,)
        return error

    def error_event(self, error: Exception) -> bytes:
        """Report that the connection broke. Return what is still to be passed on: an error event; nothing
        after half an event."""
        whole = self._watch is not None and self._watch.whole
        client_error = self._broken(error)
        if not whole:
            return b""
        return client_error.event(self._connection.dialect)

    def end_without_fault(self) -> None:
        """Report an end without a fault: all was passed on, or the caller wants no more."""
        self._report(None)

    def _broken(self, error: Exception) -> ClientError:
        self._report(reply_of_error(error, Phase.POST_OUTPUT, self._connection.endpoint.host))
        return self._truncated(str(error) or type(error).__name__)

    def _truncated(self, what: str) -> ClientError:
        """Return the error that the caller gets for a stream without an end."""
        request = self._request_run.headers()["holdfast-request-id"]
        return refusal("stream_truncated", what=what, connection=self._connection, request=request)

    def _reply(self, body: bytes) -> Reply:
        host = self._connection.endpoint.host
        return Reply(200, (), body, phase=Phase.POST_OUTPUT, host=host)

    def _report(self, reply: Reply | None) -> None:
        """Report the end, the first time only."""
        if self._reported:
            return
        self._reported = True
        if reply is not None:
            profile = self._engine.profile(self._connection)
            self.fault = classify(reply, profile, now=self._request_run.now())
        self._request_run.stream_ended(self.fault, self.model, by_kind(self.usage))


def _unwatched(chunk: bytes) -> None:
    """Do nothing with a chunk: only streams of events are watched."""
