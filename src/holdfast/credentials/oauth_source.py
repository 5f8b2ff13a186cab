"""`oauth:NAME`: a sign-in whose tokens expire and are renewed.

Refresh tokens rotate: each may be used once, and a second use ends the sign-in for every holder (RFC 9700
section 4.14). Therefore

- one thread of one process renews at a time, under a lock of the operating system, which is released when its
  process is killed; a process that waited for the lock uses the newer tokens;
- a renewal that has been asked for is finished before the process ends (`in_flight`), and room for its result
  is reserved on the disk first;
- new tokens are on the disk before they are used, and are written only in the place of what was renewed: a
  new sign-in and a removal stay, an older file that was put back does not;
- a refusal counts only if the file still has the refresh token that was refused
  (anomalyco/opencode#49439, anthropics/claude-code#84440)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path

from .._files import Busy
from ..core.errors import ConfigError
from ..secrecy.masking import redacted
from ..values.secret import Secret, redact
from .cached_source import OVER, RENEW_AGAIN, Life
from .grant import Grant, renewed_grant
from .in_flight import InFlight, NotFinished
from .renewal_state import LONGEST_REST, RenewalState, state_path
from .secrets_file import Put, SecretsFile
from .sources import RenewalFailed, SignInOver
from .token_answers import Refusal, TokenAnswer, Tokens, Verdict, refusal_in, tokens_in

Refresh = Callable[[str, Secret], tuple[int, bytes] | TokenAnswer]
"""Renews the sign-in of this name with its refresh token: returns the service's answer. Returns within
`LONGEST` seconds."""

_GAVE_NONE = "the sign-in service gave no access token"
_ENDINGS = {
    Verdict.OVER: "the sign-in service says that it is over ({why})",
    Verdict.CLIENT: "the sign-in service refuses this client ({why}); look at [signin.{name}]",
}
_REPEATED = "the sign-in service refuses it again and again ({why}); it is asked again in an hour"
LONGEST = 45.0
"""Seconds that a renewal may take."""
_PATIENCE = 15.0
"""Seconds for which a renewal is waited for, here or in another process; it goes on after that."""
_LOOK_EVERY = 1.0
"""Seconds after which a new sign-in is noticed although the token in hand is good."""
_SLOW = 5.0
"""Seconds for which nobody waits for a renewal that was waited for in vain."""


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
        in_flight: InFlight | None = None,
    ) -> None:
        self._name, self._file, self._refresh, self._clock, self._ahead = name, file, refresh, clock, ahead
        self._in_flight = in_flight or InFlight(LONGEST)
        self._grant: Grant | None = None
        self._unsaved: Grant | None = None
        self._life, self._due = OVER, 0.0
        self._looked_at = self._slow_until = 0.0

    @property
    def grant_id(self) -> str:
        """The id of the sign-in, or nothing. It stays the same while tokens change; a new sign-in has a new
        one. Evidence about the sign-in is kept by it."""
        if self._grant is None:
            return ""
        return self._grant.id

    def peek(self) -> Secret | None:
        now = self._clock()
        if not 0 <= now - self._looked_at < _LOOK_EVERY:
            self._looked_at = now
            self._look()
        if self._grant is None or not self._life.holds(now):
            return None
        if now >= self._due:
            self._due = now + RENEW_AGAIN
            self._ahead()
        return self._grant.access

    def read(self, refused: Secret | None = None) -> Secret:
        """Return a newer access token than the one in hand, or than `refused`: one that another process has
        renewed, else a renewed one. Waits while another process or thread renews. Raises Unreadable, and
        ConfigError when the file cannot be read."""
        patience = _PATIENCE
        if self._clock() < self._slow_until <= self._clock() + _SLOW:
            patience = 0.0
        return self._newer(patience, refused)

    def renew(self) -> Secret:
        """Do what `read` does, ahead of need: without waiting for another process or thread that renews."""
        return self._newer(0.0)

    def _newer(self, patience: float, refused: Secret | None = None) -> Secret:
        known = self._grant  # before the wait, in which `peek` may take over what others have renewed
        try:
            with ExitStack() as lock:
                lock.enter_context(self._file.sign_in_lock(self._name, patience))
                grant = self._newest()
                newer = not _same(grant, known) if refused is None else grant.access != refused
                if newer and self._adopt(grant):
                    return self._access_token()
                refresh = self._refresh_token(grant)
                asked = partial(self._renewed, grant, refresh, lock.pop_all())
            return self._in_flight.finish(asked, _PATIENCE)
        except Busy:
            why = "another process or thread is renewing it and has no answer yet"
        except NotFinished as reason:
            why = str(reason)
        self._slow_until = self._clock() + _SLOW
        raise RenewalFailed(f"the sign-in could not be renewed: {why}")

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

    def _look(self) -> None:
        """Take over a new sign-in, and what another process has renewed, from the file, which is read only if
        it has changed. A renewal in the background puts a newer state in the place of an older file."""
        grant, known = self._file.glance(self._name), self._grant
        if grant is None or known is None:
            return
        if grant.id != known.id or grant.supersedes(known):
            self._adopt(grant)
        elif known.supersedes(grant):
            self._ahead()

    def _newest(self) -> Grant:
        """Return the newest state of the sign-in that is in the file. A newer one that is known here, and not
        there, is put there first: one that could not be written, or one in whose place an older file was put.
        Raises SignInOver when there is none, RenewalFailed when it cannot be written."""
        grant, known = self._file.grant(self._name), self._unsaved or self._grant
        if grant is not None and known is not None and known.supersedes(grant):
            state = self._state().renewed(known, grant)
            grant = self._kept(known)
            state.write(self._state_path)
        self._unsaved = None
        if grant is None:
            self._grant = None
            raise SignInOver(f"not signed in{self._file.aside()}")
        return grant

    def _refresh_token(self, grant: Grant) -> Secret:
        """Return the token by which the service may be asked to renew this grant now. Raises Unreadable."""
        state, now = self._state().of(grant), self._clock()
        if grant.refresh is None:
            self._adopt(grant)
            raise SignInOver("the token expired, and the sign-in gave no refresh token")
        if grant.ended and (state.retry_at == 0.0 or state.rests(now)):
            self._adopt(grant)
            raise SignInOver(grant.ended)
        if state.is_spent(grant):
            raise RenewalFailed(
                f"{self._file.path} holds an older state of the sign-in, whose refresh token is spent: "
                "put the newer file back, or sign in again",
                inf,
            )
        if state.rests(now):
            raise RenewalFailed(state.reason, state.retry_at)
        return grant.refresh

    def _adopt(self, grant: Grant) -> bool:
        """Use this grant from now on. Return whether its access token may be used for a new request."""
        self._grant, self._life = grant, Life.of(grant.issued_at, grant.expires_at)
        self._due = self._life.due
        return grant.access is not None and self._life.holds(self._clock())

    def _access_token(self) -> Secret:
        """Return the token of the adopted grant. Raises RenewalFailed when it has none."""
        if self._grant is None or self._grant.access is None:
            raise RenewalFailed(_GAVE_NONE)
        return self._grant.access

    def _renewed(self, grant: Grant, refresh: Secret, lock: ExitStack) -> Secret:
        """Renew a grant under the lock, release that, and return the new access token. Raises Unreadable."""
        with lock:
            try:
                # A refresh token may be used once: new tokens that cannot be saved would end the sign-in.
                put = lock.enter_context(self._file.reserved(self._name))
            except ConfigError as error:
                raise RenewalFailed(
                    f"not attempted, since new tokens could not be saved: {error.what}"
                ) from None
            answer = TokenAnswer(*self._refresh(self._name, refresh))
            tokens = tokens_in(answer)
            if tokens is None or (tokens.access is None and tokens.refresh == refresh):
                return self._not_renewed(grant, answer)
            return self._save(grant, tokens, put)

    def _save(self, grant: Grant, tokens: Tokens, put: Put) -> Secret:
        """Make new tokens durable, then use them. What cannot be written is kept for the next attempt and not
        used: another process would renew with the refresh token that is spent."""
        renewed = renewed_grant(grant, tokens, self._clock())
        state = self._state()
        standing = self._kept(renewed, put)
        if standing is None:
            self._grant = None
            raise SignInOver(f"not signed in{self._file.aside()}")
        usable = self._adopt(standing)
        if not _same(standing, renewed):
            if not usable:
                raise RenewalFailed("another sign-in took its place")
            return self._access_token()
        state = state.renewed(renewed, grant)
        if renewed.access is None:
            state = state.failed(_GAVE_NONE, renewed.issued_at, None)
        state.write(self._state_path)
        return self._access_token()

    def _kept(self, grant: Grant, put: Put | None = None) -> Grant | None:
        """Keep a newer state in the place of an older one, and return what the file has then. Raises
        RenewalFailed when it cannot be written; the next attempt begins with that."""
        self._unsaved = grant
        try:
            standing = self._file.replace_grant(self._name, grant, put)
        except ConfigError as error:
            raise RenewalFailed(f"the renewed sign-in could not be saved: {error.what}") from None
        self._unsaved = None
        return standing

    def _not_renewed(self, grant: Grant, answer: TokenAnswer) -> Secret:
        """Take note of an answer without tokens: the end of the sign-in, or a failure after which it rests.
        Raises Unreadable, unless the file has a newer grant by now, written without our lock or elsewhere."""
        current = self._file.grant(self._name)
        if current is not None and not _same(current, grant) and self._adopt(current):
            return self._access_token()
        refusal, now = refusal_in(answer), self._clock()
        why = _why(grant, refusal, answer)
        state = self._state().of(grant).counted(refusal, answer.status, now)
        if state.is_enough(refusal, now):
            self._end(grant, refusal, why, state)
        failed = f"the sign-in could not be renewed: {why}"
        state = state.failed(failed, now, answer.retry_after)
        state.write(self._state_path)
        self._adopt(grant)
        self._life = self._life._replace(until=self._life.ends)  # no better one is to be had
        raise RenewalFailed(failed, state.retry_at)

    def _end(self, grant: Grant, refusal: Refusal, why: str, state: RenewalState) -> None:
        """End the sign-in. It is asked about again later unless the service says plainly that it is over: a
        refused client may be put right, and another refusal may come from what stands before the service (a
        firewall, a proxy, a country). Raises SignInOver."""
        reason = _ENDINGS.get(refusal.verdict, _REPEATED).format(why=why, name=self._name)
        if refusal.verdict is Verdict.OVER:
            state.ended().write(self._state_path)
        else:
            state.failed(reason, self._clock(), None, rest=LONGEST_REST).write(self._state_path)
        ended = replace(grant, ended=reason)
        self._adopt(ended)
        with suppress(ConfigError):  # it is known here; another process asks for itself
            self._file.replace_grant(self._name, ended)
        raise SignInOver(reason)

    @property
    def _state_path(self) -> Path:
        return state_path(self._file, self._name)

    def _state(self) -> RenewalState:
        return RenewalState.read(self._state_path)


def _same(grant: Grant, other: Grant | None) -> bool:
    return other is not None and (grant.id, grant.generation) == (other.id, other.generation)


def _why(grant: Grant, refusal: Refusal, answer: TokenAnswer) -> str:
    """Return why a renewal failed: the service's own code, else the status, else the reason that no answer
    came."""
    known = [secret for secret in (grant.refresh, grant.access) if secret is not None]
    code = redacted(refusal.code, known, limit=60)
    if code:
        return code
    if answer.status:
        return f"HTTP {answer.status}"
    return redact(answer.body.decode(errors="replace"), limit=100)
