"""Names of headers that no configuration lets pass.

They carry credentials, steer an intermediary, or belong to one hop.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.errors import IdentityError
from holdfast.wire.header_names import Reserved, checked_forward, is_header_name, reserved, why_not_configured
from tables import rows

NAMES = {
    Reserved.FRAMING: "connection content-length expect host keep-alive te trailer transfer-encoding upgrade",
    Reserved.CREDENTIAL: """
        authorization proxy-authorization x-api-key api-key x-goog-api-key openai-api-key anthropic-api-key
        cookie set-cookie cookie2 x-amz-security-token x-amz-date private-token x-vault-token x-access-token
        x-session-token x-gitlab-token x-github-token x-csrf-token x-jwt-assertion x-secret x-password
        x-api-secret x-functions-key ocp-apim-subscription-key x-subscription-token x-litellm-api-key
        x-portkey-api-key helicone-auth cf-aig-authorization cf-access-client-secret x-auth-request-user
        authentication www-authenticate dpop signature x-bf-vk x-holdfast-token x-client-cert x_api_key
        X-Auth-Token
        """,
    Reserved.ROUTING: """
        forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip x-original-url
        x-rewrite-url x-host x-http-method-override x-method-override x-envoy-original-path x-client-ip
        true-client-ip client-ip cf-connecting-ip cf-ray cf-aig-custom-base-url helicone-target-url
        helicone-openai-api-base x-target-url x-base-url x-upstream-url x-portkey-config
        x-portkey-custom-host x-portkey-provider x-portkey-forward-headers x-litellm-api-base x-litellm-tags
        x-bf-passthrough x-remote-user x-consumer-username x-middleware-subrequest origin max-forwards
        holdfast-session holdfast-pin X_Forwarded_Host
        """,
    Reserved.ANSWER: """
        location content-location refresh alt-svc strict-transport-security access-control-allow-origin link
        clear-site-data service-worker-allowed report-to nel content-security-policy x-frame-options
        x-accel-buffering x-sendfile x-lighttpd-send-file x-should-retry
        """,
    None: """
        x-team x-user-id x-request-id idempotency-key x-idempotency-key x-cache-key openai-organization
        openai-project anthropic-workspace-id baggage dnt referer range x-ratelimit-remaining-tokens
        x-max-tokens x-tokenizer
        """,
}


@rows(("name", "why"), [(name, why) for why, names in NAMES.items() for name in names.split()])
def test_a_name_is_reserved_for_what_it_carries(name: str, why: Reserved | None) -> None:
    assert reserved(name) is why
    assert reserved(name.upper()) is why


@rows("name", [name for why, names in NAMES.items() if why is not None for name in names.split()])
def test_a_reserved_name_can_be_forwarded_to_no_provider(name: str) -> None:
    with pytest.raises(IdentityError) as refused:
        checked_forward(name)
    assert name in str(refused.value)
    assert refused.value.next_step.startswith("remove it")


@pytest.mark.parametrize("why", [Reserved.CREDENTIAL, Reserved.FRAMING])
def test_an_endpoints_own_headers_carry_no_credential_and_frame_no_message(why: Reserved) -> None:
    assert [name for name in NAMES[why].split() if not why_not_configured(name, "v")] == []


@pytest.mark.parametrize(
    ("name", "value"), [("x-a", "b\r\nc: d"), ("x-a", "b\x7f"), ("x a", "b"), ("", "b"), ("x-ä", "b")]
)
def test_an_endpoints_own_headers_are_lines_of_a_head(name: str, value: str) -> None:
    assert why_not_configured(name, value)


@given(st.text(max_size=30))
def test_a_name_that_is_forwarded_or_configured_is_a_name_that_is_not_reserved(name: str) -> None:
    try:
        added = checked_forward(name)
    except IdentityError:
        assert reserved(name) is not None or not is_header_name(name)
    else:
        assert (added, reserved(added)) == (name.lower(), None)
    if not why_not_configured(name, "v"):
        assert reserved(name) not in (Reserved.FRAMING, Reserved.CREDENTIAL)


def test_a_name_that_is_none_is_refused_with_what_to_write() -> None:
    with pytest.raises(IdentityError, match="is not a header name"):
        checked_forward("x team")
