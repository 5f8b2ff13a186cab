"""One form post to a sign-in's own address: the only way on which what renews a key leaves this machine.

Bounded in size and time, never redirected, never unpacked, never through a proxy to this machine itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx2

from ..core.identity import is_loopback
from ..core.secret import Secret
from ..wire.request_head import form_body
from .deadline import Deadline

_SECONDS = 20.0
_ALL_SECONDS = 40.0
_LIMIT = 64 * 1024
_ENDLESS = b"an answer that does not end"
_HEADERS = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "content-type": "application/x-www-form-urlencoded",
    "user-agent": "holdfast",
}


def post_form(
    url: str, fields: Mapping[str, str | Secret], seconds: float = _ALL_SECONDS
) -> tuple[int, bytes]:
    """The status and body of the answer, which takes `seconds` at most; 0 and the kind of error where none
    came."""
    within, body = Deadline(seconds), b""
    try:
        with (
            within,
            httpx2.Client(
                follow_redirects=False, trust_env=not is_loopback(url), timeout=min(_SECONDS, seconds)
            ) as client,
            client.stream(
                "POST", url, headers=_HEADERS, content=form_body(fields), extensions={"trace": within.trace}
            ) as answer,
        ):
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > _LIMIT:
                    return 0, b"an answer that is too long"
            return (answer.status_code, body) if not within.over else (0, _ENDLESS)
    except httpx2.TransportError as error:
        return 0, _ENDLESS if within.over else type(error).__name__.encode()
