"""The vault: reads keys by their references, when they are needed, and caches them as long as they are
valid."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from .._files import cannot, locked, quoted, write_private
from ..core.errors import ConfigError, NotRenewed, SecretMissing, SignInEnded, SourceSilent
from ..core.identity import Key
from ..core.secret import Secret, fingerprint, redact
from ..secrecy.frames import bare
from .cached_source import CachedSource, command_output, from_keyring, load_keyring
from .callback_source import Supplier, from_program
from .foreign_call import ForeignCall
from .in_flight import InFlight
from .oauth_source import LONGEST, OAuthSource, Refresh
from .printed_json import part_at
from .secrets_file import SecretsFile
from .sources import (
    EnvSource,
    FileSource,
    RenewalFailed,
    Run,
    SignInOver,
    Silent,
    Source,
    StoreSource,
    Unreadable,
    run_program,
)

_REMEMBERED_VALUES = 4
"""How many of a key's latest values are redacted."""
_PEPPER_BYTES = 32
_NAMED = ("cmd:", "call:")
"""Schemes whose values change while the credential, the command or the function, stays the same."""
_EXPIRING = (*_NAMED, "oauth:")
_NEXT_STEPS = {
    "env": "export {rest}=…   (or give the key another source: holdfast key add {provider} --from …)",
    "file": "ls -l {rest}",
    "cmd": "{rest}   (by hand, to see what it says)",
    "keyring": "keyring get {entry}   (by hand, to see whether it is locked)",
    "store": "holdfast key add {provider} --from store:{rest}   (asks for the key)",
    "oauth": "holdfast key login {provider}",
    "call": "holdfast key list {provider}",
}
_LIVES_ON = 30.0
"""Seconds after which a program counts as one that lives on, and renews before it must."""


def _in_background(work: Callable[[], None]) -> None:
    Thread(target=work, name="holdfast-renewal", daemon=True).start()


def _cannot_refresh(name: str, refresh: Secret) -> tuple[int, bytes]:  # noqa: ARG001
    return 0, b"sign-ins cannot be renewed here"


class _CacheEntry:
    """A source, its latest values, the fingerprint of the last one, and the value that a provider refused
    last, unless it was read again since. The lock lets one thread read while the others wait for its
    result."""

    __slots__ = ("fingerprint", "lock", "refused", "source", "values")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lock = Lock()
        self.values: deque[Secret] = deque(maxlen=_REMEMBERED_VALUES)
        self.fingerprint: tuple[Secret, bytes, str] | None = None
        self.refused: Secret | None = None

    def peek(self) -> Secret | None:
        """Return the source's value if it is known and may be sent."""
        secret = self.source.peek()
        if self.refused is not None and secret == self.refused:
            return None
        return secret

    def noted(self, secret: Secret) -> Secret:
        """Remember the value, so that it is redacted, and return it."""
        if not self.values or self.values[-1] is not secret:
            self.values.append(secret)
        return secret


class Vault:
    """Reads the secrets of keys by their references. `secrets` is the path of secrets.toml; `refresh` renews
    a sign-in (`oauth:NAME`) over the network; `suppliers` are the program's own functions (`call:NAME`); the
    other parameters are for tests."""

    def __init__(
        self,
        secrets: Path,
        *,
        refresh: Refresh = _cannot_refresh,
        suppliers: Mapping[str, Supplier] | None = None,
        environ: Mapping[str, str] = os.environ,
        run: Run = run_program,
        keyring: Callable[[], Any] = load_keyring,
        clock: Callable[[], float] = time.time,
        background: Callable[[Callable[[], None]], None] = _in_background,
    ) -> None:
        self.file = SecretsFile(secrets, clock)
        self._refresh, self._suppliers = refresh, suppliers or {}
        self._environ, self._run, self._keyring, self._clock = environ, run, keyring, clock
        self._background, self._began = background, clock()
        self._in_flight = InFlight(LONGEST)
        self._entries: dict[tuple[str, str, str], _CacheEntry] = {}

    def secret(self, key: Key) -> Secret:
        """Return the secret of `key`, read if it is not cached; the last one while its source is silent, if
        that may still be good. Raises SecretMissing, SignInEnded, SourceSilent or NotRenewed with the
        reason."""
        entry = self._entry(key)
        secret = entry.peek()
        if secret is None:
            with entry.lock:
                secret = entry.peek() or self._read(key, entry)
        return entry.noted(secret)

    def peek(self, key: Key) -> Secret | None:
        """Return the secret if that needs no file, program or keyring, else None."""
        entry = self._entry(key)
        secret = entry.peek()
        if secret is None:
            return None
        return entry.noted(secret)

    def ends(self, key: Key) -> float | None:
        """Return when the secret of `key` expires (epoch seconds), as far as that is known without running a
        program or using the network."""
        source = self._entry(key).source
        if isinstance(source, CachedSource | OAuthSource):
            return source.ends()
        return None

    def reread(self, key: Key) -> bool:
        """Read the secret again since a provider refused it. Return whether its value has changed. Raises as
        `secret` does; then the refused one is not used any more."""
        entry = self._entry(key)
        with entry.lock:
            before = list(entry.values)[-1:]
            entry.refused = entry.source.peek()
            after = self._read(key, entry)
        entry.noted(after)
        return before != [after]

    def fingerprint(self, key: Key, pepper: bytes) -> str | None:
        """Return the name of this key in evidence: an HMAC of its secret; for values that change, of what
        stays the same: the reference of `cmd:` and `call:`, the sign-in of `oauth:`. None where it cannot be
        computed without reading the key."""
        if key.ref.startswith(_NAMED):
            return fingerprint(f"{key.ref} {key.value}".rstrip(), pepper)
        entry = self._entry(key)
        source = entry.source
        if isinstance(source, OAuthSource):
            if not source.grant_id:
                return None
            return fingerprint(source.grant_id, pepper)
        secret = entry.peek()
        if secret is None:
            return None
        entry.noted(secret)
        known = entry.fingerprint
        if known is None or known[0] is not secret or known[1] != pepper:
            known = entry.fingerprint = (secret, pepper, secret.fingerprint(pepper))
        return known[2]

    def ready(self, key: Key, pepper: bytes) -> str | None:
        """Return the fingerprint of a key that can be sent now. None: read it first, which may take a program
        or the network."""
        if key.ref.startswith(_EXPIRING) and self.peek(key) is None:
            return None
        return self.fingerprint(key, pepper)

    def renew(self) -> None:
        """Forget what was read, and the locks of other threads: for a forked child."""
        self._entries, self._in_flight = {}, InFlight(LONGEST)

    def settle(self) -> None:
        """Wait until the renewals under way have ended, at most as long as one may take."""
        self._in_flight.settle()

    def known(self) -> list[Secret]:
        """Return the latest values of all keys, for `core.secret.redact`."""
        return list({secret for entry in list(self._entries.values()) for secret in entry.values})

    def note(self, key: Key) -> str:
        """Return a warning for `doctor` about the source of `key`; empty when there is none."""
        return self._entry(key).source.note()

    def pepper(self) -> bytes:
        """Return the 32 random bytes in the file `pepper` beside secrets.toml, which is created on first use.
        All processes get the same. Raises ConfigError."""
        path = self.file.path.with_name("pepper")
        if not path.exists():
            with locked(path):
                if not path.exists():
                    write_private(path, os.urandom(_PEPPER_BYTES).hex() + "\n")
        try:
            pepper = bytes.fromhex(path.read_text("ascii"))
        except OSError as error:
            raise cannot("read", path, error) from None
        except ValueError:
            pepper = b""
        if len(pepper) != _PEPPER_BYTES:
            raise ConfigError(
                f"{path} is damaged",
                next_step=f"rm {quoted(path)}   (forgets what is known about keys)",
            )
        return pepper

    def _entry(self, key: Key) -> _CacheEntry:
        name = (key.provider, key.ref, key.value)
        entry = self._entries.get(name)
        if entry is not None:
            return entry
        return self._entries.setdefault(name, _CacheEntry(self._source(key)))

    def _source(self, key: Key) -> Source:
        scheme, _, rest = key.ref.partition(":")

        def ahead() -> None:
            if not 0 <= self._clock() - self._began < _LIVES_ON:
                self._background(lambda: self._renew(key))

        makers: dict[str, Callable[[], Source]] = {
            "env": lambda: EnvSource(rest, self._environ),
            "file": lambda: FileSource(rest, part_at(key.value)),
            "store": lambda: StoreSource(self.file, key.provider, rest),
            "cmd": lambda: CachedSource(
                lambda: command_output(rest, key.value, self._run, self._clock), self._clock, ahead
            ),
            "keyring": lambda: CachedSource(
                ForeignCall(lambda: from_keyring(rest, self._keyring)), self._clock
            ),
            "call": lambda: CachedSource(
                ForeignCall(lambda: from_program(rest, self._suppliers)), self._clock, ahead
            ),
            "oauth": lambda: OAuthSource(
                rest, self.file, self._refresh, self._clock, ahead=ahead, in_flight=self._in_flight
            ),
        }
        return makers[scheme]()

    def _renew(self, key: Key) -> None:
        """Renew a secret before it expires, in the background. A failure is ignored: a request that needs the
        secret after its expiry reads it and gets the reason."""
        entry = self._entry(key)
        source = entry.source
        if isinstance(source, CachedSource | OAuthSource) and entry.lock.acquire(blocking=False):
            try:
                entry.noted(source.renew())
            except (Unreadable, ConfigError):
                pass
            finally:
                entry.lock.release()

    def _read(self, key: Key, entry: _CacheEntry) -> Secret:
        try:
            secret = entry.source.read()
            entry.refused = None
            return secret
        except Unreadable as reason:
            last = entry.peek()
            if last is not None and isinstance(reason, Silent):
                return last
            failed: BaseException = _error(key, bare(reason))
        except BaseException as error:
            failed = bare(error)
        raise failed  # out here, so that it brings no frame with the value along


def _error(key: Key, reason: Unreadable) -> SecretMissing:
    """Return the error for a key that cannot be read."""
    # A command line may contain a token: `cmd:curl -H …`.
    scheme, _, rest = redact(key.ref).partition(":")
    argument = rest
    if scheme == "file":
        argument = quoted(rest)
    what = f"cannot read key '{key.label}' of provider '{key.provider}'"
    tried = [f"{scheme}:{rest}: {reason}"]
    entry = rest.replace("/", " ", 1)
    next_step = _NEXT_STEPS[scheme].format(provider=key.provider, rest=argument, entry=entry)
    if isinstance(reason, Silent):
        kind = NotRenewed if isinstance(reason, RenewalFailed) else SourceSilent
        step = reason.next_step or next_step
        return kind(what, tried=tried, next_step=step, retry_at=reason.retry_at)
    if isinstance(reason, SignInOver):
        return SignInEnded(what, tried=tried, next_step=next_step)
    return SecretMissing(what, tried=tried, next_step=next_step)
