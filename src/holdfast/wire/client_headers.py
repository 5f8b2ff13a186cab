"""Sorts the headers of a caller's request: those that pass to a provider, and those that we read."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from ..core.identity import Dialect
from .header_names import read_connection
from .header_policy import Verdict, passes_translated, request_verdict, wanted_by, without_credentials
from .ports import RawHeaders

_READABLE = frozenset({b"gzip", b"deflate", b"identity"})
"""Content codings that we can decode."""


class ClientHeaders(NamedTuple):
    """A caller's headers, sorted by `header_policy`, and what we read in them.

    kept            pass to every provider
    sizes           the length headers, for a body that streams past
    accepts         the content codings that the caller accepts
    client_retries  how often the SDK has repeated this request
    versioned       an `anthropic-version` is among them
    optional        pass where the provider's `forward_headers` name them
    credentials     what the caller presented
    coding          the content-encoding of the body, which is among `kept`
    label           the content type of the body, which is among `kept`
    deadline        the seconds that the call may take, as they were written
    """

    kept: RawHeaders
    sizes: RawHeaders
    accepts: bytes | None
    client_retries: int
    versioned: bool
    optional: RawHeaders
    credentials: tuple[bytes, ...]
    coding: bytes = b""
    label: bytes = b""
    deadline: bytes = b""

    def translated(self, dialect: Dialect) -> ClientHeaders:
        """Return the headers for a request that was translated into `dialect`."""
        kept = [pair for pair in self.kept if passes_translated(pair[0].lower())]
        return self._replace(kept=[*kept, *wanted_by(dialect)])

    def decoded(self) -> ClientHeaders:
        """Return the headers for a body whose coding was taken off."""
        kept = [pair for pair in self.kept if pair[0].lower() != b"content-encoding"]
        return self._replace(kept=kept, coding=b"")


class _HeaderRule(IntEnum):
    """The treatment of a caller's header; most have none and are kept.

    OPTIONAL     goes to `ClientHeaders.optional`
    DROPPED      does not leave
    SIZE         says how long the body is
    ACCEPTS      names the content codings of the answer
    CONNECTION   names further headers that do not leave
    CREDENTIAL   is the caller's own, and does not leave
    RETRIES      is kept, and counts what the SDK repeated
    VERSION      is kept, and shows Anthropic's dialect
    CODING       is kept, and says how the body is encoded
    LABEL        is kept, and says what the body is
    DEADLINE     says how long the call may take; it is ours, and does not leave
    """

    OPTIONAL = 1
    DROPPED = 2
    SIZE = 3
    ACCEPTS = 4
    CONNECTION = 5
    CREDENTIAL = 6
    RETRIES = 7
    VERSION = 8
    CODING = 9
    LABEL = 10
    DEADLINE = 11


_HEADER_RULES = {
    b"content-length": _HeaderRule.SIZE,
    b"transfer-encoding": _HeaderRule.SIZE,
    b"accept-encoding": _HeaderRule.ACCEPTS,
    b"connection": _HeaderRule.CONNECTION,
    b"authorization": _HeaderRule.CREDENTIAL,
    b"x-api-key": _HeaderRule.CREDENTIAL,
    b"api-key": _HeaderRule.CREDENTIAL,
    b"x-stainless-retry-count": _HeaderRule.RETRIES,
    b"anthropic-version": _HeaderRule.VERSION,
    b"content-encoding": _HeaderRule.CODING,
    b"content-type": _HeaderRule.LABEL,
    b"holdfast-deadline": _HeaderRule.DEADLINE,
}
# As globals, since every header of every request is compared with them.
(
    _OPTIONAL,
    _DROPPED,
    _SIZE,
    _ACCEPTS,
    _CONNECTION,
    _CREDENTIAL,
    _RETRIES,
    _VERSION,
    _CODING,
    _LABEL,
    _DEADLINE,
) = _HeaderRule
_BY_VERDICT = {
    Verdict.PASSES: None,
    Verdict.OPTIONAL: _HeaderRule.OPTIONAL,
    Verdict.DROPPED: _HeaderRule.DROPPED,
}


def filter_headers(headers: RawHeaders) -> ClientHeaders:
    """Sort a caller's headers. What is kept passes to any connection."""
    kept: RawHeaders = []
    optional: RawHeaders = []
    sizes: RawHeaders = []
    credentials: list[bytes] = []
    named: frozenset[bytes] = frozenset()
    values: list[bytes | None] = [None] * (_DEADLINE + 1)  # by rule
    for pair in headers:
        rule = _rule_of(pair[0])
        if rule is None:
            kept.append(pair)
        elif rule is _DROPPED:
            continue
        elif rule is _OPTIONAL:
            optional.append(pair)
        elif rule is _SIZE:
            sizes.append(pair)
        elif rule is _CREDENTIAL:
            credentials.append(pair[1].rpartition(b" ")[2])
        elif rule is _CONNECTION:
            named |= read_connection(pair[1])[1]
        else:
            if rule is not _ACCEPTS and rule is not _DEADLINE:
                kept.append(pair)
            before = values[rule]
            values[rule] = pair[1] if before is None else before + b"," + pair[1]
    kept, optional = _without(kept, named), _without(optional, named)
    kept, optional = without_credentials(kept, credentials), without_credentials(optional, credentials)
    retries = values[_RETRIES] or b""
    return ClientHeaders(
        kept=kept,
        sizes=sizes,
        accepts=values[_ACCEPTS],
        client_retries=int(retries) if retries.isdigit() and len(retries) < 4 else 0,
        versioned=values[_VERSION] is not None,
        optional=optional,
        credentials=tuple(credentials),
        coding=values[_CODING] or b"",
        label=(values[_LABEL] or b"").strip().lower(),
        deadline=values[_DEADLINE] or b"",
    )


def _without(headers: RawHeaders, names: frozenset[bytes]) -> RawHeaders:
    if not names:
        return headers
    return [pair for pair in headers if pair[0].lower() not in names]


@lru_cache(maxsize=64)
def readable_codings(accepted: bytes, stream: bool) -> bytes:
    """Return the codings that the caller accepts and that we can decode; none for a stream, which is watched
    as it passes."""
    if stream:
        return b"identity"
    items = accepted.split(b",")
    codings = [item.strip() for item in items if item.partition(b";")[0].strip().lower() in _READABLE]
    return b", ".join(codings) or b"identity"


@lru_cache(maxsize=1024)
def _rule_of(name: bytes) -> _HeaderRule | None:
    """Return the treatment of a header by its name; None, by far the most frequent, keeps it."""
    lower = name.lower()
    if lower in _HEADER_RULES:
        return _HEADER_RULES[lower]
    return _BY_VERDICT[request_verdict(lower)]
