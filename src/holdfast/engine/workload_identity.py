"""`wif:NAME`: the assertion of a workload is read from its file or program, and exchanged for an access token
at the sign-in's own token address. It goes nowhere else."""

from __future__ import annotations

import time
from typing import Any

from ..config import Home
from ..config import load as load_config
from ..config.assertions import KINDS, members_of
from ..core.config import SignIn
from ..core.errors import ConfigError, SecretMissing, SourceSilent
from ..core.identity import Key, ProviderName
from ..core.secret import Secret
from ..credentials.cached_source import Exchange
from ..credentials.sources import Silent, Unreadable
from ..credentials.token_answers import TokenAnswer, Tokens, Verdict, refusal_in, tokens_in
from ..secrecy.masking import redacted
from .token_service import Post, ReadKey, post


def exchanges(
    home: Home, send: Post = post, read: ReadKey | None = None, anew: ReadKey | None = None
) -> Exchange:
    """Return the function by which a vault gets the access tokens of this home's workloads, by the current
    configuration. `read` reads the assertions; `anew` does so without a cache, once an assertion is refused:
    it may have ended."""

    def exchange(name: str) -> Tokens:
        try:
            sign_in = load_config(home).sign_ins.get(name)
        except ConfigError:
            raise Silent("holdfast.toml is wrong", next_step="holdfast doctor") from None
        if sign_in is None or not sign_in.assertion or read is None:
            raise Unreadable(f"holdfast.toml has no [signin.{name}] with an assertion")
        assertion = _assertion(sign_in, read)
        try:
            return _exchanged(sign_in, assertion, send)
        except Silent:
            raise
        except Unreadable:
            newer = _assertion(sign_in, anew or read)
            if newer == assertion:
                raise
        return _exchanged(sign_in, newer, send)

    return exchange


def _assertion(sign_in: SignIn, read: ReadKey) -> Secret:
    """Return the assertion. Raises Unreadable."""
    try:
        return read(Key(ProviderName("signin"), sign_in.name, sign_in.assertion))
    except SourceSilent as silent:
        failed: Unreadable = Silent(_unread(silent), silent.retry_at, next_step=silent.next_step)
    except SecretMissing as missing:
        failed = Unreadable(_unread(missing))
    raise failed


def _unread(missing: SecretMissing) -> str:
    return f"the assertion cannot be read: {'; '.join(missing.tried)}"


def _exchanged(sign_in: SignIn, assertion: Secret, send: Post) -> Tokens:
    """Return the tokens for an assertion. Raises Unreadable."""
    kind = KINDS[sign_in.kind]
    members: dict[str, Any] = {**members_of(sign_in), kind.member: assertion}
    answer: TokenAnswer = send(sign_in.token_url, members, as_json=kind.as_json)
    tokens = tokens_in(answer)
    if tokens is not None and tokens.access is not None:
        return tokens
    refusal = refusal_in(answer)
    code = redacted(refusal.code, [assertion], limit=60)
    why = code or (f"HTTP {answer.status}" if answer.status else answer.body.decode(errors="replace"))
    if refusal.verdict is Verdict.PASSING:
        again = None if answer.retry_after is None else time.time() + answer.retry_after
        raise Silent(f"the token service gives none now: {why}", again)
    raise Unreadable(f"the token service refuses the assertion: {why}")
