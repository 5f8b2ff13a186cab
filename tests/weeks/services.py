"""The services that a machine talks to in sixty simulated days. They answer by the true time, whatever the
machine's clock says, have trouble when that is due, and look at every key that arrives."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from holdfast.fake_provider.answers import answer as written
from holdfast.fake_provider.answers import dialect_of
from holdfast.fake_provider.control import LiteLLMPlane
from holdfast.fake_provider.script import Behaviour, SeenRequest

KEY = re.compile(r"canary-([a-z]+)-\d+|sk-[0-9a-f]{64}")
HOMES_OF_KEYS = {
    "access": "corp.example",
    "refresh": "login.example",
    "assertion": "sts.example",
    "workload": "load.example",
    "tool": "tool.example",
    "filed": "file.example",
    "pool": "pool.example",
    "spare": "spare.example",
    "admin": "lite.example",
}
"""The one host to which each kind of key may go; a key that is made by the proxy goes to the proxy."""


class Clock:
    """The machine's clock: `true` is the time of everybody else, `ahead` how many seconds it is wrong."""

    def __init__(self) -> None:
        self.true, self.ahead = 1_800_000_000.0, 0.0

    def __call__(self) -> float:
        return self.true + self.ahead

    def sleep(self, seconds: float) -> None:
        self.true += seconds


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a host until a time, and for how many seconds after that a turn may still be
    refused because of it."""

    kind: str
    until: float
    after: float


class Cut(httpx2.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body


def answered(status: int, body: Any, **headers: str) -> httpx2.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = "text/html" if raw.startswith(b"<") else "application/json"
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers={"content-type": kind, **names}, stream=Cut(raw))


def refusal(status: int, code: str, **headers: str) -> httpx2.Response:
    error = {"message": code, "type": "invalid_request_error", "code": code, "param": None}
    return answered(status, {"error": error}, **headers)


class Services(httpx2.BaseTransport):
    """All hosts. `trouble` is by host; `sent` counts the requests of each."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.trouble = clock, dict[str, Trouble]()
        self.sent: Counter[str] = Counter()
        self.strays: list[str] = []
        self.sign_ins, self.workloads = SignIns(clock), Workloads(clock)
        self.static = {
            "pool.example": {"canary-pool-1", "canary-pool-2"},
            "spare.example": {"canary-spare-1"},
        }
        self.tool, self.filed = Rotating(clock, "tool", 900.0), Rotating(clock, "filed", 3600.0)
        self.proxy = LiteLLMPlane("canary-admin-1")
        self._hosts: dict[str, Callable[[httpx2.Request, str], httpx2.Response]] = {
            "corp.example": self.sign_ins.call,
            "login.example": self.sign_ins.token,
            "sts.example": self.workloads.token,
            "load.example": self.workloads.call,
            "tool.example": self.tool.call,
            "file.example": self.filed.call,
            "pool.example": self._call,
            "spare.example": self._call,
            "lite.example": self._proxied,
        }

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        host, body = request.url.host, request.read().decode()
        self.sent[host] += 1
        self._look_at_keys(request, body)
        trouble = self.trouble.get(host)
        if trouble is not None and self.clock.true < trouble.until:
            troubled = TROUBLES[trouble.kind](self.clock, trouble, request)
            if troubled is not None:
                return troubled
        self.clock.sleep(0.2)
        return self._hosts[host](request, body)

    def _look_at_keys(self, request: httpx2.Request, body: str) -> None:
        text = "\n".join([str(request.url), *request.headers.values(), body])
        for match in KEY.finditer(text):
            home = HOMES_OF_KEYS.get(match[1] or "", "lite.example")
            if request.url.host != home:
                self.strays.append(f"{match[1]} at {request.url.host}")

    def _call(self, request: httpx2.Request, body: str) -> httpx2.Response:
        if bearer(request) not in self.static[request.url.host]:
            return refusal(401, "invalid_api_key")
        return good(body)

    def _proxied(self, request: httpx2.Request, body: str) -> httpx2.Response:
        path = request.url.raw_path.decode()
        asked = json.loads(body or "{}")
        seen = SeenRequest(
            number=self.sent["lite.example"],
            at=self.clock.true,
            method=request.method,
            path=path,
            key=bearer(request),
            model=asked.get("model"),
            dialect=dialect_of(path),
            streams=False,
            headers=dict(request.headers),
            body=body.encode(),
        )
        got: Behaviour = self.proxy(seen)
        return answered(got.status, got.body or written(seen, got), **dict(got.headers))


def bearer(request: httpx2.Request) -> str:
    return str(request.headers.get("authorization", "")).removeprefix("Bearer ")


def good(body: str) -> httpx2.Response:
    model = json.loads(body)["model"]
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    return answered(200, {"id": "1", "object": "chat.completion", "model": model, "choices": [choice]})


class SignIns:
    """A sign-in service whose refresh tokens are good for one use, and the API that its access tokens open.
    `loses` answers are lost after the tokens changed."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.number, self.loses = clock, 0, 0
        self.access: dict[str, float] = {}
        self.refresh, self.spent = "", set[str]()
        self.lost = set[str]()
        self.reused: list[str] = []

    def sign_in(self) -> dict[str, Any]:
        """A new sign-in: what a backup has of one before is refused, and no sign of a mistake."""
        self.spent.clear()
        return self._issue()

    def _issue(self, life: float = 3600.0) -> dict[str, Any]:
        """Another pair of tokens."""
        self.number += 1
        self.access = {token: end for token, end in self.access.items() if end > self.clock.true}
        access, self.refresh = f"canary-access-{self.number}", f"canary-refresh-{self.number}"
        self.access[access] = self.clock.true + life
        return {"access_token": access, "refresh_token": self.refresh, "expires_in": life}

    def token(self, _: httpx2.Request, body: str) -> httpx2.Response:
        asked = dict(parse_qsl(body))["refresh_token"]
        if asked != self.refresh:
            self.reused += {asked} & self.spent - self.lost
            return answered(400, {"error": "invalid_grant"})
        self.spent.add(asked)
        tokens = self._issue()
        if self.loses:
            self.loses -= 1
            self.lost.add(asked)
            raise httpx2.ReadError("cut")
        return answered(200, tokens)

    def call(self, request: httpx2.Request, body: str) -> httpx2.Response:
        if self.access.get(bearer(request), 0.0) <= self.clock.true:
            return refusal(401, "token_expired")
        return good(body)


class Workloads:
    """A token service for assertions, and the API that its tokens open. The platform writes an assertion
    that is good for an hour."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.number = clock, 0
        self.assertions: dict[str, float] = {}
        self.access: dict[str, float] = {}

    def assertion(self) -> str:
        self.number += 1
        text = f"canary-assertion-{self.number}"
        self.assertions = {text: self.clock.true + 3600.0}
        return text

    @property
    def good(self) -> bool:
        return any(end > self.clock.true for end in self.assertions.values())

    def token(self, _: httpx2.Request, body: str) -> httpx2.Response:
        asked = dict(parse_qsl(body))["assertion"]
        if self.assertions.get(asked, 0.0) <= self.clock.true:
            return answered(400, {"error": "invalid_grant"})
        self.number += 1
        access = f"canary-workload-{self.number}"
        self.access = {token: end for token, end in self.access.items() if end > self.clock.true}
        self.access[access] = self.clock.true + 600.0
        return answered(200, {"access_token": access, "expires_in": 600})

    def call(self, request: httpx2.Request, body: str) -> httpx2.Response:
        if self.access.get(bearer(request), 0.0) <= self.clock.true:
            return refusal(401, "invalid_api_key")
        return good(body)


class Rotating:
    """A key that is made anew after `life` seconds; the one before is accepted for a minute more."""

    def __init__(self, clock: Clock, name: str, life: float) -> None:
        self.clock, self.name, self.life, self.number = clock, name, life, 0
        self.ends: dict[str, float] = {}

    def current(self) -> tuple[str, float]:
        """Return the key of now and its end by the true time."""
        now = self.clock.true
        self.ends = {key: end for key, end in self.ends.items() if end + 60.0 > now}
        fresh = [(key, end) for key, end in self.ends.items() if end - 60.0 > now]
        if not fresh:
            self.number += 1
            fresh = [(f"canary-{self.name}-{self.number}", now + self.life)]
            self.ends |= dict(fresh)
        return fresh[-1]

    def call(self, request: httpx2.Request, body: str) -> httpx2.Response:
        if self.ends.get(bearer(request), 0.0) + 60.0 <= self.clock.true:
            return refusal(401, "invalid_api_key")
        return good(body)


Answer = Callable[[Clock, Trouble, httpx2.Request], httpx2.Response | None]


def _down(clock: Clock, _: Trouble, request: httpx2.Request) -> httpx2.Response:
    clock.sleep(0.1)
    raise httpx2.ConnectError("refused", request=request)


def _slow(clock: Clock, _: Trouble, request: httpx2.Request) -> httpx2.Response:
    clock.sleep(20.0)
    raise httpx2.ReadTimeout("nothing", request=request)


def _throttled(clock: Clock, trouble: Trouble, _: httpx2.Request) -> httpx2.Response:
    return refusal(429, "rate_limit_exceeded", retry_after=str(int(trouble.until - clock.true) + 1))


def _says(*answer: Any) -> Answer:
    return lambda clock, trouble, request: answered(*answer)


_PORTAL = b"<html><body>Sign in to the network of this hotel</body></html>"
TROUBLES: dict[str, Answer] = {
    "down": _down,
    "slow": _slow,
    "unavailable": _says(503, {"error": {"message": "overloaded", "type": "server_error"}}),
    "gateway": _says(502, b"<html><title>502 Bad Gateway</title></html>"),
    "throttled": _throttled,
    "refuses": lambda clock, trouble, request: refusal(401, "invalid_api_key"),
    "confused": _says(500, {"error": "invalid_grant"}),
    "firewall": _says(403, b"<html><title>Access denied</title></html>"),
    "portal": _says(200, _PORTAL),
}
"""How a host in trouble answers."""
