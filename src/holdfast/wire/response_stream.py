"""The rest of an answer after its first byte went to the caller: nothing is replayed, no end is invented, and
how it ended is reported once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..core.classify import classify
from ..core.faults import Fault, Phase, Reply
from ..core.identity import Connection
from .answer_mask import Rewriter
from .decoding import Feed
from .error_bodies import ClientError, refusal
from .ports import AnsweredRequest, ConnectionErrors, Engine
from .response_head import BODY_LIMIT, reply_of_error
from .usage import NO_USAGE, by_kind

COMMENT = b": holdfast\n\n"
"""What keeps a stream from being taken for dead."""


class Watch(Protocol):
    """Watches an answer as it passes.

    ended  the answer is whole
    whole  what came so far is whole events, so that another may follow
    error  the provider's own error in it
    unread  that error came in a form that callers do not read
    cut    what happened to an answer that ends although it is not whole
    takes_events  it is a stream of events
    moved  an event has come; set back by who asks
    owed   what a whole last event lacks to be read by callers, once the answer was closed
    model, usage  as far as the provider has named them
    objects  what the answer has made by now that only its account knows
    """

    cut: str
    takes_events: bool
    error: bytes | None
    unread: bool
    moved: bool
    owed: bytes
    model: str

    @property
    def ended(self) -> bool: ...
    @property
    def whole(self) -> bool: ...
    @property
    def usage(self) -> Mapping[str, int]: ...
    @property
    def objects(self) -> Sequence[str]: ...

    def close(self) -> None:
        """Take note that no more bytes come."""
        ...


class ResponseStream:
    """Watches the rest of an answer as it is passed on, unchanged, and reports once how it ended.

    `feed` takes every chunk; it feeds `watch`, which is None for an answer that cannot be watched. Where
    there is a `rewriter`, what it makes of a chunk is passed on. An answer that is cut short gets an error
    event at its end, or raises: with `raises`, and where no event may follow.
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
        "rewriter",
    )

    def __init__(
        self,
        *,
        errors: ConnectionErrors,
        engine: Engine,
        request_run: AnsweredRequest,
        connection: Connection,
        watch: Watch | None,
        feed: Feed,
        raises: bool,
        rewriter: Rewriter | None = None,
    ) -> None:
        self._errors = errors
        self._engine = engine
        self._request_run = request_run
        self._connection = connection
        self._watch = watch
        self._raises = raises
        self._reported = False
        self.fault: Fault | None = None
        self.feed = feed
        self.rewriter = rewriter

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

    @property
    def takes_events(self) -> bool:
        """Return whether it is a stream to which events and comments of ours can be added."""
        return self._watch is not None and self._watch.takes_events and not self._raises

    @property
    def objects(self) -> Sequence[str]:
        """Return what the answer has made by now that only its account knows."""
        if self._watch is None:
            return ()
        return self._watch.objects

    @property
    def between_events(self) -> bool:
        """Return whether an event or a comment of ours may follow what was passed on so far."""
        watch = self._watch
        return watch is not None and (watch.whole or self._writes_events) and not self._raises

    def has_moved(self) -> bool:
        """Return whether an event has come since this was last asked: what only keeps a connection alive is
        none."""
        watch = self._watch
        if watch is None or not watch.moved:
            return False
        watch.moved = False
        return True

    def finish(self, error: Exception | None = None) -> bytes:
        """End the answer, since the provider closed its body or the connection broke by `error`. Return what
        is still to be passed on: what the rewriter held back, the blank line that the last event lacks, and
        an error event if the answer was cut.

        Raises the library's RemoteProtocolError instead where no event may follow.
        """
        may_follow, cut = self.between_events, self._cut(error)
        if cut is None:
            rest = b"" if self.rewriter is None else self.rewriter.rest()
            return rest + self._owed()
        if not may_follow:
            raise self._errors.cut(cut.message)
        return self.last_event(cut)

    def last_event(self, error: ClientError) -> bytes:
        """Return what ends the answer, since it breaks off by `error`: its event, for the caller."""
        if self.rewriter is None:
            return error.event(self._connection.dialect)
        return self.rewriter.cut(error, self._connection.dialect)

    def waiting(self) -> bytes:
        """Return what tells a caller that the answer goes on: a comment; in a stream that is written anew an
        event, since some programs count no comment."""
        return (self.rewriter is not None and self.rewriter.waiting()) or COMMENT

    @property
    def _writes_events(self) -> bool:
        """Return whether what is passed on are events of our own."""
        return self.rewriter is not None and self.rewriter.writes_events

    def _owed(self) -> bytes:
        """Return what the last event lacks to be read, where the caller reads our bytes as events."""
        if self._watch is None or not self.takes_events or self._writes_events:
            return b""
        return self._watch.owed

    def passing(self, data: bytes) -> bytes:
        """Take the next chunk. Return what is passed on of it."""
        self.feed(data)
        if self.rewriter is None:
            return data
        return self.rewriter.feed(data)

    def broken_by(self, error: Exception) -> Exception | None:
        """End the answer, since the connection broke by `error`. Return `error` with its consequence as its
        message; None where the answer was whole already, so that `finish` is next."""
        cut = self._cut(error)
        if cut is None:
            return None
        error.args = (cut.message,)
        return error

    def end_without_fault(self) -> None:
        """Report an end without a fault: all was passed on, or the caller wants no more."""
        self._report(None)

    def _cut(self, error: Exception | None) -> ClientError | None:
        """Report how the answer ended. Return the caller's error for one that was cut short; None for one
        that is whole, however its connection ended, and for one that ended with the provider's own error,
        unless callers cannot read it."""
        watch = self._watch
        if watch is None:
            if error is None:
                self.end_without_fault()
                return None
            return self._broken(error)
        watch.close()
        if watch.error is not None:
            self._report(self._reply(watch.error[:BODY_LIMIT]))
            if watch.unread:
                return self._truncated("the provider reported an error, not in an event that callers read")
            return None
        if watch.ended:
            self.end_without_fault()
            return None
        if error is not None:
            return self._broken(error)
        self._report(self._reply(b""))
        return self._truncated(watch.cut)

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
        self._request_run.made(self.objects)
        self._request_run.stream_ended(self.fault, self.model, by_kind(self.usage))
