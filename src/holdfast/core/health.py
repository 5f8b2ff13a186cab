"""The knowledge about keys and endpoints that decisions rest on: evidence, cooldowns, use counts, retry
budgets.

It is plain data in memory. The store persists the same changes, and the engine applies those that other
processes wrote. A key is known by its fingerprint, so a replaced key starts without a history."""

from __future__ import annotations

from collections.abc import Iterable

from .changes import (
    NO_KEY,
    Change,
    Cooldown,
    CooldownStarted,
    Evidence,
    KeyFailed,
    KeySucceeded,
    refuted,
    subjects,
)
from .faults import Scope
from .identity import Connection, Endpoint
from .retry_budget import Bucket

_MOST_MODELS = 1_000
"""Keys that are refused for one model, which are remembered at one time: callers name the models."""


class HealthRegistry:
    """Evidence and cooldowns, which change only by `apply` and `load`; use counts and retry budgets."""

    def __init__(self, evidence: Iterable[Evidence] = (), cooldowns: Iterable[Cooldown] = ()) -> None:
        self._uses: dict[tuple[str, str], tuple[int, int]] = {}
        self._turn = 0
        self._evidence: dict[tuple[str, str], Evidence] = {}
        self._refused: dict[tuple[str, str, str], Evidence] = {}
        self._buckets: dict[str, Bucket] = {}
        self._refuted: dict[str, float] = {}
        self.load(evidence, cooldowns)

    def load(self, evidence: Iterable[Evidence], cooldowns: Iterable[Cooldown]) -> None:
        """Take over what the store holds, the truth of all processes; a success seen here may be younger than
        the one stored."""
        here, loaded = self._evidence, {}
        for stored in evidence:  # by position: there may be a million
            fingerprint, url, first_ok, last_ok, last_fault, last_fault_at, _ = stored
            mine, stored_ok = here.get((fingerprint, url)), last_ok
            if mine is not None:
                last_ok = max(mine.last_ok or 0.0, last_ok or 0.0) or None
            parts = (fingerprint, url, first_ok, last_ok, last_fault, last_fault_at, stored_ok)
            loaded[fingerprint, url] = Evidence._make(parts)
        # In one step: another thread that looks meanwhile must not take a good key for one that never worked.
        self._evidence = loaded
        self._refused = {of: known for of, known in self._refused.items() if of[:2] in loaded}
        self._cooldowns = {cooldown.subject: cooldown for cooldown in cooldowns}

    def evidence(self, fingerprint: str, endpoint: Endpoint, model: str = "") -> Evidence:
        """Return what the key did at this endpoint; an empty record if it was never used there. With a
        `model` that it was refused for, and that it has not answered since, what was known then."""
        if model and self._refused:
            refused = self._refused.get((fingerprint, endpoint.url, model))
            if refused is not None:
                return refused
        return self._evidence.get((fingerprint, endpoint.url)) or Evidence(fingerprint, endpoint.url)

    def is_good(self, fingerprint: str, connection: Connection) -> bool:
        """Return whether the key has worked at the connection's endpoint, and nothing speaks against it."""
        if self.cooldown(fingerprint, connection) is not None:
            return False
        evidence = self.evidence(fingerprint, connection.endpoint, connection.model)
        return evidence.last_ok is not None and not evidence.suspect

    def works_elsewhere(self, fingerprint: str, endpoint: Endpoint) -> str | None:
        """Return the URL of another host where this very key worked last, if there is any (story 1)."""
        worked = [e for e in list(self._evidence.values()) if e.fingerprint == fingerprint and e.last_ok]
        others = [e for e in worked if not f"{e.url}/".startswith(f"{endpoint.origin}/")]
        return max(others, key=lambda evidence: evidence.last_ok or 0.0).url if others else None

    def cooldown(self, fingerprint: str, connection: Connection) -> Cooldown | None:
        """Return the verdict that matters most for this connection: hard before soft, then the longest; also
        if its time has passed."""
        if not self._cooldowns:
            return None
        names = subjects(fingerprint, connection.endpoint.url, connection.model, connection.account)
        verdicts = [verdict for verdict in map(self._cooldowns.get, names.values()) if verdict is not None]
        return max(verdicts, key=lambda verdict: (verdict.hard, verdict.until), default=None)

    def resting(self, connection: Connection, now: float) -> Cooldown | None:
        """Return the verdict on the connection's endpoint or model that is in force at `now`, if there is
        any: others are asked first."""
        if not self._cooldowns:
            return None
        names = subjects(NO_KEY, connection.endpoint.url, connection.model)
        for scope in (Scope.ENDPOINT, Scope.MODEL):
            verdict = self._cooldowns.get(names[scope])
            if verdict is not None and not verdict.over(now):
                return verdict
        return None

    def cooled(self, subject_name: str) -> Cooldown | None:
        """Return the verdict on one subject (see `changes.subject`), if there is any."""
        return self._cooldowns.get(subject_name)

    def use(self, connection: Connection, times: int = 1) -> None:
        """Count one use of the connection's key; with -1, take one back."""
        self._turn += 1
        of = connection.provider.name, connection.label
        self._uses[of] = (self.used(connection)[0] + times, self._turn)

    def used(self, connection: Connection) -> tuple[int, int]:
        """Return how often this process used the connection's key, and when last (a turn number)."""
        return self._uses.get((connection.provider.name, connection.label), (0, 0))

    def bucket(self, endpoint: Endpoint) -> Bucket:
        """Return the retry budget of the endpoint."""
        return self._buckets.get(endpoint.url) or self._buckets.setdefault(endpoint.url, Bucket())

    def apply(self, change: Change) -> None:
        """Apply what a request learnt, here or in another process. Changes of sessions mean nothing here."""
        match change:
            case KeySucceeded():
                self._worked(change)
            case KeyFailed(fingerprint, url, kind, at, model):
                known = self._evidence.get((fingerprint, url), Evidence(fingerprint, url))
                failed = known._replace(last_fault=kind, last_fault_at=at)
                if not model:
                    self._evidence[fingerprint, url] = failed
                    return
                if len(self._refused) >= _MOST_MODELS:
                    self._refused.clear()
                before = self._refused.setdefault((fingerprint, url, model), failed)
                self._refused[fingerprint, url, model] = before._replace(last_fault=kind, last_fault_at=at)
            case CooldownStarted(cooldown):
                self._cooldowns[cooldown.subject] = cooldown

    def _worked(self, change: KeySucceeded) -> None:
        # Spelled out in the order of the fields: every good answer passes here; patterns cost twice as much.
        fingerprint, url, at = change.fingerprint, change.url, change.at
        known = self._evidence.get((fingerprint, url)) or Evidence(fingerprint, url)
        first_ok, last_ok, stored_ok = known.first_ok or at, max(at, known.last_ok or at), known.stored_ok
        if change.durable:
            stored_ok = at
        self._evidence[fingerprint, url] = Evidence._make(
            (fingerprint, url, first_ok, last_ok, known.last_fault, known.last_fault_at, stored_ok)
        )
        if self._refused:
            self._refused.pop((fingerprint, url, change.model), None)
        if self._cooldowns:
            for name in refuted(change):
                if self._cooldowns.pop(name, None) is not None:
                    self._refuted = {**self._refuted, name: at} if len(self._refuted) < _MOST_MODELS else {}
