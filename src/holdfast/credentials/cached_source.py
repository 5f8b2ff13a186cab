"""Secrets that end: what a program, a keyring or the calling program hands out, and how long it may be kept.

A token is renewed a little before its end, so that none dies on the way to the provider, and if it can be,
beforehand and beside the requests. What is printed or returned is never part of a message."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from math import inf
from typing import Any, NamedTuple

from ..core import times
from ..core.secret import Secret, redact
from ..distribution import install_command
from .sources import LONGEST, Run, Unread, secret_of

DEFAULT_CACHE = 300.0
_PATIENCE = 10.0
_EARLY = 30.0
_AHEAD = 120.0
_AGAIN = 15.0
_CLOCK_SLACK = 60.0

Fetch = Callable[[], tuple[str, float | None]]
"""Gets a key anew: its value, and when it ends (epoch seconds; None: it does not say). Raises Unread."""


class Life(NamedTuple):
    """When a token is to be renewed ahead (`due`), may no longer be taken for a new request (`until`), and is
    over (`ends`)."""

    since: float
    due: float
    until: float
    ends: float

    @classmethod
    def of(cls, since: float, ends: float | None) -> Life:
        """The life of a token that was handed out at `since`. One that does not say when it ends lives until
        it is refused."""
        if ends is None:
            return cls(since, inf, inf, inf)
        span = ends - since
        return cls(since, ends - min(_AHEAD, span * 0.75), ends - min(_EARLY, span / 2), ends)

    def holds(self, now: float) -> bool:
        """Whether a new request may take it. A clock that was set back ends it: nobody knows how long it
        lives then."""
        return self.since - _CLOCK_SLACK <= now < self.until


OVER = Life(0.0, 0.0, 0.0, 0.0)


class TimedSource:
    """A secret that is dear to get and is kept until it ends: `cmd:`, `keyring:` and `call:`. `ahead` is
    called when it is time to renew it beside the requests, at most every 15 s, and leads to `renew`."""

    def __init__(
        self, fetch: Fetch, clock: Callable[[], float], ahead: Callable[[], None] = lambda: None
    ) -> None:
        self._fetch, self._clock, self._ahead = fetch, clock, ahead
        self._life, self._due = OVER, 0.0
        self._secret: Secret | None = None

    def peek(self) -> Secret | None:
        now = self._clock()
        if self._secret is None or not self._life.holds(now):
            return None
        if now >= self._due:
            self._due = now + _AGAIN
            self._ahead()
        return self._secret

    def read(self) -> Secret:
        self._secret = None
        return self.renew()

    def renew(self) -> Secret:
        """Get a new secret; the old one stays in hand when that fails. Raises Unread."""
        text, ends = self._fetch()
        secret, now = secret_of(text), self._clock()
        if ends is not None and ends <= now:
            raise Unread("the key it gave has expired already")
        self._life = Life.of(now, ends) if ends is not None else Life(now, inf, now + DEFAULT_CACHE, inf)
        self._secret, self._due = secret, self._life.due
        return secret

    def note(self) -> str:
        return ""

    def ends(self) -> float | None:
        """When the secret in hand ends; None when there is none or nobody knows."""
        return self._life.ends if self._secret is not None and self._life.ends < inf else None


def command_output(command: str, run: Run, clock: Callable[[], float]) -> tuple[str, float | None]:
    """What a `cmd:` prints: a bare key, or JSON that `issued` understands."""
    import shlex

    try:
        argv = shlex.split(command)
        code, out, err = run([os.path.expanduser(argv[0]), *argv[1:]], _PATIENCE)
    except (ValueError, IndexError):
        raise Unread("not a command line: a quote is not closed, or there is no program") from None
    except TimeoutError:
        raise Unread(f"gave no answer within {_PATIENCE:.0f} s") from None
    except OSError as error:
        raise Unread(f"could not be started: {error.strerror or type(error).__name__}") from None
    if len(out) > LONGEST:
        raise Unread(f"printed more than {LONGEST} bytes")
    if code != 0:
        first = next((line for line in err.decode(errors="replace").splitlines() if line.strip()), "")
        raise Unread(f"exit code {code}" + (f": {redact(first.strip(), limit=200)}" if first else ""))
    text = out.decode(errors="replace").strip()
    if not text:
        raise Unread("printed nothing")
    return issued(_decoded(text), clock()) if text.startswith("{") else (text, None)


def _decoded(text: str) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        raise Unread("printed something that looks like JSON and is not") from None
    return answer


# How programs name what they hand out. `status` is the envelope of client-go's ExecCredential, `credential`
# that of gcloud's helper.
_VALUES = ("token", "access_token", "accessToken", "key", "api_key", "apiKey")
_ENDS = (
    "expires_at",
    "expiresAt",
    "expires_on",
    "expirationTimestamp",
    "expiration",
    "expiry",
    "token_expiry",
)
_ENVELOPES = ("status", "credential")


def issued(answer: Mapping[str, Any], now: float) -> tuple[str, float | None]:
    """The key in a JSON object, and when it ends: `expires_in` seconds from now, or a moment. Raises
    Unread."""
    inner: Mapping[str, Any] = next(
        (answer[name] for name in _ENVELOPES if isinstance(answer.get(name), dict)), {}
    )
    answer = {**inner, **answer}
    value = next((answer[name] for name in _VALUES if isinstance(answer.get(name), str)), None)
    if value is None:
        raise Unread("printed JSON without a string 'token', 'key' or 'api_key'")
    if answer.get("expires_in") is not None:
        return value, now + _known(times.duration(answer["expires_in"]))
    moment = next((answer[name] for name in _ENDS if answer.get(name) is not None), None)
    return value, None if moment is None else _known(times.moment(moment))


def _known(seconds: float | None) -> float:
    if seconds is None:
        raise Unread("printed an expiry that is neither a number of seconds nor an ISO 8601 time")
    return seconds


def from_keyring(place: str, load: Callable[[], Any]) -> tuple[str, float | None]:
    """What the system's keyring holds for `service/user`."""
    service, _, user = place.partition("/")
    try:
        keyring = load()
    except ImportError:
        raise Unread(f"the package 'keyring' is not installed; run: {install_command('keyring')}") from None
    try:
        text = keyring.get_password(service, user)
    except Exception as error:  # a backend may raise anything, and its words may hold anything
        raise Unread(f"the keyring refused: {type(error).__name__}") from None
    if text is None:
        raise Unread(f"no entry: keyring set {service} {user}")
    return str(text), None


def load_keyring() -> Any:
    """The keyring package, imported when a reference first asks for it."""
    import keyring

    return keyring
