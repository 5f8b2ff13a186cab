"""The vault: one source per key, read late, kept as long as it is known to be true, never guessed."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from .._files import cannot, locked, quoted, write_private
from ..core.errors import ConfigError, NotRenewed, SecretMissing, SignInEnded
from ..core.identity import Key
from ..core.secret import Secret, fingerprint, redact
from .cached_source import TimedSource, command_output, from_keyring, load_keyring
from .callback_source import Supplier, from_program
from .oauth_source import Ask, GrantSource
from .secrets_file import SecretsFile
from .sources import Ended, EnvSource, FileSource, Run, Source, StoreSource, Unread, run_program
from .sources import NotRenewed as NotRenewedNow

_SEEN = 4
_PEPPER_BYTES = 32
_NAMED = ("cmd:", "call:")
"""Schemes whose values change while the credential, the command or the function, stays the same."""
_ENDING = (*_NAMED, "oauth:")


def _beside(work: Callable[[], None]) -> None:
    Thread(target=work, name="holdfast-renewal", daemon=True).start()


def _nobody(name: str, refresh: Secret) -> tuple[int, bytes]:  # noqa: ARG001 - the signature of Ask
    return 0, b"nobody here can ask for it"


class _Held:
    """A source with what was seen of it. The lock lets one thread read while the others wait for its
    answer."""

    __slots__ = ("lock", "mark", "seen", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lock = Lock()
        self.seen: deque[Secret] = deque(maxlen=_SEEN)
        self.mark: tuple[Secret, bytes, str] | None = None


class Vault:
    """Turns the references of keys into secrets. `secrets` is the path of secrets.toml; `ask` renews a
    sign-in (`oauth:NAME`) over the network; `suppliers` are the program's own functions (`call:NAME`); the
    rest is for tests."""

    def __init__(
        self,
        secrets: Path,
        *,
        ask: Ask = _nobody,
        suppliers: Mapping[str, Supplier] | None = None,
        environ: Mapping[str, str] = os.environ,
        run: Run = run_program,
        keyring: Callable[[], Any] = load_keyring,
        clock: Callable[[], float] = time.time,
        beside: Callable[[Callable[[], None]], None] = _beside,
    ) -> None:
        self.file = SecretsFile(secrets, clock)
        self._ask, self._suppliers = ask, suppliers or {}
        self._environ, self._run, self._keyring, self._clock, self._beside = (
            environ,
            run,
            keyring,
            clock,
            beside,
        )
        self._held: dict[tuple[str, str], _Held] = {}

    def secret(self, key: Key) -> Secret:
        """The secret of `key`, read if it is not known. Raises SecretMissing with each source tried and why
        it failed."""
        held = self._of(key)
        secret = held.source.peek()
        if secret is None:
            with held.lock:
                secret = held.source.peek() or self._read(key, held)
        return _noted(held, secret)

    def peek(self, key: Key) -> Secret | None:
        """The secret if it is known right now at no cost, else None: no file is read, no program run, no
        keyring asked."""
        held = self._of(key)
        secret = held.source.peek()
        return None if secret is None else _noted(held, secret)

    def ends(self, key: Key) -> float | None:
        """When the secret of `key` ends, as far as that is known without running a program or asking
        anybody."""
        source = self._of(key).source
        return source.ends() if isinstance(source, TimedSource | GrantSource) else None

    def reread(self, key: Key) -> bool:
        """Reads the secret anew, whatever is kept. True when its value has changed. Raises SecretMissing."""
        held = self._of(key)
        with held.lock:
            before = held.seen[-1] if held.seen else None
            after = self._read(key, held)
        _noted(held, after)
        return after != before

    def fingerprint(self, key: Key, pepper: bytes) -> str | None:
        """By what evidence recognises this key: an HMAC of its secret; where values come and go, of what
        stays: the reference of `cmd:` and `call:`, the sign-in of `oauth:`. None when that is not known
        without reading it."""
        if key.ref.startswith(_NAMED):
            return fingerprint(key.ref, pepper)
        held = self._of(key)
        if isinstance(held.source, GrantSource):
            return fingerprint(held.source.grant_id, pepper) if held.source.grant_id else None
        secret = held.source.peek()
        if secret is None:
            return None
        _noted(held, secret)
        if held.mark is None or held.mark[0] is not secret or held.mark[1] != pepper:
            held.mark = (secret, pepper, secret.fingerprint(pepper))
        return held.mark[2]

    def ready(self, key: Key, pepper: bytes) -> str | None:
        """The fingerprint of a key that can be sent right now; None: read it first, which may take a program
        or the network."""
        return (
            None if key.ref.startswith(_ENDING) and self.peek(key) is None else self.fingerprint(key, pepper)
        )

    def renew(self) -> None:
        """Forget what was read, and who was reading: for a forked child."""
        self._held = {}

    def known(self) -> list[Secret]:
        """The secrets seen of late, for `core.secret.redact`."""
        return list({secret for held in list(self._held.values()) for secret in held.seen})

    def note(self, key: Key) -> str:
        """What `doctor` should say about where `key` is kept; empty when all is well."""
        return self._of(key).source.note()

    def pepper(self) -> bytes:
        """The 32 random bytes in the file `pepper` beside secrets.toml, made on first use; all processes get
        the same."""
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
                next_step=f"rm {quoted(path)}   (what is remembered about keys then starts afresh)",
            )
        return pepper

    def _of(self, key: Key) -> _Held:
        place = (key.provider, key.ref)
        held = self._held.get(place)
        return held if held is not None else self._held.setdefault(place, _Held(self._source(key)))

    def _source(self, key: Key) -> Source:
        scheme, _, rest = key.ref.partition(":")

        def ahead() -> None:
            self._beside(lambda: self._renew(key))

        makers: dict[str, Callable[[], Source]] = {
            "env": lambda: EnvSource(rest, self._environ),
            "file": lambda: FileSource(rest),
            "store": lambda: StoreSource(self.file, key.provider, rest),
            "cmd": lambda: TimedSource(
                lambda: command_output(rest, self._run, self._clock), self._clock, ahead
            ),
            "keyring": lambda: TimedSource(lambda: from_keyring(rest, self._keyring), self._clock),
            "call": lambda: TimedSource(lambda: from_program(rest, self._suppliers), self._clock, ahead),
            "oauth": lambda: GrantSource(rest, self.file, self._ask, self._clock, ahead),
        }
        return makers[scheme]()

    def _renew(self, key: Key) -> None:
        """Renew a secret ahead of its end, beside the requests; whoever needs it after its end is told what
        is wrong."""
        held = self._of(key)
        source = held.source
        if isinstance(source, TimedSource | GrantSource) and held.lock.acquire(blocking=False):
            try:
                _noted(held, source.renew())
            except (Unread, ConfigError):
                pass
            finally:
                held.lock.release()

    def _read(self, key: Key, held: _Held) -> Secret:
        try:
            return held.source.read()
        except Unread as reason:
            scheme, _, rest = redact(key.ref).partition(
                ":"
            )  # a command line may hold a token: `cmd:curl -H …`
            kind = {Ended: SignInEnded, NotRenewedNow: NotRenewed}.get(type(reason), SecretMissing)
            raise kind(
                f"key '{key.label}' of provider '{key.provider}' leads nowhere",
                tried=[f"{scheme}:{rest}: {reason}"],
                next_step=_NEXT[scheme].format(
                    provider=key.provider, rest=quoted(rest) if scheme == "file" else rest
                ),
            ) from None


_NEXT = {
    "env": "export {rest}=…   (or give the key another source: holdfast key add {provider} --from …)",
    "file": "ls -l {rest}",
    "cmd": "{rest}   (by hand, to see what it says)",
    "keyring": "holdfast key list {provider}",
    "store": "holdfast key add {provider} --from store:{rest}   (asks for the key)",
    "oauth": "holdfast key login {provider}",
    "call": "holdfast key list {provider}",
}


def _noted(held: _Held, secret: Secret) -> Secret:
    if not held.seen or held.seen[-1] is not secret:
        held.seen.append(secret)
    return secret
