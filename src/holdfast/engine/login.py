"""Signing in with a device code typed on another device (RFC 8628), or in a browser that is redirected to
this machine (RFC 8252, with PKCE, RFC 7636).

The tokens of a sign-in are stored in secrets.toml and sent only to the sign-in's own token address. oauthlib
builds and reads the messages. Nothing usable is printed, except the code that the user has to type."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ..core.config import SignIn
from ..core.errors import HoldfastError
from ..credentials.grant import Grant, renewed_grant
from ..credentials.token_answers import TokenAnswer, Tokens, Verdict, refusal_in, tokens_in
from ..distribution import install_command
from ..secrecy.masking import redacted
from ..values import times
from ..values.secret import Secret, redact
from .token_service import TokenService

Say = Callable[[str], None]
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_PENDING = ("authorization_pending", "slow_down")
_BROWSER_PATIENCE = 300.0
"""Seconds to wait for the browser."""
_LONGEST_DEVICE = 1800.0
"""Seconds for which a device code is waited for at most, whatever the service allows."""
_SLOWER = 5.0
"""Seconds by which "slow_down" lengthens the pause between two polls (RFC 8628, 3.5)."""
_SHUTDOWN_POLL = 0.05
_PAGE = b"<!doctype html><title>Holdfast</title><p>You can close this page and go back to the terminal."


class NotSignedIn(HoldfastError):
    """A sign-in failed: refused, expired, or not completed in time."""

    exit_code = 4


def by_device(
    service: TokenService,
    say: Say,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Grant:
    """Show a code, and wait until the user has typed it on another device. Raises NotSignedIn."""
    sign_in = service.sign_in
    answer = service.device()
    offer = _object(answer.body)
    if not isinstance(offer.get("device_code"), str) or not isinstance(offer.get("user_code"), str):
        raise _refused(sign_in, answer, sent=service.known())
    address = offer.get("verification_uri") or offer.get("verification_url")  # the latter from Google
    say(f"open {address} and type the code {offer['user_code']}")
    complete = offer.get("verification_uri_complete")
    if isinstance(complete, str):
        say(f"  or open {complete}")
    device = _code(sign_in, offer["device_code"])
    pause = max(1.0, _seconds(offer.get("interval"), default=5.0))
    ends = clock() + min(_seconds(offer.get("expires_in"), default=600.0), _LONGEST_DEVICE)
    # Poll at least once, also when the code expires before the first pause ends.
    wait = min(pause, 0.9 * (ends - clock()))
    while clock() + wait < ends:
        sleep(wait)
        answer = service.tokens({"grant_type": _DEVICE, "device_code": device})
        tokens, refusal = tokens_in(answer), refusal_in(answer)
        if tokens is not None and tokens.access is not None:
            return _granted(tokens, clock())
        if refusal.code == "slow_down":
            pause += _SLOWER
        wait = max(pause, answer.retry_after or 0.0)
        in_trouble = refusal.verdict is Verdict.PASSING and not 0 < answer.status < 400
        if refusal.code not in _PENDING and not in_trouble:
            raise _refused(sign_in, answer, sent=(device, *service.known()))
    raise NotSignedIn(f"sign-in '{sign_in.name}' timed out: no code was entered")


def by_browser(
    service: TokenService,
    say: Say,
    *,
    visit: Callable[[str], object] | None = None,
    account: str | None = None,
    patience: float = _BROWSER_PATIENCE,
) -> Grant:
    """Show the address of the sign-in service, and wait until the browser is redirected from there to a port
    of this machine, for `patience` seconds. `visit` opens the address; `account` is the one to propose to the
    user there. Raises NotSignedIn."""
    try:
        from oauthlib.oauth2 import WebApplicationClient
    except ImportError:
        raise NotSignedIn(
            "a browser needs the package 'oauthlib', which is not installed",
            next_step=install_command("oauth"),
        ) from None

    sign_in = service.sign_in
    client = WebApplicationClient(sign_in.client_id)
    verifier, state = client.create_code_verifier(64), os.urandom(24).hex()
    challenge = client.create_code_challenge(verifier, "S256")
    answer: dict[str, str] = {}
    arrived = threading.Event()
    with _listening(answer, state, arrived) as port:
        back = f"http://127.0.0.1:{port}/callback"
        more = service.target() | ({"login_hint": account} if account else {})
        url = _visited_url(client, sign_in, back, state=state, challenge=challenge, **more)
        say(f"open this address in a browser on this machine:\n  {url}")
        if visit is not None:
            visit(url)
        arrived.wait(patience)
    if "code" not in answer:
        raise _no_code(sign_in, answer)
    code, proof = _code(sign_in, answer["code"]), Secret(verifier)
    fields: dict[str, str | Secret] = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
    given = service.tokens(fields | {"code_verifier": proof})
    tokens = tokens_in(given)
    if tokens is None or tokens.access is None:
        raise _refused(sign_in, given, sent=(code, proof, *service.known()))
    return _granted(tokens, time.time())


def _visited_url(client: Any, sign_in: SignIn, back: str, *, state: str, challenge: str, **more: str) -> str:
    """Return the address to visit. oauthlib refuses http, which our configuration allows on this machine
    only, so it is given the same address with https."""
    address = sign_in.authorize_url
    secure = address.replace("http://", "https://", 1)
    uri: str = client.prepare_request_uri(
        secure,
        redirect_uri=back,
        scope=list(sign_in.scopes) or None,
        state=state,
        code_challenge=challenge,
        code_challenge_method="S256",
        **more,
    )
    return address + uri.removeprefix(secure)


@contextmanager
def _listening(answer: dict[str, str], state: str, arrived: threading.Event) -> Iterator[int]:
    """Open a free port of this machine that takes one redirect which carries our `state`; yield the port.

    The redirect's parameters are put into `answer`, and `arrived` is set. Each client has a thread, so that
    an unfinished request blocks no other."""
    import hmac
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Back(BaseHTTPRequestHandler):
        timeout = 5.0

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            parameters = dict(parse_qsl(address.query))
            ours = address.path == "/callback" and hmac.compare_digest(
                parameters.get("state", "").encode(), state.encode()
            )
            status, page = 404, b""
            if ours:
                status, page = 200, _PAGE
            self.send_response(status)
            self.send_header("content-type", "text/html")
            self.send_header("referrer-policy", "no-referrer")
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(page)
            decided = parameters.get("code") or parameters.get("error")
            if ours and decided and not arrived.is_set():
                answer.update(parameters)
                arrived.set()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Back) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, args=(_SHUTDOWN_POLL,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def _no_code(sign_in: SignIn, answer: Mapping[str, str]) -> NotSignedIn:
    """Return the error of a browser sign-in that gave no code."""
    if answer.get("error"):
        return NotSignedIn(f"sign-in '{sign_in.name}': refused ({redact(answer['error'], limit=100)})")
    return NotSignedIn(f"sign-in '{sign_in.name}' timed out: the browser did not come back")


def _granted(tokens: Tokens, now: float) -> Grant:
    return renewed_grant(Grant(os.urandom(8).hex(), -1), tokens, now)


def _code(sign_in: SignIn, text: str) -> Secret:
    """Return a code that the service sent. Raises NotSignedIn for an invalid one."""
    try:
        return Secret(text)
    except ValueError:
        raise NotSignedIn(f"sign-in '{sign_in.name}': the service sent an invalid code") from None


def _refused(sign_in: SignIn, answer: TokenAnswer, *, sent: Sequence[Secret] = ()) -> NotSignedIn:
    """Return the error of a refused sign-in, without the secrets that were `sent`."""
    values = _object(answer.body)
    reasons = [values.get("error"), values.get("error_description")]
    text = " ".join(reason for reason in reasons if isinstance(reason, str))
    status_text = f"HTTP {answer.status}"
    if not answer.status:
        text = text or answer.body.decode(errors="replace")
        status_text = "no answer"
    text = redacted(text, sent, limit=200)
    what = f"sign-in '{sign_in.name}' was refused ({status_text})"
    if text:
        what += f": “{text}”"
    return NotSignedIn(what)


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`; {} if there is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    return value


def _seconds(value: object, *, default: float) -> float:
    """Return a duration of less than a day in seconds; `default` for anything else."""
    seconds = times.duration(value)
    if seconds is None or not 0 < seconds < 86_400:
        return default
    return seconds
