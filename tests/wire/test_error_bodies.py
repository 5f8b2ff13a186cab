"""What a provider's fault becomes for a client: a status, headers and a body on which its SDK acts
rightly."""

from __future__ import annotations

import importlib
import json
import math
from typing import Any

import anthropic
import openai
import pytest

from holdfast.core.changes import Evidence
from holdfast.core.explain import explain
from holdfast.core.faults import Fault, FaultClass, Phase
from holdfast.core.identity import Connection, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.core.steps import Attempt
from holdfast.engine.journal import attempt_event, utc
from holdfast.store.stored_events import stored
from holdfast.wire.error_bodies import from_fault, kind_of_fault, retry_headers

C = FaultClass
NOW = 1_772_460_000.0
NAME = ProviderName("mimo-plan")
KEY = Key(NAME, "a", "env:MIMO_KEY")
CONNECTION = Connection(
    Provider(NAME, (Endpoint("https://plan.example/v1"),), (KEY,)), Dialect.OPENAI_CHAT, KEY, "mimo-pro"
)
OPENAI, RESPONSES, ANTHROPIC = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES

# class: (OpenAI's status, type and code, and what its SDK raises), (Anthropic's status and type, and what its
# SDK raises)
ANSWERS = {
    C.AUTH_REJECTED: (
        (401, "authentication_error", "auth_rejected", "AuthenticationError"),
        (401, "authentication_error", "AuthenticationError"),
    ),
    C.AUTH_EXPIRED: (
        (401, "authentication_error", "auth_expired", "AuthenticationError"),
        (401, "authentication_error", "AuthenticationError"),
    ),
    C.NOT_ENTITLED: (
        (403, "permission_error", "not_entitled", "PermissionDeniedError"),
        (403, "permission_error", "PermissionDeniedError"),
    ),
    C.BLOCKED: (
        (403, "permission_error", "blocked", "PermissionDeniedError"),
        (403, "permission_error", "PermissionDeniedError"),
    ),
    C.QUOTA_EXHAUSTED: (
        (429, "insufficient_quota", "insufficient_quota", "RateLimitError"),
        (400, "billing_error", "BadRequestError"),
    ),
    C.QUOTA_WINDOW: (
        (429, "insufficient_quota", "insufficient_quota", "RateLimitError"),
        (429, "rate_limit_error", "RateLimitError"),
    ),
    C.RATE_LIMITED: (
        (429, "rate_limit_error", "rate_limit_exceeded", "RateLimitError"),
        (429, "rate_limit_error", "RateLimitError"),
    ),
    C.PROVIDER_UNAVAILABLE: (
        (503, "server_error", "provider_unavailable", "InternalServerError"),
        (529, "overloaded_error", "OverloadedError"),
    ),
    C.TRANSIENT: (
        (502, "server_error", "transient", "InternalServerError"),
        (502, "api_error", "InternalServerError"),
    ),
    C.MODEL_UNAVAILABLE: (
        (404, "invalid_request_error", "model_not_found", "NotFoundError"),
        (404, "not_found_error", "NotFoundError"),
    ),
    C.ENDPOINT_MISMATCH: (
        (400, "invalid_request_error", "endpoint_mismatch", "BadRequestError"),
        (400, "invalid_request_error", "BadRequestError"),
    ),
    C.CONTEXT_OVERFLOW: (
        (400, "invalid_request_error", "context_length_exceeded", "BadRequestError"),
        (400, "invalid_request_error", "BadRequestError"),
    ),
    C.CONTENT_BLOCKED: (
        (400, "invalid_request_error", "content_filter", "BadRequestError"),
        (400, "invalid_request_error", "BadRequestError"),
    ),
    C.BAD_REQUEST: (
        (400, "invalid_request_error", "bad_request", "BadRequestError"),
        (400, "invalid_request_error", "BadRequestError"),
    ),
    C.UNKNOWN: (
        (502, "server_error", "unknown", "InternalServerError"),
        (502, "api_error", "InternalServerError"),
    ),
}


def answer(fault: Fault, dialect: Dialect, *, sent: bool = True) -> tuple[int, bytes, list[str]]:
    """Our answer to `fault` in `dialect`, and the lines that the person must find in it."""
    attempts = (
        (Attempt(1, CONNECTION, NOW - 2, NOW - 1, fault, probe=True, then="asked again"),) if sent else ()
    )
    explanation = explain(
        fault,
        CONNECTION,
        attempts,
        Evidence("f", "https://plan.example/v1"),
        NOW,
        key_shown="…3f9A",
        clock=utc,
    )
    events = [attempt_event(attempt, "issue-42", "hf_1") for attempt in attempts]
    fields = [{"pin": event.pin, **stored(event.detail)} for event in events]
    error = from_fault(
        fault,
        explanation,
        fields,
        {"holdfast-key": "a"},
        request_id="hf_1",
        session="issue-42",
        pin="mimo-plan/mimo-pro",
        now=NOW,
    )
    return error.status(dialect), error.body(dialect), str(explanation).splitlines()


def httpx_of(sdk: Any) -> Any:
    """Return the module whose clients the SDK takes: httpx2, or httpx before its newest generation."""
    client = sdk.DefaultHttpxClient.__mro__[1]
    return importlib.import_module(client.__module__.partition(".")[0])


def raised(module: Any, status: int, body: bytes) -> Any:
    """What the SDK raises when our gateway answers so."""
    headers = {"content-type": "application/json", "x-should-retry": "false"}
    message = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hello"}]}
    http = httpx_of(module)
    transport = http.MockTransport(lambda request: http.Response(status, headers=headers, content=body))
    with http.Client(transport=transport) as client:
        if module is openai:
            create: Any = openai.OpenAI(
                api_key="hf-token", base_url="http://127.0.0.1/v1", http_client=client
            ).chat.completions.create
        else:
            create = anthropic.Anthropic(
                api_key="hf-token", base_url="http://127.0.0.1", http_client=client
            ).messages.create
        with pytest.raises(module.APIStatusError) as caught:
            create(**message)
    return caught.value


@pytest.mark.parametrize("kind", list(FaultClass))
def test_the_openai_sdk_raises_the_error_of_the_class_with_our_lines(kind: FaultClass) -> None:
    status, kind_of_error, code, name = ANSWERS[kind][0]
    sent, body, lines = answer(Fault(kind, status=400, excerpt='{"error": "it\'s gone"}'), OPENAI)
    error = raised(openai, sent, body)
    assert (sent, error.status_code, error.type, error.code, type(error).__name__) == (
        status,
        status,
        kind_of_error,
        code,
        name,
    )
    assert [line for line in lines if line not in str(error)] == []
    assert error.body["holdfast"]["class"] == kind


@pytest.mark.parametrize("kind", list(FaultClass))
def test_the_anthropic_sdk_raises_the_error_of_the_class_with_our_lines(kind: FaultClass) -> None:
    status, kind_of_error, name = ANSWERS[kind][1]
    sent, body, lines = answer(Fault(kind, status=400, excerpt="some words"), ANTHROPIC)
    error = raised(anthropic, sent, body)
    assert (sent, error.status_code, error.body["error"]["type"], type(error).__name__) == (
        status,
        status,
        kind_of_error,
        name,
    )
    assert error.body["error"]["message"].splitlines() == lines
    assert [line for line in lines if line not in str(error)] == []
    assert error.body["request_id"] == "hf_1"


@pytest.mark.parametrize("dialect", [OPENAI, RESPONSES, ANTHROPIC])
def test_an_overflow_keeps_the_words_on_which_programs_compact(dialect: Dialect) -> None:
    _, body, _ = answer(
        Fault(C.CONTEXT_OVERFLOW, status=400, excerpt="prompt is too long: 209375 tokens > 200000 maximum"),
        dialect,
    )
    error = json.loads(body)["error"]
    assert "prompt is too long: 209375 tokens > 200000 maximum" in error["message"]
    assert "maximum context length" in error["message"]
    assert dialect is ANTHROPIC or error["code"] == "context_length_exceeded"


@pytest.mark.parametrize(("status", "cause"), [(408, None), (504, None), (524, None), (None, "timeout")])
def test_a_timeout_is_reported_as_a_gateway_timeout(status: int | None, cause: str | None) -> None:
    kind = kind_of_fault(Fault(C.TRANSIENT, status=status, cause=cause))
    assert (kind.name, kind.status, kind.anthropic_status, kind.anthropic_type) == (
        "transient",
        504,
        504,
        "timeout_error",
    )


def test_the_machines_part_holds_what_the_lines_say() -> None:
    fault = Fault(C.QUOTA_WINDOW, status=429, reset_at=NOW + 7_200, request_id="req_7")
    _, body, lines = answer(fault, OPENAI)
    machine = json.loads(body)["error"]["holdfast"]
    attempts = machine.pop("attempts")
    assert machine == {
        "class": "quota_window",
        "pin": "mimo-plan/mimo-pro",
        "key": "a",
        "session": "issue-42",
        "request_id": "hf_1",
        "from": "endpoint",
        "from_memory": False,
        "reset_at": NOW + 7_200,
        "provider_status": 429,
        "provider_request_id": "req_7",
        "next_step": lines[3].removeprefix("Next: "),
    }
    assert [
        (attempt["pin"], attempt["number"], attempt["key"], attempt["probe"], attempt["fault"]["kind"])
        for attempt in attempts
    ] == [
        ("mimo-plan/mimo-pro", 1, "a", True, "quota_window"),
    ]


def test_an_answer_from_memory_says_so_and_shows_no_attempt_and_no_past_reset() -> None:
    _, body, _ = answer(Fault(C.AUTH_REJECTED, status=401, reset_at=NOW - 5), ANTHROPIC, sent=False)
    machine = json.loads(body)["error"]["holdfast"]
    assert (machine["from_memory"], machine["attempts"], machine["key"], machine["reset_at"]) == (
        True,
        [],
        "a",
        None,
    )


def test_a_key_that_could_not_be_read_is_no_answer_from_memory() -> None:
    _, body, _ = answer(Fault(C.AUTH_REJECTED, phase=Phase.UNSENT, sent=False), OPENAI, sent=False)
    assert json.loads(body)["error"]["holdfast"]["from_memory"] is False


# ------------------------------------------------------------------ retry headers
@pytest.mark.parametrize(
    ("fault", "headers"),
    [
        (Fault(C.AUTH_REJECTED), {}),
        (Fault(C.TRANSIENT, retry_after=3), {"holdfast-reset-at": "1772460003"}),
        (Fault(C.RATE_LIMITED, retry_after=11.2), {"retry-after": "12", "holdfast-reset-at": "1772460012"}),
        (
            Fault(C.RATE_LIMITED, retry_after=30, reset_at=NOW + 8.5),
            {"retry-after": "9", "holdfast-reset-at": "1772460009"},
        ),
        (Fault(C.RATE_LIMITED, retry_after=60), {"retry-after": "60", "holdfast-reset-at": "1772460060"}),
        (Fault(C.RATE_LIMITED, retry_after=60.5), {"holdfast-reset-at": "1772460061"}),
        (Fault(C.RATE_LIMITED, retry_after=-5), {"retry-after": "1"}),
        (Fault(C.RATE_LIMITED), {}),
        (Fault(C.RATE_LIMITED, retry_after=math.nan), {}),
        (Fault(C.RATE_LIMITED, retry_after=math.inf), {}),
        (Fault(C.RATE_LIMITED, retry_after=-math.inf), {}),
        (Fault(C.QUOTA_WINDOW, reset_at=NOW + 504_641), {"holdfast-reset-at": "1772964641"}),
    ],
)
def test_no_client_repeats_and_none_is_told_to_sleep_longer_than_a_minute(
    fault: Fault, headers: dict[str, str]
) -> None:
    assert retry_headers(fault, NOW) == {"x-should-retry": "false", **headers}
