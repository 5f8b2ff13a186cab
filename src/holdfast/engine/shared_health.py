"""What is known about keys and endpoints, kept up with what other processes store."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.changes import CLOCK_SLACK, Cooldown, Evidence
from ..core.health import HealthRegistry
from ..store.base import COOLDOWN_KEPT, EVIDENCE_KEPT
from ..store.feed import REFUTED_LEVEL

_MOST_ENDED = 10_000
"""Cooldowns above whose number those that ended are forgotten at once."""


class SharedHealth(HealthRegistry):
    """The knowledge of one process, to which the rows that others change are added one by one."""

    def learn(self, evidence: Iterable[Evidence], cooldowns: Iterable[Cooldown]) -> None:
        """Take over rows of the store that changed. What this process has learnt since stays."""
        for stored in evidence:
            self._learn_evidence(stored)
        for cooldown in cooldowns:
            if self._is_later_here(cooldown):
                continue
            if cooldown.level == REFUTED_LEVEL:
                self._cooldowns.pop(cooldown.subject, None)
            else:
                self._cooldowns[cooldown.subject] = cooldown

    def forget(self) -> None:
        """Forget cooldowns that ended long ago, and keys that nobody has used for long: by the last use of a
        key, so that a clock that is wrong makes nothing old."""
        known = list(self._evidence.items())
        used = [max(each.last_ok or 0.0, each.last_fault_at or 0.0) for _, each in known]
        last = max(used, default=0.0)
        if min(used, default=last) < last - EVIDENCE_KEPT:
            for (of, _), at in zip(known, used, strict=True):
                if at < last - EVIDENCE_KEPT:
                    self._evidence.pop(of, None)
        kept = COOLDOWN_KEPT if len(self._cooldowns) <= _MOST_ENDED else 0.0
        for cooldown in list(self._cooldowns.values()):
            if cooldown.until <= last - kept:
                self._cooldowns.pop(cooldown.subject, None)

    def _learn_evidence(self, stored: Evidence) -> None:
        of = stored.fingerprint, stored.url
        if stored.untested:
            self._evidence.pop(of, None)
            for refused in [refused for refused in list(self._refused) if refused[:2] == of]:
                self._refused.pop(refused, None)
            return
        # A success seen here may be younger than the one stored.
        mine = self._evidence.get(of, stored)
        last_ok = max(mine.last_ok or 0.0, stored.last_ok or 0.0) or None
        self._evidence[of] = stored._replace(last_ok=last_ok, stored_ok=stored.last_ok)

    def _is_later_here(self, stored: Cooldown) -> bool:
        """Return whether a later verdict or good answer is known here, which the store does not know yet."""
        mine = self._cooldowns.get(stored.subject)
        later = self._refuted.get(stored.subject, 0.0) if mine is None else mine.since
        return stored.since < later <= stored.since + CLOCK_SLACK
