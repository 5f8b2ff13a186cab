"""One header policy: whatever a header is called, both faces let it pass alike, both ways.

Nothing that is a credential, or that steers an intermediary, passes at all.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.identity import Auth, Connection, Dialect, Endpoint, Provider, ProviderName
from holdfast.gateway import header_rules
from holdfast.gateway.http1 import header_actions
from holdfast.gateway.http1.request_head import Head
from holdfast.gateway.http1.response_head import ResponseHead
from holdfast.wire import header_policy
from holdfast.wire.client_headers import filter_headers
from holdfast.wire.header_names import Reserved, is_header_name, reserved
from holdfast.wire.header_policy import (
    ANSWER,
    ANSWER_FAMILIES,
    REQUEST,
    SESSION_HEADERS,
    query_without_credentials,
    request_verdict,
    shows,
)
from holdfast.wire.request_head import build_request
from holdfast.wire.response_head import answer_headers, fault_headers

LISTED = sorted({name for names in (*REQUEST.values(), *ANSWER.values()) for name in names})
OTHERS = """
    x-custom x-team x-user-id referer dnt sec-fetch-mode if-none-match range pragma prefer baggage
    openai-organization openai-project anthropic-workspace-id chatgpt-account-id x-forwarded-for
    x-real-ip forwarded via x-original-url x-envoy-internal x-client-ip cf-connecting-ip x-remote-user
    x-http-method-override x-host x-portkey-config x-portkey-custom-host helicone-target-url
    helicone-auth helicone-property-team x-litellm-api-base x-litellm-tags cf-aig-authorization
    cf-aig-metadata x-bf-vk holdfast-session holdfast-pin api-key proxy-authorization cookie
    x-goog-api-key x-amz-security-token private-token x-auth-token x-api-token x-vault-token x-secret
    x-password authentication x-jwt-assertion x-csrf-token openai-api-key x-litellm-api-key set-cookie
    location content-location alt-svc strict-transport-security refresh link x-accel-redirect x-sendfile
    x-frame-options access-control-allow-origin www-authenticate x-should-retry x-vendor x-debug-auth
    llm_provider-x-request-id keep-alive te trailer upgrade proxy-connection openai-anything
    anthropic-ratelimit-unified-5h-reset x-ratelimit-limit-tokens anthropic-session-token
    openai-redirect-url x-codex-primary-used-percent
    """.split()
# What each face writes for itself, or refuses: where a body ends, the host, the page that asks.
FRAMING = {"connection", "content-length", "transfer-encoding", "expect", "host", "origin"}
# What the gateway removes with the coding of every body, and the library with that of a request to a model.
DECODED = {"content-encoding"}

_WORDS = sorted({word for name in (*LISTED, *OTHERS) for word in name.replace("_", "-").split("-")})
NAMES = (
    st.sampled_from([*LISTED, *OTHERS])
    | st.lists(st.sampled_from(_WORDS), min_size=1, max_size=4).map("-".join)
    | st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True)
)


def head_of(*lines: bytes, target: bytes = b"/v1/messages") -> Head:
    """A request's head as the gateway reads it."""
    block = b"\r\n".join([b"POST " + target + b" HTTP/1.1", b"host: a", *lines])
    return Head(block, 16, 200, header_rules.REQUEST_NAMES)


def by_library(name: str) -> str:
    """What the library's transport does with a caller's header."""
    read = filter_headers([(name.encode(), b"v")])
    if read.kept or read.accepts is not None:
        return "kept"
    return "optional" if read.optional else "dropped"


def by_gateway(name: str) -> str:
    """What the gateway does with a client's header."""
    line = name.encode() + b": v"
    head = head_of(line)
    if line in head.kept or head.accepts is not None:
        return "kept"
    return "optional" if line in head.optional else "dropped"


def back_through_library(name: str) -> str:
    """What the library's transport does with a provider's header."""
    pair = (name.encode(), b"v")
    if answer_headers([pair], {}) == [pair]:
        return "kept"
    return "optional" if answer_headers([pair], {}, (name.lower(),)) == [pair] else "dropped"


def back_through_gateway(name: str) -> str:
    """What the gateway does with a provider's header."""
    head = ResponseHead(b"HTTP/1.1 200 OK\r\n" + name.encode() + b": v", header_rules.ANSWER_NAMES)
    if head.kept:
        return "kept"
    return "optional" if head.optional else "dropped"


def test_both_faces_treat_the_headers_of_the_table_alike() -> None:
    names = sorted({*LISTED, *OTHERS} - FRAMING)
    requested = [name for name in names if name not in DECODED]
    assert {name: by_library(name) for name in requested} == {name: by_gateway(name) for name in requested}
    assert {name: back_through_library(name) for name in names} == {
        name: back_through_gateway(name) for name in names
    }


@given(NAMES)
def test_both_faces_treat_any_header_alike_both_ways(name: str) -> None:
    if name in FRAMING | DECODED or not is_header_name(name):
        return
    for spelling in (name, name.upper(), name.title()):
        assert by_library(spelling) == by_gateway(spelling) == by_library(name)
        back = back_through_library(name)
        assert back_through_library(spelling) == back_through_gateway(spelling) == back
    if reserved(name) is not None:
        assert by_library(name) == "dropped"
        assert back_through_library(name) == (
            "kept" if any(name in names for names in ANSWER.values()) else "dropped"
        )


def test_what_sdks_and_programs_send_goes_on_to_every_provider() -> None:
    names = [name for names in REQUEST.values() for name in names if name not in DECODED]
    assert [name for name in names if (by_library(name), by_gateway(name)) != ("kept", "kept")] == []


def test_what_sdks_and_programs_read_comes_back_from_every_provider() -> None:
    names = [name for names in ANSWER.values() for name in names if name not in FRAMING]
    assert [
        name for name in names if (back_through_library(name), back_through_gateway(name)) != ("kept", "kept")
    ] == []


def test_no_listed_request_header_is_reserved_and_no_listed_name_is_written_twice() -> None:
    for table in (REQUEST, ANSWER):
        names = [name for names in table.values() for name in names]
        assert len(names) == len(set(names))
        assert all(name == name.lower() and is_header_name(name) for name in names)
    assert [name for names in REQUEST.values() for name in names if reserved(name) is not None] == []
    harmful = {Reserved.CREDENTIAL, Reserved.ANSWER}
    assert [name for names in ANSWER.values() for name in names if reserved(name) in harmful] == []
    assert not [name for name in ANSWER_FAMILIES if reserved(name) is not None]
    assert {request_verdict(name.encode()).name for name in SESSION_HEADERS} == {"PASSES"}


def test_no_two_actions_of_a_parser_have_the_same_number() -> None:
    numbers = [value for name, value in vars(header_actions).items() if name.isupper()]
    assert sorted(numbers) == [*range(len(numbers))]


# Opted in for one provider
# ------------------------------------------------------------------------------------------------


def connection(*forwarded: str) -> Connection:
    provider = Provider(
        ProviderName("mine"), (Endpoint("https://a.example/v1", auth=Auth.NONE),), forward_headers=forwarded
    )
    return Connection(provider, Dialect.OPENAI_CHAT, None, "m")


@given(NAMES, st.booleans())
def test_a_name_that_is_not_listed_leaves_for_the_provider_that_names_it_alone(
    name: str, opted_in: bool
) -> None:
    if name in FRAMING or reserved(name) is not None or not is_header_name(name):
        return
    incoming = filter_headers([(name.title().encode(), b"v")])
    behind = connection(*([name] if opted_in else []))
    _, headers, _ = build_request(behind, None, "/v1/chat/completions", incoming, body=b"{}")
    leaves = any(value == b"v" for _, value in headers) or incoming.accepts is not None
    assert leaves is (opted_in or request_verdict(name.encode()).name == "PASSES")


# What the caller presented
# ------------------------------------------------------------------------------------------------

TOKEN = b"hf-0123abcd-ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize(
    ("value", "credentials", "held"),
    [
        (TOKEN, [TOKEN], True),
        (b"Bearer " + TOKEN, [TOKEN], True),
        (b"session=" + TOKEN + b"; x", [TOKEN], True),
        (TOKEN[:-1], [TOKEN], False),
        (b"short", [b"short"], True),
        (b"Token short", [b"short"], True),
        (b"not so short", [b"none", b"short"], True),
        (b"shorter", [b"short"], False),
        (b"anything", [b""], False),
        (b"anything", [], False),
    ],
)
def test_a_value_shows_a_credential_that_it_holds(value: bytes, credentials: list[bytes], held: bool) -> None:
    assert shows(value, credentials) is held


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("beta=true", "beta=true"),
        ("api-version=2026-01-01&include=a%20b&include=c", "api-version=2026-01-01&include=a%20b&include=c"),
        (f"api_key={TOKEN.decode()}", ""),
        (f"beta=true&x={TOKEN.decode()}&y", "beta=true&y"),
        ("beta=true&x=" + "".join(f"%{byte:02x}" for byte in TOKEN), "beta=true"),
        (f"{TOKEN.decode()}=1", ""),
        ("key=sk-own&access_token=1&API_KEY=2&api%5Fkey=3&token=4&page_token=5", "page_token=5"),
        ("", ""),
        ("&&a", "&&a"),
    ],
)
def test_a_query_leaves_without_what_is_a_credential(query: str, left: str) -> None:
    assert query_without_credentials(query.encode(), [TOKEN]) == left.encode()


@pytest.mark.parametrize("presented", [b"Authorization: Bearer " + TOKEN, b"x-api-key: " + TOKEN])
def test_both_faces_drop_a_header_that_shows_what_the_caller_presented(presented: bytes) -> None:
    lines = [presented, b"X-Title: " + TOKEN, b"user-agent: sdk", b"x-team: t-" + TOKEN, b"x-user-id: 7"]
    read = filter_headers(
        [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    )
    assert (read.kept, read.optional) == ([(b"user-agent", b"sdk")], [(b"x-user-id", b"7")])
    head = head_of(*lines, target=b"/v1/messages?a=1&b=" + TOKEN)
    head.credential = TOKEN
    header_rules.withhold_credentials(head)
    assert (head.kept, head.optional, head.query) == ([b"user-agent: sdk"], (b"x-user-id: 7",), b"a=1")


def test_a_second_credential_that_was_not_the_good_one_leaves_as_little() -> None:
    lines = [
        b"authorization: Bearer " + TOKEN,
        b"x-api-key: another-key-of-mine",
        b"x-title: another-key-of-mine",
        b"accept: a",
    ]
    head = head_of(*lines)
    head.credential = TOKEN
    header_rules.withhold_credentials(head)
    assert head.kept == [b"accept: a"]


def test_both_faces_drop_what_a_connection_header_names() -> None:
    lines = [
        b"Connection: keep-alive, X-Title",
        b"connection: x-team",
        b"X-Title: a",
        b"x-team: b",
        b"user-agent: sdk",
    ]
    read = filter_headers(
        [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    )
    assert (read.kept, read.optional) == ([(b"user-agent", b"sdk")], [])
    head = head_of(*lines)
    assert (head.kept, head.optional, head.keep) == ([b"user-agent: sdk"], (), True)


# What comes back
# ----------------------------------------------------------------------------------------------------------


def test_an_answer_that_failed_comes_back_without_what_holdfast_tells_itself() -> None:
    names = (
        b"Retry-After",
        b"Retry-After-Ms",
        b"Content-Encoding",
        b"Content-Length",
        b"X-Request-Id",
        b"X-Vendor",
        b"Set-Cookie",
    )
    theirs = [(name, b"1") for name in names]
    assert fault_headers(theirs, {}) == [(b"X-Request-Id", b"1")]
    assert fault_headers(theirs, {}, ("x-vendor",)) == [(b"X-Request-Id", b"1"), (b"X-Vendor", b"1")]
    assert answer_headers(theirs, {}) == [(name, b"1") for name in names[:5]]


def test_every_parameter_that_is_named_as_a_credential_is_read() -> None:
    for name in header_policy._QUERY_CREDENTIALS:
        assert query_without_credentials(b"a=1&" + name.upper() + b"=v&b", []) == b"a=1&b"
