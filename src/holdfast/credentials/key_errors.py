"""The error for a key that cannot be read: why, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from .._files import quoted
from ..core.errors import ConfigError, NotRenewed, SecretMissing, SignInEnded, SourceSilent
from ..core.identity import Key
from ..secrecy.masking import masked
from ..values.secret import Secret, redact
from .sources import RenewalFailed, SignInOver, Silent, Unreadable

_NEXT_STEPS = {
    "env": "export {rest}=…   (or give the key another source: holdfast key add {provider} --from …)",
    "file": "ls -l {rest}",
    "cmd": "{rest}   (by hand, to see what it says)",
    "keyring": "keyring get {entry}   (by hand, to see whether it is locked)",
    "store": "holdfast key add {provider} --from store:{rest}   (asks for the key)",
    "oauth": "holdfast key login {provider}",
    "wif": "holdfast check {provider}   (once [signin.{rest}] or its assertion is corrected)",
    "call": "holdfast key list {provider}",
}


def silence_of(error: Unreadable | ConfigError) -> Unreadable:
    """Return why a source gave nothing. Trouble with our own file says nothing of a key that is kept
    there."""
    if isinstance(error, Unreadable):
        return error
    return Silent(error.what, next_step=error.next_step)


def error_of(key: Key, reason: Unreadable, known: Sequence[Secret] = ()) -> SecretMissing:
    """Return the error for a key that cannot be read. Its source may have repeated a `known` value."""
    # A command line may contain a token: `cmd:curl -H …`.
    scheme, _, rest = redact(key.ref).partition(":")
    argument = rest
    if scheme == "file":
        argument = quoted(rest)
    what = f"cannot read key '{key.label}' of provider '{key.provider}'"
    tried = [f"{scheme}:{rest}: {masked(str(reason), known)}"]
    service, _, user = rest.partition("/")
    entry = f"{quoted(service)} {quoted(user)}"
    next_step = _NEXT_STEPS[scheme].format(provider=key.provider, rest=argument, entry=entry)
    if isinstance(reason, Silent):
        kind = NotRenewed if isinstance(reason, RenewalFailed) else SourceSilent
        step = reason.next_step or next_step
        return kind(what, tried=tried, next_step=step, retry_at=reason.retry_at)
    if isinstance(reason, SignInOver):
        return SignInEnded(what, tried=tried, next_step=next_step)
    return SecretMissing(what, tried=tried, next_step=next_step)
