"""The header policy as tables for the parsers of `http1`, which know no language model.

From a header's name as it was written they lead to what becomes of its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from ..wire.header_policy import (
    SESSION_HEADERS,
    Verdict,
    answer_verdict,
    names_on_the_wire,
    query_without_credentials,
    request_verdict,
    shows,
)
from ..wire.response_head import beside_error
from .http1.framing import HeaderNames
from .http1.header_actions import (
    ACCEPTS,
    API_KEY,
    BEARER,
    CODING,
    CONNECTION,
    DROPPED,
    EXPECT,
    HARNESS,
    HOST,
    KEPT,
    LENGTH,
    OPTIONAL,
    ORIGIN,
    PACKED,
    RETRIES,
    SESSION,
    TYPE,
)

if TYPE_CHECKING:
    from ..core.steps import Outcome
    from ..wire.conversation import SendFailed
    from .http1.request_head import Head
    from .http1.response_head import ResponseHead

_BY_VERDICT: Final = {Verdict.PASSES: KEPT, Verdict.DROPPED: DROPPED, Verdict.OPTIONAL: OPTIONAL}
_REQUEST: Final = {
    b"content-length": LENGTH,
    b"transfer-encoding": CODING,
    b"connection": CONNECTION,
    b"host": HOST,
    b"origin": ORIGIN,
    b"expect": EXPECT,
    b"authorization": BEARER,
    b"x-api-key": API_KEY,
    b"holdfast-session": SESSION,
    **{name.encode("ascii"): HARNESS for name in SESSION_HEADERS},
    b"accept-encoding": ACCEPTS,
    b"x-stainless-retry-count": RETRIES,
}
_ANSWER: Final = {
    b"content-length": LENGTH,
    b"transfer-encoding": CODING,
    b"connection": CONNECTION,
    b"content-type": TYPE,
    b"content-encoding": PACKED,
}


def _rule(own: dict[bytes, int], verdict: Callable[[bytes], Verdict]) -> Callable[[bytes], int]:
    """Return the rule of a table: what the parser itself reads is `own`, of the rest the policy decides."""

    def rule(name: bytes) -> int:
        action = own.get(name)
        if action is None:
            action = _BY_VERDICT[verdict(name)]
        return action

    return rule


REQUEST_NAMES: Final = HeaderNames(_rule(_REQUEST, request_verdict))
ANSWER_NAMES: Final = HeaderNames(_rule(_ANSWER, answer_verdict))


def forwarded(lines: Iterable[bytes], forward_headers: tuple[str, ...]) -> list[bytes]:
    """Return those lines that a provider's `forward_headers` name."""
    names = names_on_the_wire(forward_headers)
    return [line for line in lines if line.partition(b":")[0].lower() in names]


def passing(head: ResponseHead, outcome: Outcome | None) -> list[bytes]:
    """Return the lines of a provider's answer that pass to the client."""
    if outcome is None or not head.optional or not outcome.connection.provider.forward_headers:
        return head.kept
    return head.kept + forwarded(head.optional, outcome.connection.provider.forward_headers)


def error_lines(failed: SendFailed | None, outcome: Outcome | None) -> list[bytes]:
    """Return the lines of a provider's failed answer that pass beside an error of ours."""
    if failed is None or outcome is None:
        return []
    pairs = beside_error(failed.headers, outcome.connection.provider.forward_headers)
    return [b"%b: %b" % pair for pair in pairs]


def withhold_credentials(head: Head) -> None:
    """Take out of what leaves the lines and the query's parameters that show the client's token once more."""
    shown = [head.credential]
    if BEARER in head.once and API_KEY in head.once:
        shown = head.credentials
    if len(shown) > 1 or head.block.count(head.credential) > 1:
        head.kept = _without(head.kept, shown)
        head.optional = tuple(_without(head.optional, shown))
    if head.query:
        head.query = query_without_credentials(head.query, shown)


def _without(lines: Iterable[bytes], credentials: list[bytes]) -> list[bytes]:
    return [line for line in lines if not shows(line.partition(b":")[2].strip(b" \t"), credentials)]
