"""A control plane that behaves as OpenRouter's: keys made by a management key and shown once, and the
exchange of a sign-in's code.

The shapes are those of openrouter.ai/docs (api-keys, oauth-pkce)."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .control import Granted, LiteLLMPlane
from .script import Behaviour, SeenRequest, ok, status


class RouterPlane(LiteLLMPlane):
    """OpenRouter's control plane. `master` is the management key, `challenge` the one that the user's browser
    sent to the consent page; `disabled` has the hashes of keys that were switched off, which are listed on
    request."""

    def __init__(self) -> None:
        super().__init__("sk-or-management", {"anthropic/claude-sonnet-4.5": "", "openai/gpt-5": ""})
        self.named: dict[str, str] = {}
        self.disabled: set[str] = set()
        self.code, self.challenge = "the-code", ""

    def answer(self, seen: SeenRequest, path: str) -> Behaviour:
        if path == "/api/v1/auth/keys":
            return self._exchange(seen)
        if path.startswith("/api/v1/keys"):
            return self._manage(seen, path)
        if seen.key not in self.keys:
            return status(401, {"error": {"code": 401, "message": "User not found."}})
        if path == "/api/v1/key":
            return status(200, {"data": {"label": _label(seen.key or "")}})
        if path == "/api/v1/models":
            return status(200, {"data": [{"id": name} for name in self.models]})
        if path.endswith("/chat/completions"):
            return ok()
        return status(404, {"error": {"code": 404, "message": "Not found"}})

    def _exchange(self, seen: SeenRequest) -> Behaviour:
        """Exchange a sign-in's code for a key (RFC 7636)."""
        asked = json.loads(seen.body)
        digest = hashlib.sha256(asked["code_verifier"].encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked["code"] != self.code or proof != self.challenge:
            return status(403, {"error": {"code": 403, "message": "Invalid code or code_verifier"}})
        self.code = ""
        return status(200, {"key": self._made("user").value, "user_id": "user_1"})

    def _manage(self, seen: SeenRequest, path: str) -> Behaviour:
        if seen.key != self.master:
            return status(401, {"error": {"code": 401, "message": "Invalid management key"}})
        if seen.method == "GET":
            query = parse_qs(urlsplit(seen.path).query)
            offset, hidden = int(query.get("offset", ["0"])[0]), self.disabled
            if query.get("include_disabled") == ["true"]:
                hidden = set()
            labels = {key.alias: _label(key.value) for key in self.keys.values()}
            rows: list[dict[str, Any]] = [
                {"hash": made, "name": name, "label": labels.get(made, "")}
                for made, name in self.named.items()
                if made not in hidden
            ]
            return status(200, {"data": rows[offset : offset + 1]})
        if seen.method == "DELETE":
            made = path.rpartition("/")[2]
            self.keys = {value: key for value, key in self.keys.items() if key.alias != made}
            return status(200, {"deleted": self.named.pop(made, None) is not None})
        key = self._made(f"hash-{self.minted + 1}")
        self.named[key.alias] = json.loads(seen.body)["name"]
        return status(201, {"data": {"hash": key.alias, "name": self.named[key.alias]}, "key": key.value})

    def _made(self, alias: str) -> Granted:
        self.minted += 1
        key = Granted(f"sk-or-made-{self.minted:04d}-not-a-real-key", alias)
        self.keys[key.value] = key
        return key


def _label(value: str) -> str:
    """Return how a key is shown in lists."""
    return f"{value[:16]}...{value[-3:]}"
