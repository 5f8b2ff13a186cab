"""The header policy as tables for the parsers of `http1`, which know nothing of language models.

The tables map a header's name, as it was written, to the action for its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..wire.header_policy import (
    SESSION_HEADERS,
    Verdict,
    answer_verdict,
    names_on_the_wire,
    passes_translated,
    query_without_credentials,
    request_verdict,
    shows,
    wanted_by,
)
from ..wire.response_head import beside_error, fault_headers, mask_key_in_lines
from .http1 import header_actions as actions
from .http1.framing import HeaderNames

if TYPE_CHECKING:
    from ..core.identity import Dialect
    from ..core.steps import Outcome
    from ..wire.exchange import GoodAnswer, SendFailed
    from .http1.request_head import Head

_BY_VERDICT: Final = {
    Verdict.PASSES: actions.KEPT,
    Verdict.DROPPED: actions.DROPPED,
    Verdict.OPTIONAL: actions.OPTIONAL,
}
_REQUEST: Final = {
    b"content-length": actions.LENGTH,
    b"transfer-encoding": actions.CODING,
    b"connection": actions.CONNECTION,
    b"host": actions.HOST,
    b"origin": actions.ORIGIN,
    b"expect": actions.EXPECT,
    b"authorization": actions.BEARER,
    b"x-api-key": actions.API_KEY,
    b"holdfast-session": actions.SESSION,
    **{name.encode("ascii"): actions.HARNESS for name in SESSION_HEADERS},
    b"content-encoding": actions.ENCODED,
    b"content-type": actions.LABEL,
    b"upgrade": actions.UPGRADE,
    b"accept-encoding": actions.ACCEPTS,
    b"x-stainless-retry-count": actions.RETRIES,
}
_ANSWER: Final = {
    b"content-length": actions.LENGTH,
    b"transfer-encoding": actions.CODING,
    b"connection": actions.CONNECTION,
    b"content-type": actions.TYPE,
    b"content-encoding": actions.PACKED,
}


def _rule(own: dict[bytes, int], verdict: Callable[[bytes], Verdict]) -> Callable[[bytes], int]:
    """Return the rule of a table: `own` holds the headers that the parser itself reads; the policy decides on
    the others."""

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


def translated_lines(lines: Iterable[bytes], dialect: Dialect) -> list[bytes]:
    """Return those of a client's lines that pass with a request that was translated into `dialect`, and those
    that it wants."""
    kept = [line for line in lines if passes_translated(line.partition(b":")[0].lower())]
    return kept + [b"%b: %b" % pair for pair in wanted_by(dialect)]


def passing(good: GoodAnswer, outcome: Outcome | None) -> list[bytes]:
    """Return the lines of a provider's good answer that pass to the client. None shows the key that was
    sent."""
    head: Any = good.head
    lines = head.kept
    if good.label:
        lines = [line for line in lines if not line.lower().startswith(b"content-type:")]
        lines.append(b"content-type: " + good.label)
    if good.decoded:
        lines = [line for line in lines if not line.lower().startswith(b"content-encoding:")]
    if outcome is not None and head.optional and outcome.connection.provider.forward_headers:
        lines = lines + forwarded(head.optional, outcome.connection.provider.forward_headers)
    return mask_key_in_lines(lines, good.secret)


def error_lines(failed: SendFailed | None, outcome: Outcome | None) -> list[bytes]:
    """Return the lines of a provider's failed answer that pass beside an error of ours."""
    if failed is None or outcome is None:
        return []
    pairs = beside_error(failed.headers, {}, outcome.connection.provider.forward_headers)
    return [b"%b: %b" % pair for pair in pairs]


def refusal_lines(failed: SendFailed, ours: Mapping[str, str], outcome: Outcome | None) -> list[bytes]:
    """Return the lines of a provider's refusal that pass with its body, with ours added."""
    names = () if outcome is None else outcome.connection.provider.forward_headers
    return [b"%b: %b" % pair for pair in fault_headers(failed.headers, ours, names)]


def withhold_credentials(head: Head) -> None:
    """Remove the header lines and the query's parameters that repeat the client's token."""
    shown = [head.credential]
    if actions.BEARER in head.once and actions.API_KEY in head.once:
        shown = head.credentials
    if len(shown) > 1 or head.block.count(head.credential) > 1:
        head.kept = _without(head.kept, shown)
        head.optional = tuple(_without(head.optional, shown))
    if head.query:
        head.query = query_without_credentials(head.query, shown)


def _without(lines: Iterable[bytes], credentials: list[bytes]) -> list[bytes]:
    return [line for line in lines if not shows(line.partition(b":")[2].strip(b" \t"), credentials)]
