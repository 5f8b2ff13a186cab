"""The headers that pass between a caller and a provider, name by name and in both directions, for the library
and the gateway alike.

A header that is not listed here is dropped, unless the provider's `forward_headers` name it. One that
`header_names` reserves is always dropped. The library asks for each name, the gateway compiles a table.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import Enum
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from ..core.identity import Dialect
from .header_names import reserved

Pairs = list[tuple[bytes, bytes]]


class Verdict(Enum):
    """The rule for a header, by its name."""

    PASSES = "passes"
    OPTIONAL = "passes where the provider's forward_headers name it"
    DROPPED = "never passes"


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


REQUEST: dict[str, tuple[str, ...]] = {
    "HTTP, of a request": _names(
        """
        accept accept-charset accept-encoding accept-language content-encoding content-language content-type
        idempotency-key user-agent
        """
    ),
    "ids by which a request can be traced": _names(
        """
        traceparent tracestate x-client-request-id x-correlation-id x-request-id x-trace-id
        """
    ),
    "OpenAI's and Anthropic's APIs": _names(
        """
        anthropic-beta anthropic-dangerous-direct-browser-access anthropic-user-profile-id anthropic-version
        openai-beta
        """
    ),
    "the SDKs of both": _names(
        """
        x-stainless-arch x-stainless-async x-stainless-custom-event-handler x-stainless-custom-poll-interval
        x-stainless-helper x-stainless-helper-method x-stainless-kotlin-version x-stainless-lang
        x-stainless-os x-stainless-os-version x-stainless-package-version x-stainless-poll-helper
        x-stainless-raw-response x-stainless-read-timeout x-stainless-retry-count x-stainless-runtime
        x-stainless-runtime-version x-stainless-stream-helper x-stainless-timeout
        """
    ),
    "Claude Code": _names(
        """
        x-anthropic-additional-protection x-app x-claude-code-agent-id x-claude-code-agent-type
        x-claude-code-parent-agent-id x-claude-code-prompt-id x-claude-code-request-class
        x-claude-code-session-id x-claude-remote-container-id x-claude-remote-session-id x-client-app
        """
    ),
    "Codex": _names(
        """
        conversation_id originator session-id session_id thread-id version x-codex-beta-features
        x-codex-installation-id x-codex-parent-thread-id x-codex-turn-metadata x-codex-turn-state
        x-codex-window-id x-openai-internal-codex-responses-lite x-openai-memgen-request x-openai-subagent
        x-responsesapi-include-timing-metrics
        """
    ),
    "other programs": _names(
        """
        copilot-integration-id copilot-vision-request editor-plugin-version editor-version openai-intent
        x-dashscope-authtype x-dashscope-cachecontrol x-dashscope-useragent x-github-api-version x-initiator
        x-interaction-id x-interaction-type x-msh-device-id x-msh-device-model x-msh-device-name
        x-msh-os-version x-msh-platform x-msh-version x-opencode-client x-opencode-project
        x-opencode-request x-opencode-session x-qwen-code-session-id
        """
    ),
    "providers: the calling program, and the turns that belong together": _names(
        """
        http-referer x-affinity x-cerebras-3rd-party-integration x-grok-conv-id x-openrouter-categories
        x-openrouter-title x-parent-session-id x-session-affinity x-session-id x-title
        """
    ),
}
"""Names in lower case that a caller sends and that pass to every provider, by who sends or reads them."""

ANSWER: dict[str, tuple[str, ...]] = {
    "HTTP, of an answer": _names(
        """
        age cache-control content-disposition content-encoding content-language content-length content-type
        date deprecation etag last-modified retry-after retry-after-ms server server-timing sunset vary
        """
    ),
    "ids by which a request can be traced": _names(
        """
        apim-request-id cf-ray minimax-request-id mistral-correlation-id msh-request-id msh-trace-id
        nvcf-reqid request-id traceparent tracestate x-amzn-requestid x-client-request-id x-correlation-id
        x-debug-trace-id x-ds-trace-id x-generation-id x-github-request-id x-kong-request-id x-log-id
        x-ms-client-request-id x-ms-request-id x-request-id x-siliconcloud-trace-id x-together-traceid
        x-trace-id x-vercel-id
        """
    ),
    "where and how a provider answered": _names(
        """
        azureml-model-session fireworks-server-processing-time llm-provider nvcf-status x-compute-time
        x-compute-type x-envoy-upstream-service-time x-gemini-service-tier x-groq-region x-inference-id
        x-inference-version x-kong-proxy-latency x-kong-upstream-latency x-metrics-e2e-ms
        x-ms-deployment-name x-ms-rai-invoked x-ms-region x-zero-data-retention
        """
    ),
    "Codex": _names("x-models-etag x-reasoning-included"),
    "gateways in front of a provider": _names(
        """
        cf-aig-cache-status cf-aig-event-id cf-aig-log-id cf-aig-step helicone-cache helicone-id
        helicone-status x-litellm-attempted-fallbacks x-litellm-attempted-retries x-litellm-cache-key
        x-litellm-call-id x-litellm-key-max-budget x-litellm-key-rpm-limit x-litellm-key-spend
        x-litellm-key-tpm-limit x-litellm-model-group x-litellm-model-id x-litellm-overhead-duration-ms
        x-litellm-response-cost x-litellm-response-duration-ms x-litellm-version x-portkey-cache-status
        x-portkey-last-used-option-index x-portkey-retry-attempt-count x-portkey-trace-id
        """
    ),
}
"""Names in lower case that a provider sends and that pass to every caller, by who sends them."""

ANSWER_FAMILIES = ("anthropic-", "openai-", "ratelimit-", "ratelimitbysize-", "x-codex-", "x-ratelimit-")
"""Prefixes of names that pass too, unless the name is reserved: limits and what is left of them."""

SESSION_HEADERS = ("x-claude-code-session-id", "session-id", "session_id")
"""Headers in which a known program names its own session: Claude Code, Codex, and older versions of Codex."""

BODY_HEADERS = frozenset({b"content-length", b"content-encoding"})
OURS_AFTER_A_FAULT = frozenset({b"retry-after", b"retry-after-ms"})
"""Headers that Holdfast sets itself on a failed answer, where it knows the true wait."""

_OF_A_DIALECT = frozenset(
    name for group in ("OpenAI's and Anthropic's APIs", "Claude Code", "Codex") for name in REQUEST[group]
)
_WANTED = {Dialect.ANTHROPIC_MESSAGES: ((b"anthropic-version", b"2023-06-01"),)}
"""The headers without which an endpoint of a dialect refuses a request."""
_REQUEST = frozenset(name for names in REQUEST.values() for name in names)
_ANSWER = frozenset(name for names in ANSWER.values() for name in names)
_SHORTEST_WITHIN = 16
"""Bytes: a shorter credential may be a word of some text, so it is looked for only as a whole value."""
_QUERY_CREDENTIALS = frozenset(
    b"access_token api-key api_key apikey auth_token authorization key token x-api-key x-goog-api-key".split()
)
_TO_BE_READ = re.compile(rb"[%+]|key|token|authorization", re.IGNORECASE)
"""A query without any of these names no credential, and nothing in it is escaped."""


def request_verdict(name: bytes) -> Verdict:
    """Return the rule for a header that a caller sent. `name` is in lower case."""
    text = name.decode("latin-1")
    if text in _REQUEST:
        return Verdict.PASSES
    if reserved(text) is not None:
        return Verdict.DROPPED
    return Verdict.OPTIONAL


def passes_translated(name: bytes) -> bool:
    """Return whether a header that a caller sent passes with a request that is translated: not what only one
    API, or its maker's own program, means. `name` is in lower case."""
    return name.decode("latin-1") not in _OF_A_DIALECT


def wanted_by(dialect: Dialect) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that an endpoint of a dialect wants of every request."""
    return _WANTED.get(dialect, ())


def answer_verdict(name: bytes) -> Verdict:
    """Return the rule for a header that a provider sent. `name` is in lower case."""
    text = name.decode("latin-1")
    if text in _ANSWER:
        return Verdict.PASSES
    if reserved(text) is not None:
        return Verdict.DROPPED
    if text.startswith(ANSWER_FAMILIES):
        return Verdict.PASSES
    return Verdict.OPTIONAL


@lru_cache(maxsize=64)
def names_on_the_wire(forward_headers: tuple[str, ...]) -> frozenset[bytes]:
    """Return a provider's `forward_headers` as bytes, in lower case."""
    return frozenset(name.encode("latin-1") for name in forward_headers)


def forwarded(headers: Pairs, forward_headers: tuple[str, ...]) -> Pairs:
    """Return those headers that a provider's `forward_headers` name."""
    names = names_on_the_wire(forward_headers)
    return [pair for pair in headers if pair[0].lower() in names]


def shows(value: bytes, credentials: Collection[bytes]) -> bool:
    """Return whether a header's value holds one of the credentials that the caller presented.

    One of 16 bytes or more is found anywhere; a shorter one only as the whole value or after a scheme such as
    Bearer.
    """
    for credential in credentials:
        if len(credential) >= _SHORTEST_WITHIN:
            if credential in value:
                return True
        elif credential and value.rpartition(b" ")[2] == credential:
            return True
    return False


def without_credentials(headers: Pairs, credentials: Sequence[bytes]) -> Pairs:
    """Return those headers whose values show none of the credentials that the caller presented."""
    if not headers:
        return headers
    together = b"\n".join([value for _, value in headers])
    for credential in credentials:
        if credential in together:
            return [pair for pair in headers if not shows(pair[1], credentials)]
    return headers


def query_without_credentials(query: bytes, credentials: Sequence[bytes]) -> bytes:
    """Return a query without the parameters that are named like a credential or hold one that the caller
    presented. The others stay as they were written."""
    plain = _TO_BE_READ.search(query) is None
    for credential in credentials:
        plain = plain and credential not in query
    if plain:
        return query
    return b"&".join(part for part in query.split(b"&") if not _is_credential(part, credentials))


def _is_credential(parameter: bytes, credentials: Sequence[bytes]) -> bool:
    name, _, value = parameter.replace(b"+", b" ").partition(b"=")
    name = unquote_to_bytes(name)
    if name.lower() in _QUERY_CREDENTIALS:
        return True
    return shows(name, credentials) or shows(unquote_to_bytes(value), credentials)
