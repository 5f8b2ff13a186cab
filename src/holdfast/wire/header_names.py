"""Names of HTTP headers that no configuration lets pass between a caller and a provider.

The lists of `header_policy` say what passes to every provider; the user may add names for one provider.
This table says which names can never be added, and which ones an endpoint's own `headers` cannot set.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

from ..core.errors import IdentityError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")


class Reserved(StrEnum):
    """The reason why a name is reserved, as words that follow it in a message."""

    FRAMING = "describes one connection, so each side writes it for itself"
    CREDENTIAL = "carries a credential"
    ROUTING = "tells a proxy or a gateway who calls, or where to send the request"
    ANSWER = "tells a browser, a proxy or an SDK what to do with an answer"


_REPAIR = {
    Reserved.CREDENTIAL: "remove it; the provider's own key belongs in keys"
    " (holdfast key add PROVIDER --from env:NAME)",
    Reserved.ROUTING: "remove it; a value that is the same for every request belongs in headers"
    ' = { NAME = "…" }',
}

# RFC 9110 7.6.1, RFC 9112, and what is computed anew for each message.
_FRAMING = frozenset(
    """
    connection content-length early-data expect host http2-settings keep-alive proxy-connection te
    trailer trailers transfer-encoding upgrade
    """.split()
)
_OPTIONS_OF_CONNECTION = frozenset({b"close", b"keep-alive", b"te", b"upgrade", b""})

# A name is read word by word: `x-vault-token` ends with `token`. `idempotency-key` and `x-cache-key` carry no
# credential.
_CREDENTIAL_ENDINGS = frozenset({"hmac", "sig", "ticket", "token", "vk"})
_CREDENTIAL_WORDS = frozenset(
    """
    apikey assertion auth authenticate authentication authorization cookie cookie2 credential
    credentials dpop jwt passwd password saml secret signature
    """.split()
)
_HARMLESS_KEYS = frozenset({"cache", "idempotency"})
_CREDENTIAL_PREFIXES = ("x-amz-", "x-ssl-", "ssl-client", "x-client-cert", "x-tls-")

_ROUTING = frozenset(
    """
    api-base client-ip forwarded front-end-https max-forwards origin remote-user via x-api-base
    x-base-path x-scheme x-url-scheme
    """.split()
)
_ROUTING_WORDS = frozenset(
    """
    backend destination endpoint forward forwarded forwards host hostname override passthrough proxy
    redirect rewrite target upstream uri url
    """.split()
)
_ROUTING_PREFIXES = tuple(
    """
    ai-gateway- cf- cloudfront- fastly- fly- helicone- holdfast- litellm- remote- true-client- x-ai-eg-
    x-ai-gateway- x-amzn- x-appengine- x-appgw- x-arr- x-authenticated- x-azure- x-bf- x-client-ip
    x-cluster- x-consumer- x-envoy- x-forwarded x-gateway- x-goog-authenticated- x-helicone- x-holdfast-
    x-http-method x-istio- x-kong- x-litellm- x-method- x-middleware- x-ms-client-principal x-original
    x-portkey- x-real- x-remote- x-server- x-tfy- x-traefik- x-vercel- x-webauth-
    """.split()
)

_ANSWER = frozenset(
    """
    accept-ch alt-svc alternates clear-site-data content-location content-security-policy
    content-security-policy-report-only critical-ch expect-ct feature-policy link location nel
    origin-agent-cluster p3p permissions-policy public-key-pins refresh report-to reporting-endpoints
    service-worker-allowed sourcemap speculation-rules strict-transport-security timing-allow-origin
    x-content-security-policy x-frame-options x-permitted-cross-domain-policies x-should-retry
    x-sourcemap x-ua-compatible x-webkit-csp x-xss-protection
    """.split()
)
_ANSWER_WORDS = frozenset({"sendfile"})
_ANSWER_PREFIXES = ("access-control-", "cross-origin-", "x-accel-", "x-lighttpd-", "x-reproxy-")


def is_header_name(text: str) -> bool:
    """Return whether `text` can be the name of a header (RFC 9110 5.1)."""
    return _NAME.fullmatch(text) is not None


def reserved(name: str) -> Reserved | None:
    """Return why a header's name is reserved, None when it is not. `_` counts as `-`, as servers read it."""
    plain = name.lower().replace("_", "-")
    words = plain.split("-")
    if plain in _FRAMING:
        return Reserved.FRAMING
    if _is_credential(plain, words):
        return Reserved.CREDENTIAL
    if plain in _ROUTING or plain.startswith(_ROUTING_PREFIXES) or not _ROUTING_WORDS.isdisjoint(words):
        return Reserved.ROUTING
    if plain in _ANSWER or plain.startswith(_ANSWER_PREFIXES) or not _ANSWER_WORDS.isdisjoint(words):
        return Reserved.ANSWER
    return None


def checked_forward(name: str) -> str:
    """Return a name of `forward_headers` in lower case. Raises IdentityError for one that cannot be added."""
    if not is_header_name(name):
        raise IdentityError(f"{name!r} is not a header name", next_step="write one name, such as 'x-team'")
    why = reserved(name)
    if why is not None:
        what = f"'{name}' {why}: it never passes between a caller and a provider"
        raise IdentityError(what, next_step=_REPAIR.get(why, "remove it"))
    return name.lower()


def why_not_configured(name: str, value: str) -> str:
    """Return why an endpoint's own `headers` cannot set this header, "" when they can.

    The user writes them and they are the same for each request, so they may tell a gateway product where to
    send it; a key among them would be a key in plain text in a file.
    """
    if any(letter < " " or letter == "\x7f" for letter in name + value):
        return f"header {name!r} holds a control character"
    if not is_header_name(name):
        return f"{name!r} is not a header name"
    why = reserved(name)
    if why is Reserved.CREDENTIAL:
        return f"header '{name}' carries a credential: a key belongs in keys, not in headers"
    if why is Reserved.FRAMING:
        return f"header '{name}' {why}"
    return ""


@lru_cache(maxsize=256)
def read_connection(value: bytes) -> tuple[bool, frozenset[bytes]]:
    """Return whether a Connection header closes the connection, and the names, in lower case, of the headers
    that it removes from its message (RFC 9110 7.6.1)."""
    options = frozenset(option.strip(b" \t") for option in value.lower().split(b","))
    return b"close" in options, options - _OPTIONS_OF_CONNECTION


def _is_credential(plain: str, words: list[str]) -> bool:
    if plain.startswith(_CREDENTIAL_PREFIXES) or not _CREDENTIAL_WORDS.isdisjoint(words):
        return True
    if words[-1] == "key":
        return _HARMLESS_KEYS.isdisjoint(words)
    return words[-1] in _CREDENTIAL_ENDINGS
