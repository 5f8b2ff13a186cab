"""Control planes that behave as LiteLLM's proxy and Amazee's service, with their faults: they make and count
keys, and answer calls by the state of the key. Each is the script of a `ScriptedProvider` (with
`models=None`).

    plane = AmazeePlane()
    with ScriptedProvider(plane, models=None) as provider:
        plane.root = provider.root
        plane.spoil("/auth/generate-trial-access", cut)     # the request is processed, its answer is lost

The answers are recorded ones of LiteLLM 1.106; the checks of Amazee's service are those of
amazeeio/amazee.ai."""

from __future__ import annotations

import json
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..values import times
from .script import Behaviour, SeenRequest, ok, reset, status

Spoiler = Callable[[Behaviour], Behaviour]
_CALLS = ("/chat/completions", "/messages", "/responses")
_SIGNUPS, _SIGNUP_WINDOW = 5, 3600.0


def cut(_: Behaviour) -> Behaviour:
    """Reset the connection instead of answering; the request was processed."""
    return reset()


def halved(answer: Behaviour) -> Behaviour:
    """Cut the body in half, with a matching content-length."""
    body = answer.body or b""
    return replace(answer, body=body[: len(body) // 2])


def slow(seconds: float) -> Spoiler:
    """Delay the answer."""
    return lambda answer: replace(answer, delay=seconds)


def refusing(code: int, body: Any = None) -> Spoiler:
    """Answer with another status; the request was processed all the same."""
    return lambda _: status(code, body)


@dataclass(slots=True)
class Granted:
    """A key as the proxy stores it. `routes` None allows all."""

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


def digest_of(value: str) -> str:
    """Return the SHA-256 of a key, by which a proxy knows it as well."""
    return sha256(value.encode()).hexdigest()


def _json(seen: SeenRequest) -> dict[str, Any]:
    try:
        asked = json.loads(seen.body)
    except ValueError:
        return {}
    if not isinstance(asked, dict):
        return {}
    return asked


class LiteLLMPlane:
    """A LiteLLM proxy. `models` maps each model to its mode, `price` is the cost of a call, `minted` the
    number of keys ever made."""

    def __init__(self, master: str = "sk-master-of-the-proxy", models: dict[str, str] | None = None) -> None:
        self.master, self.price, self.minted = master, 0.01, 0
        if models is None:
            models = {"claude-sonnet-4-5": "chat", "claude-haiku-4-5": "chat", "titan-embed-2": "embedding"}
        self.models = models
        self.keys: dict[str, Granted] = {}
        self.root = ""
        self._spoilt: dict[str, deque[Spoiler]] = defaultdict(deque)
        self._instead: dict[str, deque[Behaviour]] = defaultdict(deque)

    def spoil(self, path: str, *how: Spoiler) -> None:
        """Change the next answers at this path, one each; the requests are processed first."""
        self._spoilt[path].extend(how)

    def refuse(self, path: str, *answers: Behaviour) -> None:
        """Answer the next requests at this path with these, one each; nothing is processed."""
        self._instead[path].extend(answers)

    def __call__(self, seen: SeenRequest) -> Behaviour:
        path = urlsplit(seen.path).path
        if self._instead[path]:
            return self._instead[path].popleft()
        answer = self.answer(seen, path)
        if not self._spoilt[path]:
            return answer
        return self._spoilt[path].popleft()(answer)

    def answer(self, seen: SeenRequest, path: str) -> Behaviour:
        """Process a request, and return the true answer."""
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
        return self._list(path, key)

    def _list(self, path: str, key: Granted) -> Behaviour:
        """List the models of a key, in the form of this path."""
        names = [name for name in self.models if not key.models or name in key.models]
        if path.endswith("/models"):
            models = [{"id": name, "object": "model", "created": 1, "owned_by": "openai"} for name in names]
            return status(200, {"object": "list", "data": models})
        if path == "/model/info":
            details = [
                {"model_name": name, "litellm_params": {}, "model_info": {"mode": self.models[name]}}
                for name in names
            ]
            return status(200, {"data": details})
        return status(404, {"detail": "Not Found"})

    def _known(self, seen: SeenRequest) -> Granted | Behaviour:
        """Return the key of a request, or the answer that refuses it."""
        key = self.keys.get(seen.key or "")
        if seen.key == self.master:
            key = Granted(self.master)
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
        """Answer a request that needs the master key."""
        if seen.key != self.master:
            known = self._known(seen)
            if isinstance(known, Behaviour):
                return known
            message = "Only proxy admin can be used to generate, delete, update info for new keys."
            return _error(401, "auth_error", message)
        asked = _json(seen)
        if path == "/key/delete":
            return self._delete(asked)
        if path == "/key/info":
            value = (parse_qs(urlsplit(seen.path).query).get("key") or [""])[0]
            key = self.keys.get(value)
            if key is None:
                return _error(404, "not_found_error", "Key not found")
            return status(200, {"key": value, "info": {"spend": key.spent, "max_budget": key.budget}})
        return self._generate(asked)

    def _delete(self, asked: dict[str, Any]) -> Behaviour:
        aliases, values = asked.get("key_aliases", []), asked.get("keys", [])
        gone = [
            value
            for value, key in self.keys.items()
            if key.alias in aliases or value in values or digest_of(value) in values
        ]
        for value in gone:
            del self.keys[value]
        if not gone:
            return _error(404, "not_found_error", "No keys found")
        return status(200, {"deleted_keys": gone})

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
            key = Granted(value, alias, tuple(asked.get("models") or ()), asked.get("max_budget"))
            duration = times.duration(asked.get("duration"))
            if duration is not None:
                key.expires_at = time.time() + duration
            self.keys[value] = key
        return status(
            200, {"key": value, "key_alias": alias, "expires": None, "max_budget": asked.get("max_budget")}
        )


class AmazeePlane(LiteLLMPlane):
    """Amazee's service with a region's proxy behind it. A trial takes no body and no idempotency key, and
    every attempt counts against the client's address, also a refused one. `code` is the code in the mail."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.code, self.attempts = "123456", 0
        self.lists_openly = True
        self.value: Callable[[str, int], str] = lambda name, number: (
            f"sk-amazee-{name}-{number:04d}-not-a-real-key"
        )
        """Makes the value of a key from its name and number."""
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
        if seen.method == "DELETE" and path.startswith("/private-ai-keys/"):
            made = self._delete_private
        if made is None:
            return super().answer(seen, path)
        return made(seen)

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
        granted = self._grant("trial", ("/models", "/model/info", *_CALLS))
        key = {
            "id": self.minted,
            "litellm_token": granted.value,
            "litellm_api_url": self.root,
            "region": "eu-west-1",
            "database_name": "db",
        }
        return status(
            200,
            {
                "key": key,
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
        if "@" not in str(_json(seen).get("email", "")):
            return status(400, {"detail": "Invalid email"})
        return status(200, {"message": "Email validated"})

    def _sign_in(self, seen: SeenRequest) -> Behaviour:
        asked = _json(seen)
        if not asked.get("username") or not asked.get("verification_code"):
            return status(400, {"detail": "Invalid request format"})
        if asked["verification_code"] != self.code:
            return status(401, {"detail": "Incorrect email or verification code"})
        return status(200, {"access_token": "jwt-of-the-account", "token_type": "bearer"})

    def _regions(self, seen: SeenRequest) -> Behaviour:
        if seen.key != "jwt-of-the-account":
            return status(401, {"detail": "Could not validate credentials"})
        regions = [
            {
                "id": 1,
                "name": "eu-west-1",
                "litellm_api_url": self.root,
                "is_active": True,
                "is_dedicated": False,
            }
        ]
        return status(200, regions)

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

    def _delete_private(self, seen: SeenRequest) -> Behaviour:
        if seen.key != "jwt-of-the-account":
            return status(401, {"detail": "Could not validate credentials"})
        number = seen.path.rpartition("/")[2]
        named = [row for row in self._private if str(row["id"]) == number]
        for row in named:
            self._private.remove(row)
            self.keys.pop(row["litellm_token"], None)
        if not named:
            return status(404, {"detail": "Private AI Key not found"})
        return status(200, {"message": "Private AI Key deleted successfully"})

    def _public(self, _: SeenRequest) -> Behaviour:
        if not self.lists_openly:
            return status(404, {"detail": "Not Found"})
        return status(200, [{"model": name, "mode": mode} for name, mode in self.models.items()])
