"""One post to a sign-in's own address: the only way for a refresh token or an assertion to leave.

Bounded in size and time, never redirected, never decompressed, and never through a proxy to this machine
itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import httpx2

from ..credentials.token_answers import TokenAnswer
from ..secrecy.frames import without_frames
from ..values import times
from ..values.secret import Secret
from ..wire.request_head import basic_credentials, form_body, json_body
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
    basic: Secret | None = None,
    as_json: bool = False,
) -> TokenAnswer:
    """Post a form, or JSON, and return the answer, within `seconds`; status 0 and the kind of error when none
    came. `basic` is the secret by which the client of `client_id` proves itself in a header (RFC 6749 section
    2.3.1)."""
    deadline, headers = Deadline(seconds), dict(_HEADERS)
    if basic is not None:
        headers["authorization"] = basic_credentials(str(fields["client_id"]), basic)
    body = form_body(fields)
    if as_json:
        body, headers["content-type"] = json_body(fields), "application/json"
    try:
        with deadline:
            answer = _post(url, headers, body, deadline, network=network)
    except (httpx2.TransportError, httpx2.InvalidURL) as error:
        answer = TokenAnswer(0, type(error).__name__.encode())
    if deadline.over:
        return TokenAnswer(0, _ENDLESS)
    return answer


def _post(
    url: str, headers: Mapping[str, str], form: bytes, deadline: Deadline, *, network: Network | None
) -> TokenAnswer:
    body = b""
    with (
        client_for(url, network, timeout=min(_READ_SECONDS, deadline.seconds)) as client,
        client.stream(
            "POST", url, headers=headers, content=form, extensions={"trace": deadline.trace}
        ) as answer,
    ):
        for chunk in answer.iter_raw():
            body += chunk
            if len(body) > _LIMIT:
                return TokenAnswer(0, _TOO_LONG)
        return TokenAnswer(answer.status_code, body, _retry_after(answer.headers))


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Return for how many seconds the service asks not to be asked again; None where it does not say."""
    text = headers.get("retry-after")
    if text is None:
        return None
    return times.wait(text, times.moment(headers.get("date", "")) or time.time())
