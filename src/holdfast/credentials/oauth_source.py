"""`oauth:NAME`: a sign-in whose tokens expire and are renewed.

Refresh tokens rotate: each may be used once, and a second use ends the sign-in for every holder (RFC 9700
section 4.14). Therefore

- one thread of one process renews at a time, under a lock of the operating system, which is released when its
  process is killed; a process that waited for the lock uses the newer tokens;
- new tokens are on the disk before they are used;
- a refusal counts only if the file still has the refresh token that was refused
  (anomalyco/opencode#49439, anthropics/claude-code#84440)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .._files import locked
from ..core import times
from ..core.errors import ConfigError
from ..core.secret import Secret, redact
from ..distribution import install_command
from ..secrecy.masking import redacted
from .cached_source import OVER, RENEW_AGAIN, Life
from .secrets_file import Grant, SecretsFile
from .sources import RenewalFailed, SignInOver, Unreadable

Refresh = Callable[[str, Secret], tuple[int, bytes]]
"""Renews the sign-in of this name with its refresh token: returns the HTTP status and body of the response;
status 0 and a reason when there is none. Returns within `_LOCK_TIMEOUT` seconds."""

_LOCK_TIMEOUT = 45.0
"""Seconds to wait for another process that renews."""
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 120.0
"""Seconds without a further attempt after a failed renewal; doubled with each failure."""
_LONGEST_LIFE = 10 * 366 * 86_400.0


class OAuthSource:
    """The access token of one sign-in. `ahead` is called when it is time to renew it in the background; it
    should call `renew`."""

    def __init__(
        self,
        name: str,
        file: SecretsFile,
        refresh: Refresh,
        clock: Callable[[], float],
        *,
        ahead: Callable[[], None] = lambda: None,
    ) -> None:
        self._name, self._file, self._refresh, self._clock, self._ahead = name, file, refresh, clock, ahead
        self._lock = file.path.with_name(f"oauth.{name}")
        self._grant: Grant | None = None
        self._unsaved: Grant | None = None
        self._life, self._due = OVER, 0.0
        self._failure, self._paused_until, self._pause = "", 0.0, 0.0

    @property
    def grant_id(self) -> str:
        """The id of the sign-in, or nothing. It stays the same while tokens change; a new sign-in has a new
        one. Evidence about the sign-in is kept by it."""
        if self._grant is None:
            return ""
        return self._grant.id

    def peek(self) -> Secret | None:
        now = self._clock()
        if self._grant is None or not self._life.holds(now):
            return None
        if now >= self._due:
            self._due = now + RENEW_AGAIN
            self._ahead()
        return self._grant.access

    def read(self) -> Secret:
        return self.renew()

    def renew(self) -> Secret:
        """Return a newer access token: one that another process has renewed, else a renewed one. Raises
        Unreadable, and ConfigError when the file cannot be read or locked."""
        with locked(self._lock, _LOCK_TIMEOUT):
            if self._unsaved is not None:
                self._save(self._unsaved)
                if self._life.holds(self._clock()):
                    return self._access_token()
            grant = self._file.grant(self._name)
            if grant is None:
                self._grant = None
                raise SignInOver("not signed in")
            if not _same(grant, self._grant) and self._adopt(grant):
                return self._access_token()
            return self._renewed(grant)

    def note(self) -> str:
        grant = self._grant or self._file.grant(self._name)
        if grant is None or not grant.ended:
            return ""
        return f"the sign-in '{self._name}' is over: {grant.ended}"

    def ends(self) -> float | None:
        """Return when the access token in the file expires (epoch seconds); None where that is unknown."""
        grant = self._file.grant(self._name)
        if grant is None:
            return None
        return grant.expires_at

    def _adopt(self, grant: Grant) -> bool:
        """Use this grant from now on. Return whether its access token may be used for a new request."""
        self._grant, self._life = grant, Life.of(grant.issued_at, grant.expires_at)
        self._due = self._life.due
        return grant.access is not None and self._life.holds(self._clock())

    def _access_token(self) -> Secret:
        """Return the token of the adopted grant. Raises RenewalFailed when it has none."""
        if self._grant is None or self._grant.access is None:
            raise RenewalFailed("the sign-in service gave no token")
        return self._grant.access

    def _renewed(self, grant: Grant) -> Secret:
        """Renew a grant and return its new access token. Raises Unreadable."""
        now = self._clock()
        if grant.ended or grant.refresh is None:
            self._adopt(grant)
            raise SignInOver(grant.ended or "the token expired, and the sign-in gave no refresh token")
        if now < self._paused_until:
            raise RenewalFailed(self._failure, self._paused_until)
        try:
            # A refresh token may be used once: new tokens that cannot be saved would end the sign-in.
            self._file.check_writable()
        except ConfigError as error:
            raise RenewalFailed(f"not attempted, since new tokens could not be saved: {error.what}") from None
        status, body = self._refresh(self._name, grant.refresh)
        token, refusal = understood(body)
        if token is not None:
            self._pause = 0.0
            self._save(renewed_grant(grant, token, self._clock()))
            return self._access_token()
        if refusal == "invalid_grant":
            return self._refused(grant)
        self._failure = f"the sign-in could not be renewed: {_why(grant.refresh, refusal, status, body)}"
        self._pause = min(self._pause * 2 or _FIRST_PAUSE, _LONGEST_PAUSE)
        self._paused_until = now + self._pause
        self._adopt(grant)
        raise RenewalFailed(self._failure, self._paused_until)

    def _refused(self, grant: Grant) -> Secret:
        """End the sign-in, whose refresh token was refused, unless the file has a newer one by now: written
        without our lock or on another machine."""
        current = self._file.grant(self._name)
        if current is not None and not _same(current, grant) and self._adopt(current):
            return self._access_token()
        ended = replace(grant, ended="the sign-in service says that it is over (invalid_grant)")
        self._save(ended)
        raise SignInOver(ended.ended)

    def _save(self, grant: Grant) -> None:
        """Make a grant durable, then use it. A grant that cannot be written is kept for the next attempt and
        not used: another process would renew with the refresh token that is spent."""
        self._unsaved = grant
        try:
            self._file.put_grant(self._name, grant)
        except ConfigError as error:
            raise RenewalFailed(f"the renewed sign-in could not be saved: {error.what}") from None
        self._unsaved = None
        self._adopt(grant)


def _same(grant: Grant, other: Grant | None) -> bool:
    return other is not None and (grant.id, grant.generation) == (other.id, other.generation)


def _why(refresh: Secret, refusal: str, status: int, body: bytes) -> str:
    """Return why a renewal failed: the OAuth error code, else the status, else the reason that no response
    came."""
    code = redacted(refusal, [refresh], limit=60)
    if code:
        return code
    if status:
        return f"HTTP {status}"
    return redact(body.decode(errors="replace"), limit=100)


def understood(body: bytes) -> tuple[dict[str, Any] | None, str]:
    """Return (the token in a response, "") or (None, its OAuth error code or ""). A token that cannot be a
    secret counts as none. Raises Unreadable without the package oauthlib."""
    try:
        from oauthlib.oauth2 import Client, OAuth2Error
    except ImportError:
        command = install_command("oauth")
        raise Unreadable(f"the package 'oauthlib' is not installed; run: {command}") from None
    try:
        token = Client("").parse_request_body_response(body.decode())
    except OAuth2Error as error:
        if error.error == "missing_token":
            return None, ""
        return None, str(error.error or "")
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None, ""
    secrets = [token["access_token"]]
    if token.get("refresh_token"):
        secrets.append(token["refresh_token"])
    if not all(map(_can_be_secret, secrets)):
        return None, ""
    return dict(token), ""


def _can_be_secret(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(Secret(value))
    except ValueError:
        return False


def renewed_grant(before: Grant, token: dict[str, Any], now: float) -> Grant:
    """Return the grant after a renewal. A response without a new refresh token keeps the old one (RFC 6749
    section 6)."""
    refresh, expires_at = before.refresh, None
    if token.get("refresh_token"):
        refresh = Secret(token["refresh_token"])
    seconds = _seconds_left(token.get("expires_in"))
    if seconds is not None:
        expires_at = now + seconds
    return Grant(
        id=before.id,
        generation=before.generation + 1,
        access=Secret(token["access_token"]),
        refresh=refresh,
        issued_at=now,
        expires_at=expires_at,
    )


def _seconds_left(expires_in: object) -> float | None:
    """Return the seconds until a token expires, at most ten years; None where its response does not say."""
    # It may have more digits than a float can hold.
    if isinstance(expires_in, int) and expires_in > _LONGEST_LIFE:
        return _LONGEST_LIFE
    seconds = times.duration(expires_in)
    if seconds is None or seconds <= 0:
        return None
    return min(seconds, _LONGEST_LIFE)
