"""Reading a key's reference for a request, and again after a refusal: once for all requests that need it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ..core.errors import SecretMissing, SourceSilent
from ..core.identity import Key
from ..core.steps import Answer, Refresh
from ..credentials import Vault
from ..values.secret import Secret
from ..wire.response_head import reply_of_unsent
from .ports import RequestContext


def read_key(
    engine: RequestContext, step: Refresh, used: Secret | None, *, since: float, until: float
) -> Answer | None:
    """Return the result of reading a key for the first time, or again if its value is the one `used`. None
    while its source is silent and may be asked again before `until` (epoch seconds): call again in a
    moment."""
    now = engine.store.now()
    if step.fingerprint is None:
        used = None
    try:
        return Answer(now, yes=engine.read_again(step.key, used, since))
    except SourceSilent as silent:
        if max(now, silent.retry_at or 0.0) < until:
            return None
        return Answer(now, reply_of_unsent(silent, now))
    except SecretMissing as missing:
        return Answer(now, reply_of_unsent(missing, now))


@dataclass(slots=True)
class _LastRead:
    """The time of a key's last new read (epoch seconds), its error, and the lock of the reading thread."""

    at: float = 0.0
    failed: SecretMissing | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class KeyReads:
    """Reads keys again. Thread-safe; `now` returns the store's time in epoch seconds."""

    def __init__(self, vault: Vault, now: Callable[[], float]) -> None:
        self._vault, self._now = vault, now
        self._reads: dict[Key, _LastRead] = {}

    def read_again(self, key: Key, used: Secret | None, since: float) -> bool:
        """Read a key's reference, unless it was read after `since`. Return True if its value differs from
        `used`.

        Raises SecretMissing.
        """
        if used is None:
            return self._vault.secret(key) is not None
        read = self._reads.setdefault(key, _LastRead())
        with read.lock:
            at_hand = self._vault.peek(key)
            if at_hand is not None and at_hand != used:
                return True  # renewed after the request was sent: the refused value is out of use
            if not since <= read.at <= self._now():  # a clock that was put right voids what was read before
                self._reread(key, used, read)
            if read.failed is not None:
                raise read.failed
        return self._vault.secret(key) != used

    def renew(self) -> None:
        """Forget all locks in a forked child: a thread of the parent may have held one."""
        self._reads.clear()

    def _reread(self, key: Key, used: Secret, read: _LastRead) -> None:
        read.at = self._now()
        read.failed = None
        try:
            self._vault.reread(key, used)
        except SecretMissing as missing:
            read.failed = missing
