"""Sign-ins of programs: how an assertion, the token by which a workload proves who it is, is exchanged for an
access token (RFC 7523, RFC 8693). Each kind is a shape of the request and nothing more: the address is always
the user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.config import SignIn, near

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
}


class AssertionKind(NamedTuple):
    """A shape of the request: the member that holds the assertion, those that are always sent, those that the
    user must give, and whether it is JSON instead of a form."""

    member: str
    always: Mapping[str, str]
    needs: tuple[str, ...] = ()
    as_json: bool = False


KINDS: dict[str, AssertionKind] = {
    # RFC 7523 section 2.1
    "jwt-bearer": AssertionKind("assertion", {"grant_type": _JWT_BEARER}),
    # RFC 8693 section 2.1
    "token-exchange": AssertionKind("subject_token", _EXCHANGE),
    # platform.claude.com/docs/en/manage-claude/wif-reference
    "anthropic": AssertionKind(
        "assertion",
        {"grant_type": _JWT_BEARER},
        needs=("federation_rule_id", "organization_id", "service_account_id"),
        as_json=True,
    ),
    # cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
    "google": AssertionKind(
        "subject_token",
        {**_EXCHANGE, "scope": "https://www.googleapis.com/auth/cloud-platform"},
        needs=("audience",),
    ),
    # learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
    "azure": AssertionKind(
        "client_assertion",
        {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        },
        needs=("client_id", "scope"),
    ),
}


def members_of(sign_in: SignIn) -> dict[str, str]:
    """Return what is sent beside the assertion of a sign-in that has one."""
    ours = {
        "client_id": sign_in.client_id,
        "scope": " ".join(sign_in.scopes),
        "audience": sign_in.audience,
        "resource": sign_in.resource,
    }
    given = {name: value for name, value in ours.items() if value}
    return {**KINDS[sign_in.kind].always, **given, **dict(sign_in.fields)}


def lacks(sign_in: SignIn) -> str:
    """Return the first member that the user must give and did not, "" where none is missing."""
    if not sign_in.assertion:
        return ""
    members = members_of(sign_in)
    return next((name for name in KINDS[sign_in.kind].needs if name not in members), "")


def why_not(scheme: str, name: str, sign_ins: Mapping[str, SignIn | None]) -> tuple[str, str] | None:
    """Return why a key of this scheme cannot be had from the sign-in `name`, and how to correct it; None if
    it can."""
    if scheme not in ("oauth", "wif"):
        return None
    if name not in sign_ins:
        return f"there is no table [signin.{name}]", near(name, sign_ins)
    sign_in: Any = sign_ins[name]
    if sign_in is None or bool(sign_in.assertion) is (scheme == "wif"):
        return None
    if scheme == "oauth":
        return f"[signin.{name}] has an assertion: nobody signs in there", f'write "wif:{name}"'
    return f"[signin.{name}] has no assertion", f'write "oauth:{name}"'
