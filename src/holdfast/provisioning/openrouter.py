"""OpenRouter: keys made with a management key (openrouter.ai/docs/api/api-reference/api-keys), and keys of
the user's account, by signing in with PKCE.

A new key is shown once, and can be found by its name later: after an unknown outcome it is deleted before
another is made."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ..core.errors import NotReady
from ..core.faults import Reply
from ..core.model_roles import Listing
from ..core.provisioning_state import Capability, Record
from ..values.secret import Secret
from .base import (
    Fate,
    MalformedAnswer,
    ProvisionedKey,
    Question,
    Tools,
    document_of,
    endpoint,
    is_of_intent,
    key_at,
    key_of,
    not_given_back,
    secret_of,
    text_of,
)
from .deletions import fate_of, says_deleted, says_not_known
from .settings import described_limits, limits_of, setting

API = "https://openrouter.ai/api/v1"
_SITE = "https://openrouter.ai/auth"
_OPTIONS = {"budget": "limit", "budget_period": "limit_reset", "expires_at": "expires_at"}
_MOST_PAGES = 50


def _api(record: Record) -> str:
    return str(record.settings.get("url") or API)


class _OpenRouter:
    """Common parts of both kinds."""

    profile, window = "openrouter", 60.0

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:  # noqa: ARG002
        return ProvisionedKey(_api(record), secret_of(text_of(document_of(text), "key")))

    def models(self, record: Record, tools: Tools) -> Listing:
        return tools.listing(Question(endpoint(record.url), "GET", "/models", key=key_of(record)))

    def derived(self, record: Record, tools: Tools) -> Secret | None:  # noqa: ARG002
        return None

    def address(self, record: Record) -> Mapping[str, object]:
        if record.url == API:
            return {"preset": "openrouter"}
        endpoints = {
            "openai-chat": record.url,
            "openai-responses": record.url,
            "anthropic-messages": record.url.removesuffix("/v1"),
        }
        return {"endpoints": endpoints, "profile": "openrouter"}


class OpenRouterKey(_OpenRouter):
    """A key made with a management key. Settings: `admin`, a reference to it; and limits of the new key
    (`_OPTIONS`)."""

    kind, capability = "openrouter", Capability.RECONCILABLE

    def offer(self, record: Record) -> str:
        limits = described_limits(record, _OPTIONS) or "without a limit of its own: it spends your credits"
        return f"one key at OpenRouter ({limits}), made with {setting(record, 'admin')}"

    def mint(self, record: Record, tools: Tools) -> Question:  # noqa: ARG002
        return self._admin(record, "POST", "/keys", {"name": _name(record), **limits_of(record, _OPTIONS)})

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:
        """Delete the intent's key and return None: a key is never shown twice."""
        for key_hash in self._hashes(record, tools):
            reply = tools.ask(self._admin(record, "DELETE", f"/keys/{quote(key_hash, safe='')}"))
            if not (says_deleted(reply) or says_not_known(reply)):
                raise _unknown(record, tools.summary(reply))
        return None

    def revoke(self, record: Record, tools: Tools) -> Fate:
        """Delete the key in hand, which OpenRouter lists by a label, and those that have the intent's
        name."""
        if "admin" not in record.settings:
            return Fate.ONLY_HERE
        label = ""
        if record.key and not is_of_intent(record):
            label = self._label(record, tools)
        hashes = self._hashes(record, tools, label)
        paths = [f"/keys/{quote(key_hash, safe='')}" for key_hash in hashes]
        questions = [self._admin(record, "DELETE", path) for path in paths]
        return fate_of(map(tools.ask, questions), record, tools)

    def _label(self, record: Record, tools: Tools) -> str:
        """Return the label of the key in hand, "" if OpenRouter does not know the key. Raises NotReady."""
        reply = tools.ask(Question(endpoint(record.url), "GET", "/key", key=key_of(record)))
        if reply.status == 401:
            return ""
        if reply.status != 200:
            raise not_given_back(record, tools.summary(reply))
        return text_of(document_of(reply.body), "data", "label")

    def _hashes(self, record: Record, tools: Tools, label: str = "") -> list[str]:
        """Return the hashes of the keys with the intent's name, and of the one with this label; of two with
        one label none is certain. Raises NotReady."""
        hashes: list[str] = []
        labelled: list[str] = []
        offset = 0
        for _ in range(_MOST_PAGES):
            reply = tools.ask(self._admin(record, "GET", f"/keys?include_disabled=true&offset={offset}"))
            rows = _rows(reply)
            if rows is None:
                raise _unknown(record, tools.summary(reply))
            if not rows:
                break
            hashes += [row["hash"] for row in rows if row.get("name") == _name(record)]
            labelled += [row["hash"] for row in rows if label and row.get("label") == label]
            offset += len(rows)
        else:
            raise _unknown(record, f"more than {_MOST_PAGES} pages")
        if len(labelled) > 1:
            raise not_given_back(record, f"{len(labelled)} keys have its label at OpenRouter")
        return list(dict.fromkeys([*hashes, *labelled]))

    def _admin(self, record: Record, method: str, path: str, body: object = None) -> Question:
        return Question(
            endpoint=endpoint(_api(record)),
            method=method,
            path=path,
            body=body,
            key=key_at(record.name, setting(record, "admin")),
        )


def _rows(reply: Reply) -> list[dict[str, Any]] | None:
    """Return the rows of a page of keys, each with a hash; None for any other response."""
    if reply.status != 200:
        return None
    try:
        document = document_of(reply.body)
    except MalformedAnswer:
        return None
    rows = document.get("data") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        return None
    if not all(isinstance(row, dict) and isinstance(row.get("hash"), str) for row in rows):
        return None
    return rows


class OpenRouterSignIn(_OpenRouter):
    """A key of the user's account. Settings: `code`, which `consent_page` gives to the user; it can be used
    once."""

    kind, capability = "openrouter-signin", Capability.INTERACTIVE

    def offer(self, record: Record) -> str:  # noqa: ARG002
        return (
            "one key of your OpenRouter account, which spends your credits; "
            "you can withdraw it at openrouter.ai/settings/keys"
        )

    def mint(self, record: Record, tools: Tools) -> Question:
        code = record.settings.get("code")
        if not code:
            raise NotReady(
                "the code is missing that signing in gives",
                reason="needs_operator",
                next_step=f"holdfast provision {record.name} --accept",
            )
        body = {"code": code, "code_verifier": _verifier(record, tools), "code_challenge_method": "S256"}
        return Question(endpoint(_api(record), keyless=True), "POST", "/auth/keys", body)

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:  # noqa: ARG002
        """Return None: the user signs in again."""
        return None

    def revoke(self, record: Record, tools: Tools) -> Fate:  # noqa: ARG002
        """Return that the key is deleted only here: its user alone can revoke it."""
        if not record.key:
            return Fate.UNKNOWN
        return Fate.ONLY_HERE


def consent_page(record: Record, callback: str, tools: Tools) -> str:
    """Return the URL where the user agrees. OpenRouter then sends them to `callback` with `?code=…`
    (openrouter.ai/docs/use-cases/oauth-pkce)."""
    digest = hashlib.sha256(_verifier(record, tools).encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    query = {"callback_url": callback, "code_challenge": challenge, "code_challenge_method": "S256"}
    return f"{_SITE}?{urlencode(query)}"


def _verifier(record: Record, tools: Tools) -> str:
    return tools.derive(f"pkce {record.name} {record.settings.get('attempt', '')}")


def _name(record: Record) -> str:
    return f"holdfast-{record.name}-{record.intent}"


def _unknown(record: Record, summary: str) -> NotReady:
    return NotReady(
        f"OpenRouter did not list its keys: {summary}",
        reason="mint_unknown",
        next_step=f"holdfast provision repair {record.name}",
    )
