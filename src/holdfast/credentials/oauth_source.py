"""`oauth:NAME`: a sign-in whose tokens end and are renewed.

The tokens that renew rotate: each may be used once, and a second use ends the sign-in for everybody (RFC 9700
section 4.14). So one thread of one process renews at a time, under a lock of the operating system that a
killed process gives back; whoever waited for it takes over the newer generation; what came is on the disk
before it is used; and a refusal counts only if the file still holds what was refused
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
from .cached_source import OVER, Life
from .secrets_file import Grant, SecretsFile
from .sources import Ended, NotRenewed, Unread

Ask = Callable[[str, Secret], tuple[int, bytes]]
"""Renews the sign-in of this name with this token: the HTTP status and body of the answer; status 0 and a
reason when none came. It ends within `_PATIENCE` seconds."""

_PATIENCE = 45.0
_AGAIN = 15.0
_FIRST_REST, _LONGEST_REST = 2.0, 120.0
_LONGEST_LIFE = 10 * 366 * 86_400.0


class GrantSource:
    """The token of one sign-in. `ahead` is called when it is time to renew it beside the requests, and leads
    to `renew`."""

    def __init__(
        self,
        name: str,
        file: SecretsFile,
        ask: Ask,
        clock: Callable[[], float],
        ahead: Callable[[], None] = lambda: None,
    ) -> None:
        self._name, self._file, self._ask, self._clock, self._ahead = name, file, ask, clock, ahead
        self._lock = file.path.with_name(f"oauth.{name}")
        self._grant: Grant | None = None
        self._unsaved: Grant | None = None
        self._life, self._due = OVER, 0.0
        self._failed, self._rests_until, self._rest = "", 0.0, 0.0

    @property
    def grant_id(self) -> str:
        """The id of the sign-in, by which evidence about it is kept: it stays while tokens change, and a new
        sign-in starts afresh."""
        return self._grant.id if self._grant is not None else ""

    def peek(self) -> Secret | None:
        now = self._clock()
        if self._grant is None or not self._life.holds(now):
            return None
        if now >= self._due:
            self._due = now + _AGAIN
            self._ahead()
        return self._grant.access

    def read(self) -> Secret:
        return self.renew()

    def renew(self) -> Secret:
        """Another token than the one in hand: what somebody else renewed meanwhile, else asked for. Raises
        Unread, and ConfigError when the file cannot be read or locked."""
        with locked(self._lock, _PATIENCE):
            if self._unsaved is not None:
                self._save(self._unsaved)
                if self._life.holds(self._clock()):
                    return self._used()
            grant = self._file.grant(self._name)
            if grant is None:
                self._grant = None
                raise Ended("nobody is signed in")
            if not self._is_ours(grant) and self._adopt(grant):
                return self._used()
            return self._renewed(grant)

    def note(self) -> str:
        grant = self._grant or self._file.grant(self._name)
        return (
            f"the sign-in '{self._name}' is over: {grant.ended}" if grant is not None and grant.ended else ""
        )

    def ends(self) -> float | None:
        """When the token ends, by the file."""
        grant = self._file.grant(self._name)
        return grant.expires_at if grant is not None else None

    def _is_ours(self, grant: Grant) -> bool:
        return self._grant is not None and (self._grant.id, self._grant.generation) == (
            grant.id,
            grant.generation,
        )

    def _adopt(self, grant: Grant) -> bool:
        """Take over a grant; whether its token may be used."""
        self._grant, self._life = grant, Life.of(grant.issued_at, grant.expires_at)
        self._due = self._life.due
        return grant.access is not None and self._life.holds(self._clock())

    def _used(self) -> Secret:
        """The token of the grant just taken over. Raises Unread when it holds none."""
        if self._grant is None or self._grant.access is None:
            raise NotRenewed("the sign-in service gave no token")
        return self._grant.access

    def _renewed(self, grant: Grant) -> Secret:
        now = self._clock()
        if grant.ended or grant.refresh is None:
            self._adopt(grant)
            raise Ended(grant.ended or "the token ended, and the sign-in gave none that renews it")
        if now < self._rests_until:
            raise NotRenewed(self._failed)
        try:
            self._file.check_writable()
        except (
            ConfigError
        ) as error:  # what renews may be used once: an answer that cannot be kept would end the sign-in
            raise NotRenewed(
                f"nothing was asked for, since the renewed sign-in could not be kept: {error.what}"
            ) from None
        status, body = self._ask(self._name, grant.refresh)
        token, refusal = understood(body)
        if token is not None:
            self._rest = 0.0
            self._save(renewed_grant(grant, token, self._clock()))
            return self._used()
        if refusal == "invalid_grant":
            return self._refused(grant)
        what = redact(refusal, [grant.refresh], limit=60) or (
            f"HTTP {status}" if status else redact(body.decode(errors="replace"), limit=100)
        )
        self._failed = f"the sign-in could not be renewed: {what}"
        self._rest = min(self._rest * 2 or _FIRST_REST, _LONGEST_REST)
        self._rests_until = now + self._rest
        self._adopt(grant)
        raise NotRenewed(self._failed)

    def _refused(self, grant: Grant) -> Secret:
        """The token that renews was refused. It counts only if nobody replaced it meanwhile, without our lock
        or on another machine."""
        again = self._file.grant(self._name)
        if (
            again is not None
            and (again.id, again.generation) != (grant.id, grant.generation)
            and self._adopt(again)
        ):
            return self._used()
        ended = replace(grant, ended="the sign-in service says that it is over (invalid_grant)")
        self._save(ended)
        raise Ended(ended.ended)

    def _save(self, grant: Grant) -> None:
        """Make a grant durable, then use it. What cannot be written is kept for the next try, and not used:
        another process would renew with the token that is spent."""
        self._unsaved = grant
        try:
            self._file.put_grant(self._name, grant)
        except ConfigError as error:
            raise NotRenewed(f"the renewed sign-in could not be kept: {error.what}") from None
        self._unsaved = None
        self._adopt(grant)


def understood(body: bytes) -> tuple[dict[str, Any] | None, str]:
    """(the token that an answer holds, "") or (None, the OAuth error code that it holds, else ""). A token
    that could be no secret is none. Raises Unread without the package."""
    try:
        from oauthlib.oauth2 import Client, OAuth2Error
    except ImportError:
        raise Unread(f"the package 'oauthlib' is not installed; run: {install_command('oauth')}") from None
    try:
        token = Client("").parse_request_body_response(body.decode())
    except OAuth2Error as error:
        return None, str(error.error or "") if error.error != "missing_token" else ""
    except (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None, ""
    sound = _can_be_secret(token["access_token"]) and (
        not token.get("refresh_token") or _can_be_secret(token["refresh_token"])
    )
    return (dict(token), "") if sound else (None, "")


def _can_be_secret(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(Secret(value))
    except ValueError:
        return False


def renewed_grant(before: Grant, token: dict[str, Any], now: float) -> Grant:
    """The grant after a token answer: a sign-in that hands out no new token for renewing keeps the old one
    (RFC 6749 section 6)."""
    refresh, seconds = token.get("refresh_token"), _life(token.get("expires_in"))
    return Grant(
        before.id,
        before.generation + 1,
        Secret(token["access_token"]),
        Secret(refresh) if refresh else before.refresh,
        now,
        None if seconds is None else now + seconds,
    )


def _life(answered: object) -> float | None:
    """Return the seconds that a token lives, at most ten years; None where its answer does not say."""
    if (
        isinstance(answered, int) and answered > _LONGEST_LIFE
    ):  # it may have more digits than any number of seconds
        return _LONGEST_LIFE
    seconds = times.duration(answered)
    return min(seconds, _LONGEST_LIFE) if seconds is not None and seconds > 0 else None
