"""A sign-in service on loopback whose refresh tokens are good for one use, and the API that its tokens open.
A refresh token that is used twice ends the sign-in for everybody, as RFC 9700 section 4.14.2 wants it."""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

CANARY = "canary-7d41"
_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
SERVED = 200, {"id": "1", "object": "chat.completion", "model": "m", "choices": [_CHOICE]}
EXPIRED = 401, {"error": {"message": "token expired", "code": "token_expired"}}


class JsonHandler(BaseHTTPRequestHandler):
    """Answers with JSON, and writes no log."""

    def tell(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Authority:
    """`life` is how long its tokens say they live (seconds), `thinks` how long it takes for a renewal;
    `pending` polls of a device code are answered with "not yet"; `broken` answers every renewal with 503."""

    def __init__(self, life: float | None = 3600.0, thinks: float = 0.0) -> None:
        self.life, self.thinks, self.pending, self.broken = life, thinks, 1, False
        self.lock = threading.Lock()
        self.number, self.refreshes, self.refused = 0, 0, 0
        self.access, self.refresh, self.alive = "", "", False
        self.served, self.turned_away = 0, 0
        self.posts: list[tuple[str, dict[str, str]]] = []
        self.challenge, self.redirect = "", ""
        self.proofs: list[str] = []
        self.revokes: list[tuple[int, dict[str, Any]]] = []
        """What it answers to revocations, in turn; else 200."""
        self.begun: Callable[[], object] = lambda: None
        """Called when a renewal has come, before it is answered."""
        server = type("Server", (ThreadingHTTPServer,), {"request_queue_size": 512, "daemon_threads": True})
        self.server = server(("127.0.0.1", 0), type("Handler", (_Handler,), {"authority": self}))
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.root = f"http://127.0.0.1:{self.server.server_address[1]}"

    def issue(self) -> dict[str, Any]:
        """Another pair of tokens; those before are dead."""
        self.number += 1
        self.access, self.refresh, self.alive = (
            f"at-{CANARY}-{self.number:04d}",
            f"rt-{CANARY}-{self.number:04d}",
            True,
        )
        answer = {"access_token": self.access, "refresh_token": self.refresh, "token_type": "Bearer"}
        return answer | ({"expires_in": self.life} if self.life is not None else {})

    def token(self, asked: dict[str, str]) -> tuple[int, dict[str, Any]]:
        kind = asked["grant_type"].rpartition(":")[2]
        if kind == "device_code":
            self.pending -= 1
            return (400, {"error": "authorization_pending"}) if self.pending >= 0 else (200, self.issue())
        if kind == "authorization_code":
            proof = urlsafe_b64encode(sha256(asked["code_verifier"].encode()).digest()).rstrip(b"=").decode()
            good = (
                proof == self.challenge
                and asked["redirect_uri"] == self.redirect
                and asked["code"] == f"code-{CANARY}"
            )
            return (200, self.issue()) if good else (400, {"error": "invalid_grant"})
        self.begun()
        time.sleep(self.thinks)
        if self.broken:
            return 503, {}
        with self.lock:
            self.refreshes += 1
            if not self.alive or asked["refresh_token"] != self.refresh:
                self.alive, self.refused = False, self.refused + 1
                return 400, {"error": "invalid_grant", "error_description": "token was used before"}
            return 200, self.issue()

    def config(self, **more: str) -> str:
        """A holdfast.toml whose provider `corp` signs in here."""
        return (
            f'[provider.corp]\nurl = "{self.root}/v1"\nkeys = ["oauth:corp"]\n[signin.corp]\n'
            'client_id = "holdfast-test"\n'
            f'token_url = "{self.root}/token"\ndevice_url = "{self.root}/device"\n'
            f'authorize_url = "{self.root}/authorize"\nscopes = ["chat"]\n'
        ) + "".join(f"{name} = {value}\n" for name, value in more.items())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(JsonHandler):
    authority: Authority
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The page where the user says yes: it leads the browser back."""
        authority, asked = self.authority, dict(parse_qsl(urlsplit(self.path).query))
        assert asked["code_challenge_method"] == "S256"
        authority.challenge, authority.redirect = asked["code_challenge"], asked["redirect_uri"]
        self.send_response(302)
        self.send_header(
            "location",
            f"{asked['redirect_uri']}?{urlencode({'code': f'code-{CANARY}', 'state': asked['state']})}",
        )
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        authority = self.authority
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/chat/completions":
            good = authority.alive and self.headers["authorization"] == f"Bearer {authority.access}"
            with authority.lock:
                authority.served, authority.turned_away = (
                    authority.served + good,
                    authority.turned_away + (not good),
                )
            self.tell(*(SERVED if good else EXPIRED))
            return
        asked = dict(parse_qsl(body.decode()))
        authority.posts.append((self.path, asked))
        authority.proofs.append(self.headers.get("authorization", ""))
        if self.path == "/revoke":
            self.tell(*(authority.revokes.pop(0) if authority.revokes else (200, {})))
            return
        if self.path == "/device":
            self.tell(
                200,
                {
                    "device_code": f"dc-{CANARY}",
                    "user_code": "WDJB-MJHT",
                    "verification_uri": "https://corp.example/device",
                    "interval": 1,
                    "expires_in": 600,
                },
            )
        else:
            self.tell(*authority.token(asked))
