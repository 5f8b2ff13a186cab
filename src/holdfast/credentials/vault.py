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

from ..core.errors import ConfigError
from ..core.identity import Key, ProviderName
from ..secrecy.frames import bare
from ..values.secret import Secret, fingerprint
from .cached_source import (
    CachedSource,
    Exchange,
    command_output,
    exchanged,
    from_keyring,
    load_keyring,
    no_exchange,
)
from .callback_source import Supplier, from_program
from .foreign_call import ForeignCall
from .in_flight import InFlight
from .key_errors import error_of, silence_of
from .oauth_source import LONGEST, OAuthSource, Refresh
from .pepper import Pepper
from .printed_json import part_at
from .secrets_file import SecretsFile
from .sources import (
    EnvSource,
    FileSource,
    Run,
    Silent,
    Source,
    StoreSource,
    Unreadable,
    run_program,
)

_REMEMBERED_VALUES = 4
"""How many of a key's latest values are redacted."""
_NAMED = ("cmd:", "call:", "wif:")
"""Schemes whose values change while the credential stays the same: the command, function or workload."""
_EXPIRING = (*_NAMED, "oauth:")
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

    __slots__ = ("fingerprint", "lock", "refused", "silent_since", "source", "values")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lock = Lock()
        self.values: deque[Secret] = deque(maxlen=_REMEMBERED_VALUES)
        self.fingerprint: tuple[Secret, bytes, str] | None = None
        self.refused: Secret | None = None
        self.silent_since = 0.0

    def peek(self) -> Secret | None:
        """Return the source's value if it is known and may be sent."""
        secret = self.source.peek()
        if self.refused is not None and secret == self.refused:
            return None
        return secret

    def is_silent(self, silence: Silent, now: float) -> None:
        """Note a silence, and from when on it may be over, where the source does not say: the longer it has
        lasted, the later. So nobody waits for what has been silent for long."""
        if not 0.0 < self.silent_since <= now:
            self.silent_since = now
        if silence.retry_at is None:
            silence.retry_at = now + (now - self.silent_since)

    def noted(self, secret: Secret) -> Secret:
        """Remember the value, so that it is redacted, and return it."""
        if not self.values or self.values[-1] is not secret:
            self.values.append(secret)
        return secret


class Vault:
    """Reads the secrets of keys by their references. `secrets` is the path of secrets.toml; over the network,
    `refresh` renews a sign-in (`oauth:NAME`) and `exchange` gets the token of a workload (`wif:NAME`);
    `suppliers` are the program's own functions (`call:NAME`); `pepper` returns the reference to the
    pepper, "" for the file beside secrets.toml; the other parameters are for tests."""

    # Each argument is another way to a key, or to the world.
    def __init__(  # noqa: PLR0913
        self,
        secrets: Path,
        *,
        refresh: Refresh = _cannot_refresh,
        exchange: Exchange = no_exchange,
        suppliers: Mapping[str, Supplier] | None = None,
        pepper: Callable[[], str] = str,
        environ: Mapping[str, str] = os.environ,
        run: Run = run_program,
        keyring: Callable[[], Any] = load_keyring,
        clock: Callable[[], float] = time.time,
        background: Callable[[Callable[[], None]], None] = _in_background,
    ) -> None:
        self.file = SecretsFile(secrets, clock)
        self._refresh, self._exchange, self._suppliers = refresh, exchange, suppliers or {}
        self._environ, self._run, self._keyring, self._clock = environ, run, keyring, clock
        self._background, self._began = background, clock()
        self._in_flight = InFlight(LONGEST)
        self._entries: dict[tuple[str, str, str], _CacheEntry] = {}
        self._pepper = Pepper(secrets.with_name("pepper"), pepper, self._source_of_pepper)

    def secret(self, key: Key) -> Secret:
        """Return the secret of `key`, read if it is not cached; the last one while its source gives none, if
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

    def reread(self, key: Key, used: Secret | None = None) -> bool:
        """Read the secret again since a provider refused it, or `used`. Return whether its value has changed.
        Raises as `secret` does; then the refused one is not used any more."""
        entry = self._entry(key)
        with entry.lock:
            before = used or next(reversed(entry.values), None)
            entry.refused = used or entry.source.peek()
            after = self._read(key, entry)
        entry.noted(after)
        return before != after

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
        """Return the latest values of all keys, for `values.secret.redact`."""
        return list({secret for entry in list(self._entries.values()) for secret in entry.values})

    def note(self, key: Key) -> str:
        """Return a warning for `doctor` about the source of `key`; empty when there is none."""
        return self._entry(key).source.note()

    def pepper(self) -> bytes:
        """Return the 32 random bytes by which this home recognises keys (`Pepper`). Raises ConfigError."""
        return self._pepper.value()

    def _entry(self, key: Key) -> _CacheEntry:
        name = (key.provider, key.ref, key.value)
        entry = self._entries.get(name)
        if entry is not None:
            return entry
        return self._entries.setdefault(name, _CacheEntry(self._source(key)))

    def _source_of_pepper(self, reference: str) -> Source:
        return self._source(Key(ProviderName("pepper"), "pepper", reference))

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
            "wif": lambda: CachedSource(
                lambda: exchanged(rest, self._exchange, self._clock), self._clock, ahead
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
            secret = entry.source.read(entry.refused)
            entry.refused, entry.silent_since = None, 0.0
            return secret
        except (Unreadable, ConfigError) as error:
            reason = silence_of(error)
            last = entry.peek()
            if isinstance(reason, Silent):
                entry.is_silent(reason, self._clock())
            if last is not None:
                return last
            failed: BaseException = error_of(key, bare(reason), list(entry.values))
        except BaseException as error:
            failed = bare(error)
        raise failed  # out here, so that it brings no frame with the value along
