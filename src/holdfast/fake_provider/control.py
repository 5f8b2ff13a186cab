"""Control planes that behave as LiteLLM's proxy and Amazee's service do, their faults included: they make
keys, count what they made, and answer calls by the state of the key. Each is the script of a
`ScriptedProvider` (with `models=None`).

    plane = AmazeePlane()
    with ScriptedProvider(plane, models=None) as provider:
        plane.root = provider.root
        plane.spoil("/auth/generate-trial-access", cut_off)        # processed, and the answer is lost

The answers are those of LiteLLM 1.106 as recorded; what Amazee's service checks is read in
amazeeio/amazee.ai."""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..core import times
from .script import Behaviour, SeenRequest, ok, reset, status

Spoiler = Callable[[Behaviour], Behaviour]
_CALLS = ("/chat/completions", "/messages", "/responses")
_SIGNUPS, _SIGNUP_WINDOW = 5, 3600.0


def cut_off(_: Behaviour) -> Behaviour:
    """The question was processed, and the connection is reset instead of an answer."""
    return reset()


def halved(answer: Behaviour) -> Behaviour:
    """The answer ends in its middle, and says that it is whole."""
    body = answer.body or b""
    return replace(answer, body=body[: len(body) // 2])


def slow(seconds: float) -> Spoiler:
    """The answer comes late."""
    return lambda answer: replace(answer, delay=seconds)


def refusing(code: int, body: Any = None) -> Spoiler:
    """Another answer; what was asked for has been done all the same."""
    return lambda _: status(code, body)


@dataclass(slots=True)
class Granted:
    """A key as the proxy keeps it. `routes` None opens all."""

    value: str
    alias: str = ""
    models: tuple[str, ...] = ()
    budget: float | None = None
    spent: float = 0.0
    expires_at: float | None = None
    blocked: bool = False
    routes: tuple[str, ...] | None = None


def _error(code: int, kind: str | None, message: str, *, param: str | None = None) -> Behaviour:
    return status(code, {"error": {"message": message, "type": kind, "param": param, "code": str(code)}})


def _json(seen: SeenRequest) -> dict[str, Any]:
    try:
        asked = json.loads(seen.body)
    except ValueError:
        asked = None
    return asked if isinstance(asked, dict) else {}


class LiteLLMPlane:
    """A LiteLLM proxy: `models` maps each name to what it does, `price` is what a call costs, `minted` counts
    keys ever made."""

    def __init__(self, master: str = "sk-master-of-the-proxy", models: dict[str, str] | None = None) -> None:
        self.master, self.price, self.minted = master, 0.01, 0
        self.models = (
            models
            if models is not None
            else {"claude-sonnet-4-5": "chat", "claude-haiku-4-5": "chat", "titan-embed-2": "embedding"}
        )
        self.keys: dict[str, Granted] = {}
        self.root = ""
        self._spoilt: dict[str, deque[Spoiler]] = defaultdict(deque)
        self._instead: dict[str, deque[Behaviour]] = defaultdict(deque)

    def spoil(self, path: str, *how: Spoiler) -> None:
        """What becomes of the next answers at this path, one each; the question is processed first."""
        self._spoilt[path].extend(how)

    def refuse(self, path: str, *answers: Behaviour) -> None:
        """What is answered instead, one question each; nothing is processed."""
        self._instead[path].extend(answers)

    def __call__(self, seen: SeenRequest) -> Behaviour:
        path = urlsplit(seen.path).path
        if self._instead[path]:
            return self._instead[path].popleft()
        answer = self.answer(seen, path)
        return self._spoilt[path].popleft()(answer) if self._spoilt[path] else answer

    def answer(self, seen: SeenRequest, path: str) -> Behaviour:
        """The honest answer."""
        if path in ("/key/generate", "/key/delete", "/key/info"):
            return self._administer(seen, path)
        key = self._known(seen)
        if isinstance(key, Behaviour):
            return key
        if key.routes is not None and not any(path.endswith(route) for route in key.routes):
            allowed = f"Only allowed to call routes: {list(key.routes)}"
            return status(403, {"detail": f"Virtual key is not allowed to call this route. {allowed}"})
        if path.endswith(_CALLS):
            return self._call(seen, key)
        names = [name for name in self.models if not key.models or name in key.models]
        if path.endswith("/models"):
            return status(
                200,
                {
                    "object": "list",
                    "data": [
                        {"id": name, "object": "model", "created": 1, "owned_by": "openai"} for name in names
                    ],
                },
            )
        if path == "/model/info":
            return status(
                200,
                {
                    "data": [
                        {"model_name": name, "litellm_params": {}, "model_info": {"mode": self.models[name]}}
                        for name in names
                    ]
                },
            )
        return status(404, {"detail": "Not Found"})

    def _known(self, seen: SeenRequest) -> Granted | Behaviour:
        key = Granted(self.master) if seen.key == self.master else self.keys.get(seen.key or "")
        if key is None:
            return _error(
                401,
                "token_not_found_in_db",
                "Authentication Error, Invalid proxy server token passed.",
                param="key",
            )
        if key.expires_at is not None and time.time() >= key.expires_at:
            return _error(401, "expired_key", "Authentication Error - Expired Key.", param="key")
        if key.blocked:
            return _error(
                401,
                "auth_error",
                "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
            )
        return key

    def _call(self, seen: SeenRequest, key: Granted) -> Behaviour:
        called = {"x-litellm-call-id": f"call-{seen.number}", "x-litellm-version": "1.106.2"}
        if key.budget is not None and key.spent >= key.budget:
            return _error(
                422,
                "budget_exceeded",
                f"Budget has been exceeded! Current cost: {key.spent}, Max budget: {key.budget}",
            )
        if key.models and seen.model not in key.models:
            return _error(
                403,
                "key_model_access_denied",
                f"key not allowed to access model. This key can only access models={list(key.models)}.",
                param="model",
            )
        if seen.model not in self.models:
            denied = _error(
                400,
                "invalid_request_error",
                f"/chat/completions: Invalid model name passed in model={seen.model}.",
            )
            return replace(denied, headers=(*denied.headers, *called.items()))
        key.spent += self.price
        return ok(headers=tuple(called.items()))

    def _administer(self, seen: SeenRequest, path: str) -> Behaviour:
        if seen.key != self.master:
            known = self._known(seen)
            return (
                known
                if isinstance(known, Behaviour)
                else _error(
                    401,
                    "auth_error",
                    "Only proxy admin can be used to generate, delete, update info for new keys.",
                )
            )
        asked = _json(seen)
        if path == "/key/delete":
            gone = [
                value
                for value, key in self.keys.items()
                if key.alias in asked.get("key_aliases", []) or value in asked.get("keys", [])
            ]
            for value in gone:
                del self.keys[value]
            return (
                status(200, {"deleted_keys": gone})
                if gone
                else _error(404, "not_found_error", "No keys found")
            )
        if path == "/key/info":
            value = (parse_qs(urlsplit(seen.path).query).get("key") or [""])[0]
            found = self.keys.get(value)
            return (
                status(200, {"key": value, "info": {"spend": found.spent, "max_budget": found.budget}})
                if found
                else _error(404, "not_found_error", "Key not found")
            )
        return self._generate(asked)

    def _generate(self, asked: dict[str, Any]) -> Behaviour:
        value, alias = asked.get("key") or f"sk-made-{self.minted}", asked.get("key_alias", "")
        if any(key.alias == alias for key in self.keys.values() if alias):
            return _error(
                400,
                "bad_request_error",
                f"Key with alias '{alias}' already exists. Unique key aliases across all keys are required.",
                param="key_alias",
            )
        if value not in self.keys:
            self.minted += 1
            lasts = times.duration(asked.get("duration"))
            ends = None if lasts is None else time.time() + lasts
            self.keys[value] = Granted(
                value, alias, tuple(asked.get("models") or ()), asked.get("max_budget"), expires_at=ends
            )
        return status(
            200, {"key": value, "key_alias": alias, "expires": None, "max_budget": asked.get("max_budget")}
        )


class AmazeePlane(LiteLLMPlane):
    """Amazee's service with a region's proxy behind it. A trial takes no body and no idempotency key, and
    every attempt counts against the address, refused ones too. `code` is what the mail says."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.code, self.attempts = "123456", 0
        self.lists_openly = True
        self.value: Callable[[str, int], str] = lambda name, number: (
            f"sk-amazee-{name}-{number:04d}-not-a-real-key"
        )
        """What keys look like here."""
        self._signups: list[float] = []
        self._private: list[dict[str, Any]] = []

    def answer(self, seen: SeenRequest, path: str) -> Behaviour:
        made = {
            "/auth/generate-trial-access": self._trial,
            "/auth/validate-email": self._mail,
            "/auth/sign-in": self._sign_in,
            "/regions": self._regions,
            "/private-ai-keys": self._private_keys,
            "/public/models": self._public,
        }.get(path)
        return made(seen) if made is not None else super().answer(seen, path)

    def _trial(self, _: SeenRequest) -> Behaviour:
        self.attempts += 1
        now = time.time()
        recent = [at for at in self._signups if now - at < _SIGNUP_WINDOW]
        self._signups = [*recent, now]
        if len(recent) >= _SIGNUPS:
            return status(
                429,
                {"detail": "Too many trial accounts were created from your network. Please try again later."},
            )
        key = self._grant("trial", ("/models", "/model/info", *_CALLS))
        told = {
            "id": self.minted,
            "litellm_token": key.value,
            "litellm_api_url": self.root,
            "region": "eu-west-1",
            "database_name": "db",
        }
        return status(
            200,
            {
                "key": told,
                "user": {"email": "trial@example.com"},
                "token": {"access_token": "jwt"},
                "team_id": 1,
                "team_name": "Trial",
            },
        )

    def _grant(self, name: str, routes: tuple[str, ...] | None = None) -> Granted:
        self.minted += 1
        value = self.value(name, self.minted)
        self.keys[value] = Granted(value, name, budget=2.0, routes=routes)
        return self.keys[value]

    def _mail(self, seen: SeenRequest) -> Behaviour:
        return (
            status(200, {"message": "Email validated"})
            if "@" in str(_json(seen).get("email", ""))
            else status(400, {"detail": "Invalid email"})
        )

    def _sign_in(self, seen: SeenRequest) -> Behaviour:
        asked = _json(seen)
        if not asked.get("username") or not asked.get("verification_code"):
            return status(400, {"detail": "Invalid request format"})
        if asked["verification_code"] != self.code:
            return status(401, {"detail": "Incorrect email or verification code"})
        return status(200, {"access_token": "jwt-of-the-account", "token_type": "bearer"})

    def _regions(self, seen: SeenRequest) -> Behaviour:
        regions = [
            {
                "id": 1,
                "name": "eu-west-1",
                "litellm_api_url": self.root,
                "is_active": True,
                "is_dedicated": False,
            }
        ]
        return (
            status(200, regions)
            if seen.key == "jwt-of-the-account"
            else status(401, {"detail": "Could not validate credentials"})
        )

    def _private_keys(self, seen: SeenRequest) -> Behaviour:
        if seen.key != "jwt-of-the-account":
            return status(401, {"detail": "Could not validate credentials"})
        if seen.method == "GET":
            return status(200, self._private)
        asked = _json(seen)
        if not isinstance(asked.get("region_id"), int) or not asked.get("name"):
            return status(422, {"detail": [{"loc": ["body", "name"], "msg": "Field required"}]})
        key = self._grant(str(asked["name"]))
        self._private.append(
            {
                "id": self.minted,
                "name": asked["name"],
                "litellm_token": key.value,
                "litellm_api_url": self.root,
                "region": "eu-west-1",
            }
        )
        return status(200, self._private[-1])

    def _public(self, _: SeenRequest) -> Behaviour:
        return (
            status(200, [{"model": name, "mode": mode} for name, mode in self.models.items()])
            if self.lists_openly
            else status(404, {"detail": "Not Found"})
        )
