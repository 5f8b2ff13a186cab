"""OpenRouter: keys made with a management key (openrouter.ai/docs/api/api-reference/api-keys), and the user's
own by signing in with PKCE.

A made key is shown once, and can be found by its name afterwards: one of unknown outcome is deleted before
another is made."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from urllib.parse import urlencode

from ..core.errors import NotReady
from ..core.model_roles import Listing
from ..core.provisioning_state import Capability, Record
from .base import ProvisionedKey, Question, Tools, document_of, endpoint, key_at, key_of, secret_of, text_of

API = "https://openrouter.ai/api/v1"
_SITE = "https://openrouter.ai/auth"
_OPTIONS = {"budget": "limit", "budget_period": "limit_reset", "expires_at": "expires_at"}
_MOST_PAGES = 50


def _api(record: Record) -> str:
    return str(record.settings.get("url") or API)


class _OpenRouter:
    profile, window = "openrouter", 60.0

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:  # noqa: ARG002 - the protocol's
        answer = document_of(text)
        return ProvisionedKey(_api(record), secret_of(text_of(answer, "key")))

    def models(self, record: Record, tools: Tools) -> Listing:
        return tools.listing(Question(endpoint(record.url), "GET", "/models", key=key_of(record)))

    def address(self, record: Record) -> Mapping[str, object]:
        spoken = {
            "openai-chat": record.url,
            "openai-responses": record.url,
            "anthropic-messages": record.url.removesuffix("/v1"),
        }
        return (
            {"preset": "openrouter"} if record.url == API else {"endpoints": spoken, "profile": "openrouter"}
        )


class OpenRouterKey(_OpenRouter):
    """Settings: `admin`, a reference to a management key; of `_OPTIONS` what the new key is limited to."""

    kind, capability = "openrouter", Capability.RECONCILABLE

    def offer(self, record: Record) -> str:
        limits = ", ".join(
            f"{name} {record.settings[name]}" for name in _OPTIONS if record.settings.get(name)
        )
        limits = limits or "without a limit of its own: it spends your credits"
        return f"one key at OpenRouter ({limits}), made with {record.settings['admin']}"

    def mint(self, record: Record, tools: Tools) -> Question:  # noqa: ARG002 - the protocol's
        limits = {
            theirs: record.settings[ours] for ours, theirs in _OPTIONS.items() if record.settings.get(ours)
        }
        return self._admin(record, "POST", "/keys", {"name": _name(record), **limits})

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:
        """A key is never shown twice, so what was made and lost is deleted."""
        for found in self._named(record, tools):
            reply = tools.ask(self._admin(record, "DELETE", f"/keys/{found}"))
            if reply.status not in (200, 204, 404):
                raise _unknown(record, tools.told(reply))
        return None

    def revoke(self, record: Record, tools: Tools) -> bool:
        return all(
            tools.ask(self._admin(record, "DELETE", f"/keys/{found}")).status in (200, 204, 404)
            for found in self._named(record, tools)
        )

    def _named(self, record: Record, tools: Tools) -> list[str]:
        """The hashes of the keys that carry the intent's name. Raises NotReady."""
        found: list[str] = []
        offset = 0
        for _ in range(_MOST_PAGES):
            reply = tools.ask(self._admin(record, "GET", f"/keys?offset={offset}"))
            try:
                rows = json.loads(reply.body)["data"] if reply.status == 200 else None
            except (ValueError, KeyError, TypeError):
                rows = None
            if not isinstance(rows, list):
                raise _unknown(record, tools.told(reply))
            found += [
                str(one["hash"])
                for one in rows
                if isinstance(one, dict) and one.get("name") == _name(record) and one.get("hash")
            ]
            if not rows:
                return found
            offset += len(rows)
        return found

    def _admin(self, record: Record, method: str, path: str, body: object = None) -> Question:
        return Question(
            endpoint(_api(record)), method, path, body, key_at(record.name, record.settings["admin"])
        )


class OpenRouterSignIn(_OpenRouter):
    """Settings: `code`, what the user brings back from `consent_page`. Each code serves once."""

    kind, capability = "openrouter-signin", Capability.INTERACTIVE

    def offer(self, record: Record) -> str:  # noqa: ARG002 - the protocol's
        return (
            "one key of your OpenRouter account, which spends your credits; "
            "you can withdraw it at openrouter.ai/settings/keys"
        )

    def mint(self, record: Record, tools: Tools) -> Question:
        code = record.settings.get("code")
        if not code:
            raise NotReady(
                "signing in gives a code, which is missing",
                reason="needs_operator",
                next_step=f"holdfast provision {record.name} --accept",
            )
        body = {"code": code, "code_verifier": _verifier(record, tools), "code_challenge_method": "S256"}
        return Question(endpoint(_api(record), keyless=True), "POST", "/auth/keys", body)

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:  # noqa: ARG002 - the user signs in again
        return None

    def revoke(self, record: Record, tools: Tools) -> bool:  # noqa: ARG002 - only the user can
        return False


def consent_page(record: Record, callback: str, tools: Tools) -> str:
    """Where the user agrees; OpenRouter sends them to `callback` with `?code=…`
    (openrouter.ai/docs/use-cases/oauth-pkce)."""
    challenge = (
        base64.urlsafe_b64encode(hashlib.sha256(_verifier(record, tools).encode()).digest())
        .rstrip(b"=")
        .decode()
    )
    query = {"callback_url": callback, "code_challenge": challenge, "code_challenge_method": "S256"}
    return f"{_SITE}?{urlencode(query)}"


def _verifier(record: Record, tools: Tools) -> str:
    return tools.derive(f"pkce {record.name} {record.settings.get('attempt', '')}")


def _name(record: Record) -> str:
    return f"holdfast-{record.name}-{record.intent}"


def _unknown(record: Record, told: str) -> NotReady:
    return NotReady(
        f"OpenRouter did not say which keys there are: {told}",
        reason="mint_unknown",
        next_step=f"holdfast provision repair {record.name}",
    )
