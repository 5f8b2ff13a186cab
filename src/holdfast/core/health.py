"""What is known of keys and endpoints: evidence, cool-downs, and the changes that make them.

`Board` is the read model the core decides on. It is plain data in memory: the store persists the same changes
and the runtime replays what other processes wrote. A key is known by its fingerprint, so a replaced key
starts with a clean slate."""

from __future__ import annotations

from collections.abc import Iterable

from .changes import (
    Change,
    Cooldown,
    CooldownStarted,
    Evidence,
    KeyFailed,
    KeySucceeded,
    _subjects,
    cleared_by,
)
from .identity import Connection, Endpoint
from .retry_budget import Bucket


class HealthRegistry:
    """Evidence, cool-downs, use counts and retry budgets in memory. It changes only by `apply` and `load`."""

    def __init__(self, evidence: Iterable[Evidence] = (), cooldowns: Iterable[Cooldown] = ()) -> None:
        self._uses: dict[tuple[str, str], tuple[int, int]] = {}
        self._turn = 0
        self._evidence: dict[tuple[str, str], Evidence] = {}
        self._buckets: dict[str, Bucket] = {}
        self.load(evidence, cooldowns)

    def load(self, evidence: Iterable[Evidence], cooldowns: Iterable[Cooldown]) -> None:
        """Take over what the store holds, the truth of all processes; a success seen here may be younger than
        the one stored."""
        here, loaded = self._evidence, {}
        for one in evidence:
            mine = here.get((one.fingerprint, one.url), one)
            last_ok = max(mine.last_ok or 0.0, one.last_ok or 0.0) or None
            loaded[one.fingerprint, one.url] = one._replace(last_ok=last_ok, stored_ok=one.last_ok)
        # In one step: another thread that looks meanwhile must not take a good key for one that never worked.
        self._evidence = loaded
        self._cooldowns = {one.subject: one for one in cooldowns}

    def evidence(self, fingerprint: str, endpoint: Endpoint) -> Evidence:
        """What the key did at this endpoint; an empty record if it was never used there."""
        found = self._evidence.get((fingerprint, endpoint.url))
        return found if found is not None else Evidence(fingerprint, endpoint.url)

    def works_elsewhere(self, fingerprint: str, endpoint: Endpoint) -> str | None:
        """The URL of another host where this very key worked last, if any (story 1's wrong door)."""
        mine = [
            one
            for one in list(self._evidence.values())
            if one.fingerprint == fingerprint and one.last_ok is not None
        ]
        others = [one for one in mine if not f"{one.url}/".startswith(f"{endpoint.origin}/")]
        return max(others, key=lambda e: e.last_ok or 0.0).url if others else None

    def cooldown(self, fingerprint: str, connection: Connection) -> Cooldown | None:
        """The verdict that matters most for this connection: hard before soft, then the longest; also if its
        time has passed."""
        if not self._cooldowns:
            return None
        names = _subjects(fingerprint, connection.endpoint.url, connection.model, connection.account)
        found = [one for one in map(self._cooldowns.get, names.values()) if one is not None]
        return max(found, key=lambda c: (c.hard, c.until)) if found else None

    def cooled(self, subject_name: str) -> Cooldown | None:
        return self._cooldowns.get(subject_name)

    def use(self, connection: Connection) -> None:
        """Count one use of the connection's key."""
        self._turn += 1
        self._uses[connection.provider.name, connection.label] = (self.used(connection)[0] + 1, self._turn)

    def used(self, connection: Connection) -> tuple[int, int]:
        """How often this process used the connection's key, and when last (a turn number)."""
        return self._uses.get((connection.provider.name, connection.label), (0, 0))

    def bucket(self, endpoint: Endpoint) -> Bucket:
        found = self._buckets.get(endpoint.url)
        return found if found is not None else self._buckets.setdefault(endpoint.url, Bucket())

    def apply(self, change: Change) -> None:
        match change:
            case KeySucceeded():
                self._worked(change)
            case KeyFailed(fingerprint, url, kind, at):
                known = self._evidence.get((fingerprint, url), Evidence(fingerprint, url))
                self._evidence[fingerprint, url] = known._replace(last_fault=kind, last_fault_at=at)
            case CooldownStarted(cooldown):
                self._cooldowns[cooldown.subject] = cooldown

    def _worked(self, change: KeySucceeded) -> None:
        # Spelled out because every good answer passes here: class patterns and `_replace` would cost twice as
        # much.
        at, place = change.at, (change.fingerprint, change.url)
        known = self._evidence.get(place)
        if known is None:
            self._evidence[place] = Evidence(*place, at, at, stored_ok=at if change.durable else None)
        else:
            stored = at if change.durable else known.stored_ok
            self._evidence[place] = Evidence(
                *place,
                known.first_ok or at,
                max(at, known.last_ok or at),
                known.last_fault,
                known.last_fault_at,
                stored,
            )
        for name in cleared_by(change) if self._cooldowns else ():
            self._cooldowns.pop(name, None)
