"""Signing in: a device code typed elsewhere (RFC 8628), or a browser that comes back to this machine (RFC
8252, with PKCE, RFC 7636).

What a sign-in leaves goes into secrets.toml and from there only to the sign-in's own token address. oauthlib
makes and reads the messages; nothing here is printed that could be used by whoever reads it, except the code
that its user is to type."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..config import Home
from ..config import load as load_config
from ..core import times
from ..core.config import SignIn
from ..core.errors import ConfigError, HoldfastError
from ..core.secret import Secret, redact
from ..credentials.oauth_source import Ask, renewed_grant, understood
from ..credentials.secrets_file import Grant

Post = Callable[[str, Mapping[str, str | Secret]], tuple[int, bytes]]
Say = Callable[[str], None]
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_BROWSER_PATIENCE = 300.0
_LONGEST_DEVICE = 1800.0
_SLOWER = 5.0
_GLANCE = 0.05
_PAGE = b"<!doctype html><title>Holdfast</title><p>You can close this page and go back to the terminal."


class NotSignedIn(HoldfastError):
    """A sign-in did not come about: refused, expired, or nobody came."""

    exit_code = 4


def post(url: str, fields: Mapping[str, str | Secret]) -> tuple[int, bytes]:
    """The network's own way; imported when somebody first signs in."""
    from ..calls.token_endpoint import post_form

    return post_form(url, fields)


def renewals(home: Home, send: Post = post) -> Ask:
    """How a vault renews the sign-ins of this home: at the address that its configuration names at this
    moment."""

    def ask(name: str, refresh: Secret) -> tuple[int, bytes]:
        try:
            sign_in = load_config(home).sign_ins.get(name)
        except ConfigError:
            return 0, b"holdfast.toml is wrong: holdfast doctor"
        if sign_in is None:
            return 0, f"holdfast.toml has no [signin.{name}]".encode()
        return send(
            sign_in.token_url,
            {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": sign_in.client_id},
        )

    return ask


def by_device(
    sign_in: SignIn,
    say: Say,
    *,
    send: Post = post,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Grant:
    """Show a code, and wait until its user has typed it on another device. Raises NotSignedIn."""
    fields = {"client_id": sign_in.client_id} | (
        {"scope": " ".join(sign_in.scopes)} if sign_in.scopes else {}
    )
    status, body = send(sign_in.device_url, fields)
    offer = _object(body)
    if not isinstance(offer.get("device_code"), str) or not isinstance(offer.get("user_code"), str):
        raise _refused(sign_in, status, body)
    say(f"open {offer.get('verification_uri')} and type the code {offer['user_code']}")
    if isinstance(complete := offer.get("verification_uri_complete"), str):
        say(f"  or open {complete}")
    device, pause = _code(sign_in, offer["device_code"]), max(1.0, _seconds(offer.get("interval"), 5.0))
    ends = clock() + min(_seconds(offer.get("expires_in"), 600.0), _LONGEST_DEVICE)
    wait = min(
        pause, 0.9 * (ends - clock())
    )  # a code that ends before the first pause does is asked for once all the same
    while clock() + wait < ends:
        sleep(wait)
        status, body = send(
            sign_in.token_url, {"grant_type": _DEVICE, "device_code": device, "client_id": sign_in.client_id}
        )
        token, error = understood(body)
        if token is not None:
            return _granted(token, clock())
        pause += _SLOWER if error == "slow_down" else 0.0
        wait = pause
        if error not in ("authorization_pending", "slow_down") and 0 < status < 500:
            raise _refused(sign_in, status, body, device)
    raise NotSignedIn(f"nobody typed the code in time, so there is no sign-in '{sign_in.name}'")


def by_browser(
    sign_in: SignIn,
    say: Say,
    *,
    send: Post = post,
    visit: Callable[[str], object] | None = None,
    patience: float = _BROWSER_PATIENCE,
) -> Grant:
    """Lead a browser to the sign-in service, and wait for it to come back to a port of this machine. Raises
    NotSignedIn."""
    from oauthlib.oauth2 import WebApplicationClient

    client = WebApplicationClient(sign_in.client_id)
    verifier, state = client.create_code_verifier(64), os.urandom(24).hex()
    challenge = client.create_code_challenge(verifier, "S256")
    came: dict[str, str] = {}
    arrived = threading.Event()
    with _listening(came, state, arrived) as port:
        back = f"http://127.0.0.1:{port}/callback"
        scope = list(sign_in.scopes) or None
        url = _uri(client, sign_in.authorize_url, back, scope, state, challenge)
        say(f"open this address in a browser on this machine:\n  {url}")
        if visit is not None:
            visit(url)
        arrived.wait(patience)
    if "code" not in came:
        why = (
            f"refused ({redact(came['error'], limit=100)})"
            if came.get("error")
            else "nobody came back from it in time"
        )
        raise NotSignedIn(f"sign-in '{sign_in.name}': {why}")
    code, proof = _code(sign_in, came["code"]), Secret(verifier)
    asked: dict[str, str | Secret] = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
    status, body = send(sign_in.token_url, asked | {"client_id": sign_in.client_id, "code_verifier": proof})
    token, _ = understood(body)
    if token is None:
        raise _refused(sign_in, status, body, code, proof)
    return _granted(token, time.time())


def _uri(client: Any, address: str, back: str, scope: list[str] | None, state: str, challenge: str) -> str:
    """The address to visit. oauthlib refuses http, which our own check allows on this machine alone; there
    the words are the same."""
    secure = address.replace("http://", "https://", 1)
    uri: str = client.prepare_request_uri(
        secure, back, scope, state, code_challenge=challenge, code_challenge_method="S256"
    )
    return address + uri.removeprefix(secure)


@contextmanager
def _listening(came: dict[str, str], state: str, arrived: threading.Event) -> Iterator[int]:
    """A free port of this machine where one answer that carries our `state` is taken, and nothing else. Each
    caller has a thread, so that one who never ends a request keeps nobody waiting."""
    import hmac
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Back(BaseHTTPRequestHandler):
        timeout = 5.0

        def do_GET(self) -> None:
            place = urlsplit(self.path)
            told = dict(parse_qsl(place.query))
            ours = place.path == "/callback" and hmac.compare_digest(
                told.get("state", "").encode(), state.encode()
            )
            self.send_response(200 if ours else 404)
            self.send_header("content-type", "text/html")
            self.send_header("referrer-policy", "no-referrer")
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(_PAGE if ours else b"")
            if ours and (told.get("code") or told.get("error")) and not arrived.is_set():
                came.update(told)
                arrived.set()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Back) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, args=(_GLANCE,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def _granted(token: dict[str, Any], now: float) -> Grant:
    return renewed_grant(Grant(os.urandom(8).hex(), -1), token, now)


def _code(sign_in: SignIn, text: str) -> Secret:
    """A code that the service gave. Raises NotSignedIn for what can be none."""
    try:
        return Secret(text)
    except ValueError:
        raise NotSignedIn(f"sign-in '{sign_in.name}': the service gave a code that can be none") from None


def _refused(sign_in: SignIn, status: int, body: bytes, *sent: Secret) -> NotSignedIn:
    told = _object(body)
    words = " ".join(
        str(told[name]) for name in ("error", "error_description") if isinstance(told.get(name), str)
    )
    said = redact(words or ("" if status else body.decode(errors="replace")), sent, limit=200)
    what = f"HTTP {status}" if status else "no answer"
    return NotSignedIn(f"sign-in '{sign_in.name}' was refused ({what})" + (f": “{said}”" if said else ""))


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _seconds(value: object, otherwise: float) -> float:
    seconds = times.duration(value)
    return seconds if seconds is not None and 0 < seconds < 86_400 else otherwise
