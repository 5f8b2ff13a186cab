"""Carries a request whose body is passed on as it comes. It is sent once, on a fresh connection."""

from __future__ import annotations

from ..core.identity import Connection
from ..values.secret import Secret
from ..wire.ports import Translated
from ..wire.request_head import OutboundRequest, StreamedHead
from .account_relay import AccountRelay
from .client_request import ClientRequest
from .http1.request_head import Head
from .http1.response_head import ResponseHead
from .http1.upload import Upload
from .routing import HttpRoute


class UploadRequest(ClientRequest):
    """A client's request with an upload. A token that is `limited` may send none, since nothing looks into
    it."""

    __slots__ = ("upload",)

    def __init__(self, head: Head, route: HttpRoute, upload: Upload, *, limited: bool) -> None:
        super().__init__(head, route, b"")
        self.upload, self.body = upload, None
        self.rule = self.rule._replace(replays=False)
        self._uncertain, self.readable = limited, not limited

    def outbound(
        self,
        connection: Connection,
        secret: Secret | None,
        translated: Translated | None = None,  # noqa: ARG002 - what is an upload is never translated
    ) -> OutboundRequest:
        """Return the request as it leaves for `connection`."""
        lines = self._lines(connection, streams=False)
        head = StreamedHead(connection, secret, streams=False, path=self.path, lines=lines)
        head.source = self.upload
        return OutboundRequest(connection.endpoint, head, (), {})


class UploadRelay(AccountRelay):
    """Such a request between its client and a provider. While its body moves, the provider has time to
    answer."""

    __slots__ = ()

    request: UploadRequest

    def answered(self, head: ResponseHead, pieces: list[bytes], *, ended: bool) -> None:
        """Take the head of the answer. Where it is a whole one, no more of the body is wanted."""
        if ended:
            self.request.upload.stop()
        super().answered(head, pieces, ended=ended)

    def fed(self, data: bytes, *, ended: bool) -> None:
        """Take the next piece of the answer."""
        if ended:
            self.request.upload.stop()
        super().fed(data, ended=ended)

    def upstream_is_full(self, *, full: bool) -> None:
        """Let the client wait until the provider has read on."""
        self.request.upload.want(wanted=not full)

    def look(self, now: float) -> None:
        """Check the time limits. `now` is the loop's time in seconds."""
        upload = self.request.upload
        if upload.moved and not self.over:
            upload.moved = False
            self._clock.start(now)
        super().look(now)

    def _drop(self) -> None:
        self.request.upload.stop()
        super()._drop()
