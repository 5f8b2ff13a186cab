"""What token services answer to a refresh token, in each service's own words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.credentials.token_answers import Refusal, TokenAnswer, Tokens, Verdict, refusal_in, tokens_in
from holdfast.values.secret import Secret

OVER, CLIENT, SAID = Verdict.OVER, Verdict.CLIENT, Verdict.SAID
REFUSED, TURNED_AWAY, PASSING = Verdict.REFUSED, Verdict.TURNED_AWAY, Verdict.PASSING


def openai(code: str) -> dict[str, Any]:
    return {
        "error": {"message": "Please sign in.", "type": "invalid_request_error", "param": None, "code": code}
    }


def grant(description: str, **more: Any) -> dict[str, Any]:
    return {"error": "invalid_grant", "error_description": description, **more}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


DEAD: list[tuple[str, int, Any, Refusal]] = [
    ("rfc", 400, {"error": "invalid_grant"}, Refusal(OVER, "invalid_grant")),
    ("rfc, 401", 401, {"error": "invalid_grant"}, Refusal(OVER, "invalid_grant")),
    ("form", 400, b"error=invalid_grant&error_description=expired", Refusal(OVER, "invalid_grant")),
    ("openai, used", 401, openai("refresh_token_reused"), Refusal(OVER, "refresh_token_reused")),
    ("openai, expired", 401, openai("refresh_token_expired"), Refusal(OVER, "refresh_token_expired")),
    ("openai, other", 401, openai("refresh_token_invalidated"), Refusal(OVER, "refresh_token_invalidated")),
    ("github", 200, {"error": "bad_refresh_token"}, Refusal(OVER, "bad_refresh_token")),
    ("github, 400", 400, {"error": "bad_refresh_token"}, Refusal(OVER, "bad_refresh_token")),
    ("github, form", 200, b"error=bad_refresh_token&error_uri=x", Refusal(OVER, "bad_refresh_token")),
    ("google", 400, grant("Token has been expired or revoked."), Refusal(OVER, "invalid_grant")),
    ("google, session", 400, grant("reauth", error_subtype="invalid_rapt"), Refusal(OVER, "invalid_grant")),
    (
        "google, subtype",
        400,
        {"error": "x_y", "error_subtype": "invalid_rapt"},
        Refusal(OVER, "invalid_rapt"),
    ),
    (
        "firebase",
        400,
        {"error": {"code": 400, "message": "TOKEN_EXPIRED", "status": "INVALID_ARGUMENT"}},
        Refusal(OVER, "TOKEN_EXPIRED"),
    ),
    (
        "microsoft, factor",
        400,
        {"error": "interaction_required", "error_description": "AADSTS50076: Due", "error_codes": [50076]},
        Refusal(OVER, "interaction_required"),
    ),
    (
        "microsoft, number",
        400,
        {"error": "access_refused", "error_description": "AADSTS700082: The refresh token has expired"},
        Refusal(OVER, "AADSTS700082"),
    ),
    ("microsoft, suberror", 400, {"error": "x_y", "suberror": "bad_token"}, Refusal(OVER, "bad_token")),
    ("slack", 200, {"ok": False, "error": "invalid_refresh_token"}, Refusal(OVER, "invalid_refresh_token")),
    ("slack, revoked", 200, {"ok": False, "error": "token_revoked"}, Refusal(OVER, "token_revoked")),
    ("auth0", 403, grant("Unknown or invalid refresh token."), Refusal(OVER, "invalid_grant")),
    ("okta", 400, grant("The refresh token is invalid or expired."), Refusal(OVER, "invalid_grant")),
    ("okta, core", 401, {"errorCode": "E0000011", "errorSummary": "Invalid"}, Refusal(OVER, "E0000011")),
    (
        "supabase",
        400,
        {
            "code": 400,
            "error_code": "refresh_token_already_used",
            "msg": "Invalid Refresh Token: Already Used",
        },
        Refusal(OVER, "refresh_token_already_used"),
    ),
    ("supabase, new", 400, {"code": "refresh_token_not_found"}, Refusal(OVER, "refresh_token_not_found")),
    ("cognito", 400, {"__type": "com.a#NotAuthorizedException"}, Refusal(OVER, "NotAuthorizedException")),
    ("hubspot", 400, {"status": "BAD_REFRESH_TOKEN", "message": "no"}, Refusal(OVER, "BAD_REFRESH_TOKEN")),
    ("client", 401, {"error": "invalid_client"}, Refusal(CLIENT, "invalid_client")),
    ("atlassian", 403, {"error": "unauthorized_client"}, Refusal(CLIENT, "unauthorized_client")),
    (
        "github, secret",
        200,
        {"error": "incorrect_client_credentials"},
        Refusal(CLIENT, "incorrect_client_credentials"),
    ),
    (
        "anthropic",
        400,
        anthropic("invalid_request_error", "Refresh token not found or invalid"),
        Refusal(SAID, "invalid_request_error"),
    ),
    (
        "qwen",
        400,
        {"error": "invalid_request", "error_description": "Invalid refresh token"},
        Refusal(SAID, "invalid_request"),
    ),
    ("words only", 400, {"detail": "The refresh token has already been used"}, Refusal(SAID, "")),
    ("several", 400, {"errors": [{"code": "invalid_grant"}]}, Refusal(OVER, "invalid_grant")),
]
"""Refusals of a refresh token, or of the client, as services send them."""

ALIVE: list[tuple[str, int, Any, Refusal]] = [
    ("outage", 500, {"error": "invalid_grant"}, Refusal(PASSING, "invalid_grant")),
    ("outage, openai", 503, openai("refresh_token_reused"), Refusal(PASSING, "refresh_token_reused")),
    ("good status", 200, {"error": "invalid_grant"}, Refusal(PASSING, "invalid_grant")),
    ("limited", 429, {"error": "invalid_grant"}, Refusal(PASSING, "invalid_grant")),
    (
        "limited, anthropic",
        400,
        anthropic("rate_limit_error", "slow down"),
        Refusal(PASSING, "rate_limit_error"),
    ),
    (
        "limited, supabase",
        403,
        {"code": "over_request_rate_limit"},
        Refusal(PASSING, "over_request_rate_limit"),
    ),
    (
        "microsoft, circle",
        400,
        grant("AADSTS50196: a client request loop", error_codes=[50196]),
        Refusal(PASSING, "AADSTS50196"),
    ),
    ("slack, limited", 200, {"ok": False, "error": "ratelimited"}, Refusal(PASSING, "ratelimited")),
    ("not now", 400, {"error": "temporarily_unavailable"}, Refusal(PASSING, "temporarily_unavailable")),
    ("portal", 200, b"<html>log in again</html>", Refusal(PASSING, "")),
    ("proxy", 407, b"refresh token expired", Refusal(PASSING, "")),
    ("timeout", 408, b"", Refusal(PASSING, "")),
    ("none", 0, b"ConnectError", Refusal(PASSING, "")),
    ("redirect", 302, {"error": "invalid_grant"}, Refusal(PASSING, "invalid_grant")),
    ("unknown", 400, {"error": "no_such_thing"}, Refusal(REFUSED, "no_such_thing")),
    ("bare", 403, b"", Refusal(TURNED_AWAY, "")),
    ("page", 404, b"<html>error=nothing here</html>", Refusal(TURNED_AWAY, "")),
    ("no object", 400, b"[1, 2]", Refusal(TURNED_AWAY, "")),
    ("deep", 400, b"[" * 50_000, Refusal(TURNED_AWAY, "")),
]
"""Answers that end no sign-in by themselves."""


def answered(status: int, body: Any) -> TokenAnswer:
    return TokenAnswer(status, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize("table", [DEAD, ALIVE], ids=["dead", "alive"])
def test_each_service_says_in_its_own_words_whether_a_sign_in_is_over(
    table: list[tuple[str, int, Any, Refusal]],
) -> None:
    wrong = {
        name: refusal_in(answered(status, body))
        for name, status, body, expected in table
        if refusal_in(answered(status, body)) != expected or tokens_in(answered(status, body)) is not None
    }
    assert wrong == {}


LIVES: list[tuple[str, float | None]] = [
    ("600", 600.0),
    ('"600"', 600.0),
    ("600.0", 600.0),
    ('"1h"', 3_600.0),
    ('"3600 seconds"', 3_600.0),
    ("0", None),
    ("-1", None),
    ("true", None),
    ("null", None),
    ("NaN", None),
    ('"NaN"', None),
    ('"soon"', None),
    ("{}", None),
    ("[600]", None),
    ("1e400", 316_224_000.0),
    ("9" * 5_000, 316_224_000.0),
    ("-Infinity", None),
]


def test_no_odd_life_of_a_token_drops_the_tokens_beside_it() -> None:
    wrong = {}
    for written, lives in LIVES:
        body = f'{{"access_token": "at-1", "refresh_token": "rt-1", "expires_in": {written}}}'.encode()
        given = tokens_in(TokenAnswer(200, body))
        if given != Tokens(Secret("at-1"), Secret("rt-1"), lives):
            wrong[written[:20]] = given
    assert wrong == {}


@pytest.mark.parametrize(
    ("body", "access", "refresh"),
    [
        (b'{"access_token": "two\\nlines", "refresh_token": "rt-1"}', None, "rt-1"),
        (b'{"access_token": null, "refresh_token": "rt-1"}', None, "rt-1"),
        (b'{"refresh_token": "rt-1", "error": "odd"}', None, "rt-1"),
        (b'{"access_token": "at-1", "refresh_token": 5}', "at-1", None),
        (b'{"access_token": "at-1", "scope": "\xff"}', "at-1", None),
        (b'\xef\xbb\xbf{"Access_Token": "at-1", "Refresh_Token": "rt-1"}', "at-1", "rt-1"),
        (b"access_token=at-1&refresh_token=rt-1&expires_in=600", "at-1", "rt-1"),
        (b'{"accessToken": "at-1", "refreshToken": "rt-1", "expiresIn": 600}', "at-1", "rt-1"),
        (b'{"code": 0, "data": {"access_token": "at-1", "refresh_token": "rt-1"}}', "at-1", "rt-1"),
        (b'{"ok": true, "authed_user": {"access_token": "at-1", "refresh_token": "rt-1"}}', "at-1", "rt-1"),
        (b'{"access_token": "at-1", "data": {"access_token": "of-another"}}', "at-1", None),
        (b')]}\'\n{"access_token": "at-1", "refresh_token": "rt-1"}', "at-1", "rt-1"),
        (b'{"access_token": "at-1", "refresh_token": "rt-1"}\n<!-- 3 ms -->', "at-1", "rt-1"),
    ],
)
def test_each_token_that_can_be_sent_is_taken_whatever_the_other_is(
    body: bytes, access: str | None, refresh: str | None
) -> None:
    given = tokens_in(TokenAnswer(200, body))
    assert given is not None
    assert (given.access, given.refresh) == (
        Secret(access) if access else None,
        Secret(refresh) if refresh else None,
    )


def test_a_bad_status_brings_no_token_even_if_it_repeats_one() -> None:
    assert tokens_in(answered(400, {"error": "invalid_grant", "refresh_token": "rt-0"})) is None
