"""What the classifier promises about any answer: order of the signs, phases, transport faults, and that
nothing makes it raise."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core.classify import classify
from holdfast.core.faults import Confidence, Fault, FaultClass, Origin, Phase, Reply, Scope
from holdfast.core.vocabulary import Profile
from holdfast.providers import profiles

NOW = 1_794_900_000.0
GENERIC = profiles.load(None)


def read(
    status: int | None,
    body: object = b"",
    *headers: tuple[str, str],
    provider: str | None = None,
    **more: object,
) -> Fault:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(Reply(status, headers, raw, **more), profiles.load(provider), now=NOW)  # type: ignore[arg-type]


def error(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message, **more}}


def test_a_code_speaks_before_the_words_and_the_words_before_the_status():
    assert read(429, error("please slow down", code="insufficient_quota")).confidence is Confidence.CODE
    assert read(429, error("your credit balance is too low")).kind is FaultClass.QUOTA_EXHAUSTED
    assert read(429).kind is FaultClass.RATE_LIMITED


def test_the_same_number_means_what_its_provider_says():
    body = error("x", code="1300")
    assert read(429, body, provider="mistral").kind is FaultClass.RATE_LIMITED
    assert read(429, body, provider="zai").kind is FaultClass.CONTENT_BLOCKED


def test_the_same_code_means_what_its_provider_says():
    body = error("You exceeded your current quota", code="insufficient_quota")
    assert read(429, body, provider="openai").kind is FaultClass.QUOTA_EXHAUSTED
    assert read(429, body, provider="dashscope").kind is FaultClass.RATE_LIMITED


def test_a_provider_that_lacks_an_optional_route_is_no_wrong_address():
    for status in (404, 405, 410, 501):
        fault = read(status, b"404 page not found", optional=True)
        assert (fault.kind, fault.scope, fault.cause) == (FaultClass.BAD_REQUEST, Scope.REQUEST, "no_route")
    assert read(404, b"404 page not found").kind is FaultClass.ENDPOINT_MISMATCH
    assert read(404, error("no model x"), optional=True).kind is FaultClass.MODEL_UNAVAILABLE
    assert read(302, b"", optional=True).kind is FaultClass.ENDPOINT_MISMATCH


def test_an_unknown_code_is_read_as_text():
    assert read(403, error("x", code="InsufficientBalanceForPlan")).kind is FaultClass.QUOTA_EXHAUSTED


def test_a_key_that_could_not_be_read_was_never_sent_and_that_is_our_fault():
    fault = read(None, b"SecretMissing: variable MIMO_KEY is empty", phase=Phase.UNSENT)
    assert (fault.kind, fault.sent, fault.origin, fault.scope) == (
        FaultClass.AUTH_REJECTED,
        False,
        Origin.US,
        Scope.KEY,
    )
    assert "MIMO_KEY" in fault.excerpt


def test_a_key_refused_while_it_is_renewed_is_a_dead_grant():
    fault = read(401, {"error": "denied"}, phase=Phase.REFRESH)
    assert (fault.kind, fault.terminal) == (FaultClass.AUTH_EXPIRED, True)


@pytest.mark.parametrize(
    ("words", "host", "kind", "cause"),
    [
        (
            "ConnectError: [Errno 111] Connection refused",
            "127.0.0.1:11434",
            "endpoint_mismatch",
            "server_not_running",
        ),
        (
            "ConnectError: All connection attempts failed",
            "http://localhost:1234/v1",
            "endpoint_mismatch",
            "server_not_running",
        ),
        ("ConnectError: [Errno 111] Connection refused", "api.example.com", "transient", "refused"),
        ("ConnectError: [Errno 11001] getaddrinfo failed", "api.example.com", "endpoint_mismatch", "dns"),
        ("ConnectError: [Errno -3] Temporary failure in name resolution", "", "transient", "dns"),
        (
            "ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
            "",
            "endpoint_mismatch",
            "certificate",
        ),
        ("ConnectError: [SSL: WRONG_VERSION_NUMBER] wrong version number", "", "endpoint_mismatch", "tls"),
        (
            "UnsupportedProtocol: Request URL has an unsupported protocol 'ftp://'.",
            "",
            "endpoint_mismatch",
            "url",
        ),
        ("ReadTimeout: The read operation timed out", "", "transient", "timeout"),
        ("ConnectTimeout: timed out", "", "transient", "timeout"),
        (
            "RemoteProtocolError: peer closed connection without sending complete message body",
            "",
            "transient",
            "truncated",
        ),
        ("WriteError: [Errno 32] Broken pipe", "", "transient", "network"),
        ("ProxyError: 407 Proxy Authentication Required", "", "blocked", "proxy"),
    ],
)
def test_a_request_without_an_answer_is_classified_by_its_error_text(words, host, kind, cause):
    fault = read(None, words.encode(), host=host)
    assert (str(fault.kind), fault.cause, fault.origin) == (kind, cause, Origin.NETWORK)


def test_a_connection_that_broke_inside_a_stream_says_how():
    fault = read(
        None,
        b"RemoteProtocolError: peer closed connection (incomplete chunked read)",
        phase=Phase.POST_OUTPUT,
    )
    assert (fault.kind, fault.cause, fault.maybe_processed) == (FaultClass.TRANSIENT, "truncated", True)


@pytest.mark.parametrize(
    ("status", "more", "maybe"),
    [
        (None, {}, True),
        (None, {"request_written": False}, False),
        (None, {"phase": Phase.CONNECT}, False),
        (504, {}, True),
        (500, {}, False),
        (429, {}, False),
    ],
)
def test_only_a_request_that_was_written_and_met_silence_may_have_been_processed(status, more, maybe):
    assert read(status, b"ReadError: reset", **more).maybe_processed is maybe


def test_the_supplier_of_a_relay_complains_about_its_own_key_not_ours():
    relayed = error(
        "Provider returned error",
        code=401,
        metadata={"provider_name": "X", "raw": '{"error": "invalid api key"}'},
    )
    fault = read(401, relayed, provider="openrouter")
    assert (fault.kind, fault.origin, fault.cause) == (
        FaultClass.PROVIDER_UNAVAILABLE,
        Origin.UPSTREAM,
        "upstream_credential",
    )


def test_the_supplier_of_a_relay_that_finds_the_prompt_too_long_is_right():
    fault = read(
        400,
        error("litellm.BadRequestError: XException - prompt is too long: 2 tokens > 1 maximum"),
        ("llm_provider-date", "x"),
    )
    assert (fault.kind, fault.origin) == (FaultClass.CONTEXT_OVERFLOW, Origin.UPSTREAM)


def test_a_type_made_up_by_a_failing_server_does_not_blame_the_key():
    assert read(500, error("Internal problem", type="auth_error")).kind is FaultClass.TRANSIENT


def test_more_than_the_whole_window_never_fits_however_long_one_waits():
    fault = read(
        429,
        error("Rate limit: Limit 30,000, Requested 30,601", code="rate_limit_exceeded"),
        ("retry-after", "5"),
    )
    assert (fault.kind, fault.cause) == (FaultClass.CONTEXT_OVERFLOW, "never_fits")
    assert (
        read(429, error("Limit 30,000, Used 29,000, Requested 2,000", code="rate_limit_exceeded")).kind
        is FaultClass.RATE_LIMITED
    )


def test_a_rejected_subscription_window_is_known_by_its_headers_alone():
    fault = read(
        429,
        {"type": "error", "error": {"type": "rate_limit_error", "message": "Error"}},
        ("anthropic-ratelimit-unified-status", "rejected"),
        ("anthropic-ratelimit-unified-7d-status", "rejected"),
        ("anthropic-ratelimit-unified-7d-reset", str(int(NOW) + 7_000)),
        ("anthropic-ratelimit-unified-overage-status", "rejected"),
        ("anthropic-ratelimit-unified-overage-reset", str(int(NOW) + 900_000)),
    )
    assert (fault.kind, fault.retry_after, fault.confidence) == (
        FaultClass.QUOTA_WINDOW,
        7_000,
        Confidence.HEADER,
    )


@pytest.mark.parametrize(
    ("phase", "body", "kind", "cause"),
    [
        (
            Phase.PRE_OUTPUT,
            b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
            "transient",
            "empty",
        ),
        (
            Phase.POST_OUTPUT,
            b'data: {"choices":[{"delta":{"content":"an error occurred"}}]}\n\n',
            "transient",
            "truncated",
        ),
        (
            Phase.POST_OUTPUT,
            b'data: {"choices":[{"delta":{},"finish_reason":"content_filter"}]}\n\n',
            "content_blocked",
            None,
        ),
        (
            Phase.PRE_OUTPUT,
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
            "provider_unavailable",
            "capacity",
        ),
        (Phase.PRE_OUTPUT, b'data: {"error":{"message":"boom","code":"500"}}\n\n', "transient", None),
        (
            Phase.POST_OUTPUT,
            b'data: {"choices":[{"delta":{"content":""},"finish_reason":"error","error":{"code":429}}]}\n\n',
            "rate_limited",
            None,
        ),
        (
            Phase.PRE_OUTPUT,
            b'[{\n  "error": {\n    "code": 503,\n    "status": "UNAVAILABLE"\n  }\n}]',
            "provider_unavailable",
            "capacity",
        ),
        (
            Phase.POST_OUTPUT,
            b'{"message":{"content":"a"},"done":false}\n{"error":"model runner has crashed: timed out"}\n',
            "transient",
            None,
        ),
    ],
)
def test_a_stream_is_judged_by_its_events(phase, body, kind, cause):
    fault = read(200, body, ("content-type", "text/event-stream"), phase=phase)
    assert (str(fault.kind), fault.cause, fault.phase) == (kind, cause, phase)


def test_a_refusal_is_read_whole_whatever_type_its_body_claims():
    fault = read(429, b"Your credit balance is too low", ("content-type", "text/event-stream"))
    assert fault.kind is FaultClass.QUOTA_EXHAUSTED


def test_an_error_inside_a_success_has_the_status_that_it_names():
    assert read(200, error("x", code=403)).kind is FaultClass.NOT_ENTITLED
    assert (
        read(200, {"type": "error", "error": {"type": "api_error", "message": "oops"}}).kind
        is FaultClass.TRANSIENT
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "transient"),
        (b"{}", "transient"),
        (b"Ollama is running", "unknown"),
        (b"<html>", "endpoint_mismatch"),
    ],
)
def test_a_success_that_says_nothing_is_not_taken_for_one(body, kind):
    assert str(read(200, body).kind) == kind


def test_an_unlisted_status_is_unknown_and_not_retried_without_end():
    assert read(418, error("short and stout")).kind is FaultClass.UNKNOWN
    assert classify(Reply(777), Profile(), now=NOW).kind is FaultClass.UNKNOWN


def test_the_request_id_is_found_in_headers_and_in_the_body():
    assert read(500, b"", ("x-request-id", "req_1")).request_id == "req_1"
    assert read(500, {"message": "x", "request_id": "req_2"}).request_id == "req_2"
    failed = {"type": "response.failed", "response": {"id": "resp_3", "error": {"code": "server_error"}}}
    assert read(200, failed).request_id == "resp_3"


def test_a_secret_echoed_by_the_provider_is_masked_before_it_is_cut():
    fault = read(
        401,
        error(
            "x" * 150 + " key sk-abcdefghijklmnopqrstuvwxyz0123456789 is wrong",
            code="sk-abcdefghijklmnopqrstuvwxyz",
        ),
    )
    assert "abcdef" not in fault.excerpt
    assert "abcdef" not in (fault.provider_code or "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "message",
                    "code",
                    "type",
                    "status",
                    "detail",
                    "headers",
                    "metadata",
                    "retry_after",
                    "resets_at",
                    "base_resp",
                    "x",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
BODIES = st.one_of(
    st.binary(max_size=400),
    JSON.map(lambda value: json.dumps(value).encode()),
    JSON.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n"),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"error":' * 50_000,
            b'{"error":"' + b"{" * 60_000,
            b"\xff\xfe\x00" * 1_000,
            b'"' * 500,
            b"<" * 70_000,
            b"data:" * 20_000,
        ]
    ),
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "retry-after",
                "retry-after-ms",
                "date",
                "content-type",
                "x-ratelimit-reset-tokens",
                "anthropic-ratelimit-unified-status",
                "x-amzn-errortype",
            ]
        ),
        st.one_of(
            st.text(max_size=40),
            st.sampled_from(
                [
                    "nan",
                    "inf",
                    "-1",
                    "1e999",
                    "rejected",
                    "text/event-stream",
                    "Fri, 31 Dec 2099 23:59:59 GMT",
                    "9" * 400,
                ]
            ),
        ),
    ),
    max_size=5,
).map(tuple)


@settings(max_examples=3 * settings.default.max_examples, deadline=None)
@given(
    status=st.none() | st.integers(0, 999),
    headers=HEADERS,
    body=BODIES,
    phase=st.sampled_from(Phase),
    provider=st.sampled_from([None, "minimax", "zai", "gemini", "bedrock", "litellm"]),
)
def test_nothing_makes_it_raise_and_what_it_says_is_bounded(status, headers, body, phase, provider):
    fault = classify(Reply(status, headers, body, phase), profiles.load(provider), now=NOW)
    assert len(fault.excerpt) <= 160
    assert fault.retry_after is None or 0 <= fault.retry_after <= 32 * 86_400
    assert fault.kind is not FaultClass.RATE_LIMITED or fault.retry_after is None or fault.retry_after <= 120


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"message":"' + b"x" * 10_000_000 + b'"}',
        b'{"error":{"message":"Limit ' + b"9" * 60_000 + b'"}}',
        b"a" * 10_000_000,
        b'{"message":"' + b"litellm.x: " * 5_900 + b'"}',
        b'{"message":"' + b" " * 65_000,
        b'{"error":[' + b"[1]," * 15_000 + b"1]}",
    ],
)
def test_a_body_bomb_is_read_quickly(body):
    began = time.process_time()
    read(500, body)
    assert time.process_time() - began < 0.25
