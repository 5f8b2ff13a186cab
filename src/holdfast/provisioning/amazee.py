"""Amazee.ai: a trial, which can be requested once, and the keys of an account (facts: amazeeio/amazee.ai, the
source of its API).

The request for a trial takes neither a body nor an idempotency key. The service counts every attempt from an
IP address (five an hour, refused ones too) and creates a database. So one request is sent, after the user
agreed, and after an unknown outcome the operator decides."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from ..core.errors import HoldfastError, NotReady
from ..core.model_roles import Listed, Listing
from ..core.provisioning_state import Capability, Record
from ..values.addresses import is_loopback
from ..values.secret import Secret
from .base import (
    Fate,
    MalformedAnswer,
    ProvisionedKey,
    Question,
    Tools,
    digest_in_hand,
    document_of,
    endpoint,
    key_at,
    not_given_back,
    secret_of,
    text_of,
)
from .deletions import fate_of
from .litellm import endpoints_of, models_at, root_of
from .model_lists import merged
from .settings import setting

CONTROL = "https://api.amazee.ai"
_WINDOW = 3600.0


def control_of(record: Record) -> str:
    """Return the URL of the control plane: that of the settings, else Amazee's."""
    return str(record.settings.get("url") or CONTROL)


class _Amazee:
    """Common parts of trial and account: the region's LiteLLM proxy, and the response that has a key."""

    profile = "litellm"

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:  # noqa: ARG002
        document = document_of(text)
        if isinstance(document, dict):
            document = document.get("key", document)
        return _provisioned(record, document)

    def models(self, record: Record, tools: Tools) -> Listing:
        """Return the proxy's own lists; where the key may not see them, the service's public list of the
        region's models."""
        listing = models_at(record, tools)
        if listing.kind not in (Listed.FORBIDDEN, Listed.UNSUPPORTED):
            return listing
        question = Question(endpoint(control_of(record), keyless=True), "GET", "/public/models")
        return merged([listing, tools.listing(question)])

    def derived(self, record: Record, tools: Tools) -> Secret | None:  # noqa: ARG002
        return None

    def address(self, record: Record) -> Mapping[str, object]:
        return endpoints_of(record.url)


class AmazeeTrial(_Amazee):
    """A trial. Settings: none (`url` only for another control plane)."""

    kind, capability, window = "amazee", Capability.ONE_SHOT, _WINDOW

    def offer(self, record: Record) -> str:
        host = endpoint(control_of(record)).host
        return (
            f"one trial at {host}: it makes a user, a key with a small budget (about $2) and a database "
            "there, and cannot be asked for again"
        )

    def mint(self, record: Record, tools: Tools) -> Question:  # noqa: ARG002
        return Question(
            endpoint(control_of(record), keyless=True), "POST", "/auth/generate-trial-access", seconds=60.0
        )

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:  # noqa: ARG002
        """Raise NotReady: the service has no request that finds a trial again."""
        raise NotReady(
            "a trial cannot be looked up",
            reason="needs_operator",
            next_step=f"holdfast provision repair {record.name}",
        )

    def revoke(self, record: Record, tools: Tools) -> Fate:  # noqa: ARG002
        """Return that the key is deleted only here: the service has no request for it."""
        if not record.key:
            return Fate.UNKNOWN
        return Fate.ONLY_HERE


class AmazeeAccount(_Amazee):
    """A key of an account. Settings: `session`, a reference to the token of a sign-in (`sign_in` below);
    `region`, its id or name."""

    kind, capability, window = "amazee-account", Capability.RECONCILABLE, 60.0

    def offer(self, record: Record) -> str:
        region = record.settings.get("region") or "(the only one)"
        return f"one private key of your account at {endpoint(control_of(record)).host}, region {region}"

    def mint(self, record: Record, tools: Tools) -> Question:
        region = self._region(record, tools)
        body = {"region_id": region.get("id"), "name": _name(record)}
        return self._question(record, "POST", "/private-ai-keys", body)

    def _region(self, record: Record, tools: Tools) -> dict[str, Any]:
        """Return the active region of the settings, or the only one. Raises NotReady."""
        wanted = record.settings.get("region")
        rows = _rows(document_of(self._ask(record, tools, "/regions")))
        active = [row for row in rows if row.get("is_active", True)]
        chosen = active
        if wanted:
            chosen = [row for row in active if str(wanted) in (str(row.get("id")), row.get("name"))]
        if len(chosen) != 1:
            names = ", ".join(str(row.get("name")) for row in active)
            raise NotReady(
                f"which region? there are: {names}",
                reason="needs_operator",
                next_step=f"holdfast provision {record.name} --set region=NAME --accept",
            )
        return chosen[0]

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:
        for row in _rows(document_of(self._ask(record, tools, "/private-ai-keys"))):
            if row.get("name") == _name(record):
                return _provisioned(record, row)
        return None

    def revoke(self, record: Record, tools: Tools) -> Fate:
        """Delete the key in hand and the one that has the intent's name."""
        if "session" not in record.settings:
            return Fate.ONLY_HERE
        digest = digest_in_hand(record, tools)
        rows = _rows(document_of(self._ask(record, tools, "/private-ai-keys")))
        named = [
            str(row.get("id") or "")
            for row in rows
            if row.get("name") == _name(record) or _digest(row.get("litellm_token")) == digest
        ]
        if not all(named):
            raise not_given_back(record, "the service lists it without an id")
        paths = [f"/private-ai-keys/{quote(number, safe='')}" for number in named]
        questions = [self._question(record, "DELETE", path) for path in paths]
        return fate_of(map(tools.ask, questions), record, tools)

    def _ask(self, record: Record, tools: Tools, path: str) -> bytes:
        reply = tools.ask(self._question(record, "GET", path))
        if reply.status != 200:
            raise NotReady(
                tools.summary(reply),
                reason="needs_operator",
                next_step=f"holdfast provision {record.name} --accept   (signs in again)",
            )
        return reply.body

    def _question(self, record: Record, method: str, path: str, body: object = None) -> Question:
        return Question(
            endpoint=endpoint(control_of(record)),
            method=method,
            path=path,
            body=body,
            key=key_at(record.name, setting(record, "session")),
            seconds=60.0,
        )


def mail_code(record: Record, email: str, tools: Tools) -> None:
    """Make Amazee send a code to this address. Raises NotReady."""
    _keyless(record, tools, "/auth/validate-email", {"email": email})


def sign_in(record: Record, email: str, code: str, tools: Tools) -> Secret:
    """Return the token of an account, for the code that was mailed. Raises NotReady."""
    body = {"username": email, "verification_code": code}
    document = document_of(_keyless(record, tools, "/auth/sign-in", body))
    return secret_of(text_of(document, "access_token"))


def _keyless(record: Record, tools: Tools, path: str, body: object) -> bytes:
    reply = tools.ask(Question(endpoint(control_of(record), keyless=True), "POST", path, body))
    if reply.status != 200:
        raise NotReady(
            f"Amazee refused: {tools.summary(reply)}",
            reason="refused",
            next_step=f"holdfast provision {record.name} --accept",
        )
    return reply.body


def _provisioned(record: Record, document: Any) -> ProvisionedKey:
    """Return the key in a response, and the region's URL. Raises HoldfastError for a URL without TLS, and for
    one on this machine, unless the control plane is here too."""
    url = root_of(text_of(document, "litellm_api_url"))
    secret = secret_of(text_of(document, "litellm_token"))
    if is_loopback(url) and not is_loopback(control_of(record)):
        raise HoldfastError("the response names an address of this machine for the key; it was not used")
    if url.startswith("http://") and not is_loopback(url):
        raise HoldfastError(
            "the response names an address for the key that is not encrypted; it was not used"
        )
    return ProvisionedKey(url, secret)


def _digest(value: object) -> str:
    return sha256(str(value).encode()).hexdigest()


def _name(record: Record) -> str:
    return f"holdfast-{record.name}-{record.intent}"


def _rows(document: Any) -> list[dict[str, Any]]:
    """Return the rows of a list. Raises MalformedAnswer for anything else, which says nothing about them."""
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise MalformedAnswer("the response is not a list")
    return document
