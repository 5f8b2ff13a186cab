"""Amazee.ai: a trial, which can be asked for once and never again, and the keys of an account (facts:
amazeeio/amazee.ai, its API's source).

A trial takes neither a body nor an idempotency key, counts every attempt against the address (five in an
hour, refused ones too), and costs the service a database: so it is asked for by one request, on somebody's
word, and an unknown outcome is left to its operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import HoldfastError, NotReady
from ..core.identity import is_loopback
from ..core.model_roles import Listed, Listing
from ..core.provisioning_state import Capability, Record
from ..core.secret import Secret
from .base import ProvisionedKey, Question, Tools, document_of, endpoint, key_at, secret_of, text_of
from .litellm import endpoints_of, models_at, root_of
from .model_lists import merged

CONTROL = "https://api.amazee.ai"
_WINDOW = 3600.0


def control_of(record: Record) -> str:
    """The address of the control plane; another one than Amazee's only where the settings say so."""
    return str(record.settings.get("url") or CONTROL)


class _Amazee:
    """What trial and account have in common: the region's LiteLLM proxy, and what is in an answer that grants
    a key."""

    profile = "litellm"

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:  # noqa: ARG002 - the protocol's
        answer = document_of(text)
        return _grant(record, answer.get("key", answer) if isinstance(answer, dict) else answer)

    def models(self, record: Record, tools: Tools) -> Listing:
        """The proxy's own lists; where the key may not see them, what the service says of the region in
        public."""
        listing = models_at(record, tools)
        if listing.kind not in (Listed.FORBIDDEN, Listed.UNSUPPORTED):
            return listing
        return merged(
            [
                listing,
                tools.listing(Question(endpoint(control_of(record), keyless=True), "GET", "/public/models")),
            ]
        )

    def revoke(self, record: Record, tools: Tools) -> bool:  # noqa: ARG002 - there is no way to give a trial back
        return False

    def address(self, record: Record) -> Mapping[str, object]:
        return endpoints_of(record.url)


class AmazeeTrial(_Amazee):
    """Settings: none (`url` only for a control plane of one's own)."""

    kind, capability, window = "amazee", Capability.ONE_SHOT, _WINDOW

    def offer(self, record: Record) -> str:
        where = endpoint(control_of(record)).host
        return (
            f"one trial at {where}: it makes a user, a key with a small budget (about $2) and a database "
            "there, and cannot be asked for again"
        )

    def mint(self, record: Record, tools: Tools) -> Question:  # noqa: ARG002 - nothing of ours is sent
        return Question(
            endpoint(control_of(record), keyless=True), "POST", "/auth/generate-trial-access", seconds=60.0
        )

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:  # noqa: ARG002 - a trial cannot be found again
        raise NotReady(
            "a trial cannot be looked up",
            reason="needs_operator",
            next_step=f"holdfast provision repair {record.name}",
        )


class AmazeeAccount(_Amazee):
    """Settings: `session`, a reference to the token of a sign-in (`sign_in` below); `region`, its id or
    name."""

    kind, capability, window = "amazee-account", Capability.RECONCILABLE, 60.0

    def offer(self, record: Record) -> str:
        region = record.settings.get("region") or "(the only one)"
        return f"one private key of your account at {endpoint(control_of(record)).host}, region {region}"

    def mint(self, record: Record, tools: Tools) -> Question:
        regions = document_of(self._ask(record, tools, "/regions"))
        wanted, active = (
            record.settings.get("region"),
            [one for one in _rows(regions) if one.get("is_active", True)],
        )
        chosen = [one for one in active if not wanted or str(wanted) in (str(one.get("id")), one.get("name"))]
        if len(chosen) != 1:
            names = ", ".join(str(one.get("name")) for one in active)
            raise NotReady(
                f"which region? there are: {names}",
                reason="needs_operator",
                next_step=f"holdfast provision {record.name} --set region=NAME --accept",
            )
        return self._question(
            record, "POST", "/private-ai-keys", {"region_id": chosen[0].get("id"), "name": _name(record)}
        )

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:
        found = [
            one
            for one in _rows(document_of(self._ask(record, tools, "/private-ai-keys")))
            if one.get("name") == _name(record)
        ]
        return _grant(record, found[0]) if found else None

    def _ask(self, record: Record, tools: Tools, path: str) -> bytes:
        reply = tools.ask(self._question(record, "GET", path))
        if reply.status != 200:
            raise NotReady(
                tools.told(reply),
                reason="needs_operator",
                next_step=f"holdfast provision {record.name} --accept   (signs in again)",
            )
        return reply.body

    def _question(self, record: Record, method: str, path: str, body: object = None) -> Question:
        return Question(
            endpoint(control_of(record)),
            method,
            path,
            body,
            key_at(record.name, record.settings["session"]),
            60.0,
        )


def mail_code(record: Record, email: str, tools: Tools) -> None:
    """Let Amazee send a code to this address. Raises NotReady."""
    _keyless(record, tools, "/auth/validate-email", {"email": email})


def sign_in(record: Record, email: str, code: str, tools: Tools) -> Secret:
    """The token of an account, for the code that was mailed. Raises NotReady."""
    answer = document_of(
        _keyless(record, tools, "/auth/sign-in", {"username": email, "verification_code": code})
    )
    return secret_of(text_of(answer, "access_token"))


def _keyless(record: Record, tools: Tools, path: str, body: object) -> bytes:
    reply = tools.ask(Question(endpoint(control_of(record), keyless=True), "POST", path, body))
    if reply.status != 200:
        raise NotReady(
            f"Amazee refused: {tools.told(reply)}",
            reason="refused",
            next_step=f"holdfast provision {record.name} --accept",
        )
    return reply.body


def _grant(record: Record, told: Any) -> ProvisionedKey:
    """A key, and the region's address, which must be as safe as the one that told it."""
    url, secret = root_of(text_of(told, "litellm_api_url")), secret_of(text_of(told, "litellm_token"))
    if url.startswith("http://") and not (is_loopback(url) and is_loopback(control_of(record))):
        raise HoldfastError("the answer sends the key to an address that is not encrypted; it was not used")
    return ProvisionedKey(url, secret)


def _name(record: Record) -> str:
    return f"holdfast-{record.name}-{record.intent}"


def _rows(document: Any) -> list[dict[str, Any]]:
    return [one for one in document if isinstance(one, dict)] if isinstance(document, list) else []
