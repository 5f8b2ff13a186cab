"""`wif:NAME`: the assertion of a workload is read from its file or program, and exchanged for an access token
at the sign-in's own token address. It goes nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

from ..config import Home
from ..config import load as load_config
from ..config.assertions import KINDS, members_of
from ..core.config import SignIn
from ..core.errors import ConfigError, SecretMissing, SourceSilent
from ..core.identity import Key, ProviderName
from ..credentials import Vault
from ..credentials.cached_source import Exchange
from ..credentials.renewal_state import RenewalState, state_path
from ..credentials.sources import Silent, Unreadable
from ..credentials.token_answers import TokenAnswer, Tokens, Verdict, refusal_in, tokens_in
from ..secrecy.masking import redacted
from ..values.secret import Secret, fingerprint
from .token_service import Post, post


def exchanges(
    home: Home, vault: Callable[[], Vault], send: Post = post, clock: Callable[[], float] = time.time
) -> Exchange:
    """Return the function by which a vault gets the access tokens of this home's workloads, by the current
    configuration. `vault` returns that vault, which reads the assertions too: without its cache once one is
    refused, since it may have ended."""

    def exchange(name: str) -> Tokens:
        try:
            sign_in = load_config(home).sign_ins.get(name)
        except ConfigError:
            raise Silent("holdfast.toml is wrong", next_step="holdfast doctor") from None
        if sign_in is None or not sign_in.assertion:
            raise Unreadable(f"holdfast.toml has no [signin.{name}] with an assertion")
        reader = vault()
        assertion = _assertion(sign_in, reader)
        try:
            return _exchanged(sign_in, assertion, reader, send, clock=clock)
        except Silent:
            raise
        except Unreadable:
            newer = _assertion(sign_in, reader, anew=True)
            if newer == assertion:
                raise
        return _exchanged(sign_in, newer, reader, send, clock=clock)

    return exchange


def _assertion(sign_in: SignIn, vault: Vault, *, anew: bool = False) -> Secret:
    """Return the assertion. Raises Unreadable."""
    key = Key(ProviderName("signin"), sign_in.name, sign_in.assertion)
    try:
        if anew:
            vault.reread(key)
        return vault.secret(key)
    except SourceSilent as silent:
        failed: Unreadable = Silent(_unread(silent), silent.retry_at, next_step=silent.next_step)
    except SecretMissing as missing:
        failed = Unreadable(_unread(missing))
    raise failed


def _unread(missing: SecretMissing) -> str:
    return f"the assertion cannot be read: {'; '.join(missing.tried)}"


def _exchanged(
    sign_in: SignIn, assertion: Secret, vault: Vault, send: Post, *, clock: Callable[[], float]
) -> Tokens:
    """Return the tokens for an assertion. A request that was refused, or put off until a time, is not
    repeated for so long by any process; one with another assertion is another request. Raises Unreadable."""
    kind, members = KINDS[sign_in.kind], members_of(sign_in)
    path, pepper, now = state_path(vault.file, sign_in.name), vault.pepper(), clock()
    fields = [sign_in.kind, sign_in.token_url, *members.items(), assertion.fingerprint(pepper)]
    request = fingerprint(repr(fields), pepper)
    state = RenewalState.read(path)
    if state.id != request:
        state = RenewalState(request)
    if state.rests(now) and not state.refused:
        raise Silent(state.reason, state.retry_at)
    if state.rests(now):
        raise Unreadable(f"{state.reason}; it is asked again in {ceil(state.retry_at - now)} s")
    sent: dict[str, Any] = {**members, kind.member: assertion}
    answer: TokenAnswer = send(sign_in.token_url, sent, as_json=kind.as_json)
    tokens = tokens_in(answer)
    if tokens is not None and tokens.access is not None:
        if state.failures:
            RenewalState(request).write(path)
        return tokens
    refusal = refusal_in(answer)
    code = redacted(refusal.code, [assertion], limit=60)
    why = code or (f"HTTP {answer.status}" if answer.status else answer.body.decode(errors="replace"))
    if refusal.verdict is Verdict.PASSING and answer.retry_after is None:
        raise Silent(f"the token service gives none now: {why}")
    if refusal.verdict is Verdict.PASSING:
        reason = f"the token service gives none now: {why}"
        state = replace(state, refused="").failed(reason, clock(), answer.retry_after)
        state.write(path)
        raise Silent(reason, state.retry_at)
    reason = f"the token service refuses the assertion: {why}"
    replace(state, refused=refusal.verdict.name).failed(reason, clock(), answer.retry_after).write(path)
    raise Unreadable(reason)
