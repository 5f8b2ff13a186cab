"""One form post to a sign-in's own address: the only way for a refresh token to leave this machine.

Bounded in size and time, never redirected, never decompressed, and never through a proxy to this machine
itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx2

from ..core.secret import Secret
from ..secrecy.frames import without_frames
from ..wire.request_head import form_body
from .clients import client_for
from .deadline import Deadline
from .network import Network

_READ_SECONDS = 20.0
_ALL_SECONDS = 40.0
_LIMIT = 64 * 1024
_ENDLESS = b"an answer that does not end"
_TOO_LONG = b"an answer that is too long"
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "content-type": "application/x-www-form-urlencoded",
    "user-agent": "holdfast",
}


@without_frames
def post_form(
    url: str,
    fields: Mapping[str, str | Secret],
    seconds: float = _ALL_SECONDS,
    *,
    network: Network | None = None,
) -> tuple[int, bytes]:
    """Post a form and return the answer's status and body, within `seconds`; 0 and the kind of error when no
    answer came."""
    deadline = Deadline(seconds)
    try:
        with deadline:
            status, body = _post(url, form_body(fields), deadline, network)
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        status, body = 0, type(error).__name__.encode()
    if deadline.over:
        return 0, _ENDLESS
    return status, body


def _post(url: str, form: bytes, deadline: Deadline, network: Network | None) -> tuple[int, bytes]:
    body = b""
    with (
        client_for(url, network, timeout=min(_READ_SECONDS, deadline.seconds)) as client,
        client.stream(
            "POST", url, headers=_HEADERS, content=form, extensions={"trace": deadline.trace}
        ) as answer,
    ):
        for chunk in answer.iter_raw():
            body += chunk
            if len(body) > _LIMIT:
                return 0, _TOO_LONG
        return answer.status_code, body
