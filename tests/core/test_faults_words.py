"""What words may say and what they may not: that something is final they only claim, and a verdict is as wide
as the provider's word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.core.classify import classify
from holdfast.core.faults import AUTH_FAULTS, Confidence, Fault, FaultClass, Origin, Reply, Scope
from holdfast.providers import profiles
from tables import rows

REPLIES = Path(__file__).parents[1] / "replies"
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
SWITCHED_OFF = (REPLIES / "switched_off.txt").read_text("utf-8").splitlines()


def read(
    status: int, body: object, *headers: tuple[str, str], provider: str | None = None, now: float = 0.0
) -> Fault:
    return classify(Reply(status, headers, json.dumps(body).encode()), profiles.load(provider), now=now)


def say(status: int, message: str, kind: str | None = None, provider: str | None = None) -> Fault:
    return read(status, {"error": {"message": message, "type": kind}}, provider=provider)


@rows("status", TYPES)
@rows("sentence", SWITCHED_OFF)
def test_a_feature_that_is_off_for_an_account_is_no_end_of_the_account(status, sentence):
    for kind in (None, TYPES[status]):
        fault = say(status, sentence, kind)
        assert not fault.terminal, fault.signs
        if status != 401:
            assert fault.kind not in AUTH_FAULTS, fault.signs


@rows("status", [400, 401, 403])
@rows(
    "sentence",
    [
        "Your account has been suspended.",
        "This organization has been disabled.",
        "The user account is deactivated. Contact support.",
        "Your workspace was terminated for repeated violations.",
        "Your account was flagged for potential abuse.",
        "The organization is locked. Please contact sales.",
        "Your account has been permanently banned due to abuse.",
        "This API key was deleted.",
        "Your API key was reported as leaked.",
        "The API key has been deactivated.",
    ],
)
def test_the_end_of_an_account_or_key_is_a_claim_while_only_words_say_it(status, sentence):
    fault = say(status, sentence, TYPES[status])
    assert (fault.kind, fault.terminal) == (FaultClass.AUTH_REJECTED, True), fault.signs
    assert fault.confidence is Confidence.TEXT


def test_a_feature_that_is_off_concerns_the_request_and_not_the_key():
    fault = say(403, "Web search is disabled for this organization.", "permission_error")
    assert (fault.kind, fault.scope) == (FaultClass.NOT_ENTITLED, Scope.REQUEST)


def test_a_structured_code_says_for_sure_that_an_account_has_ended():
    fault = read(403, {"error": {"message": "x", "code": "account_deactivated"}})
    assert (fault.terminal, fault.confidence) == (True, Confidence.CODE)


def test_a_type_makes_words_sure_only_of_its_own_class():
    own = say(401, "invalid x-api-key", "authentication_error")
    other = say(401, "Your credit balance is too low", "authentication_error")
    assert (own.kind, own.confidence) == (FaultClass.AUTH_REJECTED, Confidence.TYPE)
    assert (other.kind, other.confidence) == (FaultClass.QUOTA_EXHAUSTED, Confidence.TEXT)


def test_the_end_of_a_window_in_a_header_is_surer_than_words():
    body = {"error": {"message": "You have reached your weekly usage limit"}}
    assert read(429, body).confidence is Confidence.TEXT
    assert read(429, body, ("retry-after", "7200")).confidence is Confidence.HEADER


@pytest.mark.parametrize("status", [400, 402, 403, 429])
@pytest.mark.parametrize(
    "sentence",
    [
        "You've reached your concurrent request limit. Please wait for your ongoing requests to finish.",
        "Too many concurrent requests for this model",
        "Maximum number of parallel requests reached",
        "Concurrency limit exceeded for account, please retry later",
    ],
)
def test_too_many_requests_at_once_are_a_throttle_whatever_the_status(status, sentence):
    assert say(status, sentence).kind is FaultClass.RATE_LIMITED


QUOTA_FAILURE = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "RequestsPerDay", "quotaDimensions": {"location": "global", "model": "m"}}],
}
OPUS = "anthropic-ratelimit-unified-7d_opus"


@pytest.mark.parametrize(
    ("provider", "status", "body", "headers"),
    [
        (
            "gemini",
            429,
            {
                "error": {
                    "code": 429,
                    "status": "RESOURCE_EXHAUSTED",
                    "message": "You exceeded your current quota",
                    "details": [QUOTA_FAILURE],
                }
            },
            (),
        ),
        (
            "gemini",
            429,
            {
                "error": {
                    "message": "exceeded your current quota",
                    "details": [{"quotaId": "PerDayPerProjectPerModel-FreeTier"}],
                }
            },
            (),
        ),
        (
            "anthropic",
            429,
            {"type": "error", "error": {"type": "rate_limit_error", "message": "Error"}},
            (
                ("anthropic-ratelimit-unified-status", "rejected"),
                ("anthropic-ratelimit-unified-representative-claim", "seven_day_opus"),
            ),
        ),
        (
            "anthropic",
            429,
            {"type": "error", "error": {"type": "rate_limit_error", "message": "Error"}},
            (("anthropic-ratelimit-unified-status", "rejected"), (f"{OPUS}-status", "rejected")),
        ),
        (
            "litellm",
            400,
            {
                "error": {
                    "message": "LiteLLM Virtual Key: x, exceeded budget for model=big",
                    "type": "budget_exceeded",
                }
            },
            (),
        ),
        (
            None,
            429,
            {
                "error": {
                    "message": "Weekly limit for model opus reached. Other models are not affected.",
                    "code": "usage_limit_reached",
                }
            },
            (),
        ),
        (None, 429, {"error": {"message": "Your daily quota for this model is used up"}}, ()),
    ],
)
def test_a_used_up_quota_of_one_model_rests_one_model(provider, status, body, headers):
    fault = read(status, body, *headers, provider=provider)
    assert fault.kind in (FaultClass.QUOTA_WINDOW, FaultClass.QUOTA_EXHAUSTED), fault.signs
    assert fault.scope is Scope.KEY_MODEL, fault.signs


@pytest.mark.parametrize(
    ("provider", "body", "headers"),
    [
        (None, {"error": {"message": "You have reached your weekly usage limit"}}, ()),
        (
            None,
            {"error": {"message": "Insufficient balance. Please top up.", "code": "insufficient_balance"}},
            (),
        ),
        (
            "anthropic",
            {"type": "error", "error": {"type": "rate_limit_error", "message": "Error"}},
            (
                ("anthropic-ratelimit-unified-status", "rejected"),
                ("anthropic-ratelimit-unified-7d-status", "rejected"),
                ("anthropic-ratelimit-unified-representative-claim", "seven_day"),
            ),
        ),
        (
            "anthropic",
            {"type": "error", "error": {"type": "rate_limit_error", "message": "Error"}},
            (
                ("anthropic-ratelimit-unified-status", "rejected"),
                ("anthropic-ratelimit-unified-7d-status", "rejected"),
                (f"{OPUS}-status", "rejected"),
            ),
        ),
    ],
)
def test_a_used_up_quota_of_the_account_rests_the_account(provider, body, headers):
    assert read(429, body, *headers, provider=provider).scope is Scope.ACCOUNT


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (
            429,
            "Upstream request failed: Your account is suspended due to insufficient balance",
            "provider_unavailable",
        ),
        (
            429,
            "Error from provider (Moonshot): Your account is not active, exceeded current quota",
            "provider_unavailable",
        ),
        (401, "Error from provider: invalid api key", "provider_unavailable"),
        (429, "[nvidia/z-ai/glm] [429]: Too Many Requests (reset after 1m)", "provider_unavailable"),
        (402, "[kiro/claude] All accounts have exhausted their quota", "provider_unavailable"),
        (502, "Upstream error: 429 Too Many Requests", "provider_unavailable"),
        (
            400,
            "Error from provider (Console): Upstream request failed: [1210] Invalid API parameter",
            "bad_request",
        ),
        (400, "[deepseek/v4] [400]: messages[1].role: unknown variant `developer`", "bad_request"),
        (400, "***.BadRequestError: OpenAIException - Expecting ',' delimiter: line 1", "bad_request"),
        (400, "Upstream request failed: prompt is too long: 2 tokens > 1 maximum", "context_overflow"),
    ],
)
def test_what_a_relay_passes_on_is_its_suppliers_trouble_or_the_requests(status, message, kind):
    fault = say(status, message)
    assert str(fault.kind) == kind, fault.signs
    if kind == "provider_unavailable":
        assert fault.origin is Origin.UPSTREAM


@pytest.mark.parametrize(
    ("provider", "status", "message", "kind"),
    [
        (None, 500, "令牌额度不足", "quota_exhausted"),
        (None, 500, "Header of type `authorization` was missing", "auth_rejected"),
        (None, 503, "token quota is not enough", "quota_exhausted"),
        ("opencode-go", 429, "Your account is suspended due to insufficient balance", "provider_unavailable"),
        ("openai", 400, "Your organization must be verified to generate summaries", "not_entitled"),
        ("dashscope", 429, "Free allocated quota exceeded.", "quota_window"),
        ("anthropic", 429, "You've hit your Opus weekly limit", "quota_window"),
        (None, 404, "This model is only supported in v1/responses", "endpoint_mismatch"),
        (None, 400, "Model m is not supported via the Responses API", "endpoint_mismatch"),
        (None, 403, "Your request was blocked.", "blocked"),
        (None, 200, "quota exceeded", "quota_window"),
        (None, 200, "login fail", "auth_rejected"),
        (None, 403, "Organization has been disabled due to non-payment", "quota_exhausted"),
        ("anthropic", 429, "exceeds the limit of 40 input tokens per minute (model: opus)", "rate_limited"),
        ("azure", 400, "Model m is not available on the Responses API", "endpoint_mismatch"),
        (None, 400, "Your tier does not include this model", "not_entitled"),
    ],
)
def test_words_that_used_to_be_read_wrongly(provider, status, message, kind):
    fault = say(status, message, provider=provider)
    assert str(fault.kind) == kind, fault.signs


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"message": "Access denied"}, "denied"),
        ({"error": {"message": "Your plan does not include this model"}}, None),
    ],
)
def test_a_refusal_without_a_reason_is_marked_as_one(body, cause):
    fault = read(403, body)
    assert (fault.kind, fault.cause) == (FaultClass.NOT_ENTITLED, cause)
