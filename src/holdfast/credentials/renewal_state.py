"""What all processes know about the renewals of a sign-in, in a small file beside the real secrets.toml: when
its service may be asked again, how often it has refused, and which renewal brought its refresh token.

It holds no secret, and nothing that has to survive: where it cannot be read, nothing is known. It is read and
written under the lock of the sign-in; for a workload, whose `id` is that of its request, without a lock."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Self

from .._files import NotRead, read_regular, write_private
from ..core.changes import CLOCK_SLACK
from ..core.errors import ConfigError
from .grant import Grant
from .secrets_file import SecretsFile
from .token_answers import Refusal, Verdict

LONGEST_REST = 3_600.0
"""The most seconds for which a service is not asked, whatever it wants."""
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 120.0
"""Seconds without a further attempt after a failed renewal; doubled with each failure."""
_LONGEST_FILE = 16 * 1024
_ENOUGH = {
    Verdict.SAID: (2, 0.0),
    Verdict.REFUSED: (3, 300.0),
    Verdict.TURNED_AWAY: (5, 3_600.0),
}
"""After how many equal refusals, over how many seconds, a sign-in is over where one does not say so."""


def state_path(file: SecretsFile, name: str) -> Path:
    """Return the path of what is known about the sign-in `name`."""
    return file.beside(f".oauth.{name}.state")


@dataclass(frozen=True, slots=True)
class RenewalState:
    """The state of the sign-in `id` in its renewal number `generation`; number `refresh_from` brought its
    refresh token. It rests from `rested_at` until `retry_at` after `failures` failed attempts in a row, the
    last for `reason`; it was refused as `refused` for `refusals` times, since `refused_at`. Times are epoch
    seconds."""

    id: str = ""
    generation: int = 0
    refresh_from: int = 0
    rested_at: float = 0.0
    retry_at: float = 0.0
    failures: int = 0
    reason: str = ""
    refused: str = ""
    refusals: int = 0
    refused_at: float = 0.0

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what the file says; an empty state where it says nothing."""
        try:
            known = json.loads(read_regular(path, _LONGEST_FILE, ours=True))
            values = {field.name: known.get(field.name, field.default) for field in fields(cls)}
        except (OSError, NotRead, ConfigError, ValueError, AttributeError):
            return cls()
        if any(type(values[field.name]).__name__ != field.type for field in fields(cls)):
            return cls()
        return cls(**values)

    def write(self, path: Path) -> None:
        """Write the file, if that can be done."""
        with suppress(ConfigError):
            write_private(path, json.dumps(asdict(self)) + "\n")

    def of(self, grant: Grant) -> RenewalState:
        """Return what is known about this grant: nothing, if this is the state of another."""
        if self.id != grant.id:
            return RenewalState(grant.id, grant.generation)
        if self.generation < grant.generation:  # renewed by who does not write this file
            return RenewalState(grant.id, grant.generation, self.refresh_from)
        return self

    def is_spent(self, grant: Grant) -> bool:
        """Return whether the refresh token of this grant was exchanged for a newer one."""
        return self.id == grant.id and grant.generation < self.refresh_from

    def rests(self, now: float) -> bool:
        """Return whether the service is not to be asked now. A rest that began later than now, or that no
        failure could have set, is none: the clock was put back."""
        begun = self.rested_at - CLOCK_SLACK <= now
        return begun and now < self.retry_at <= now + LONGEST_REST

    def renewed(self, grant: Grant, before: Grant) -> RenewalState:
        """Return the state after a renewal."""
        came = grant.generation if grant.refresh != before.refresh else self.of(before).refresh_from
        return RenewalState(grant.id, grant.generation, came)

    def ended(self) -> RenewalState:
        """Return the state of a sign-in that is over for good: nobody asks about it again."""
        return RenewalState(self.id, self.generation, self.refresh_from)

    def failed(self, reason: str, now: float, retry_after: float | None, rest: float = 0.0) -> RenewalState:
        """Return the state after a failed attempt: rested for as long as the service asks for, and for at
        least `rest` seconds."""
        pause = min(_FIRST_PAUSE * 2 ** min(self.failures, 10), _LONGEST_PAUSE)
        wait = min(max(pause, rest, retry_after or 0.0), LONGEST_REST)
        failures = self.failures + 1
        return replace(self, rested_at=now, retry_at=now + wait, failures=failures, reason=reason)

    def counted(self, refusal: Refusal, status: int, now: float) -> RenewalState:
        """Return the state with a refusal counted, if it says anything about the sign-in."""
        if refusal.verdict not in _ENOUGH:
            return self
        refused = f"{refusal.verdict.name} {status} {refusal.code}"
        if refused != self.refused or not self.refused_at <= now:
            return replace(self, refused=refused, refusals=1, refused_at=now)
        return replace(self, refusals=self.refusals + 1)

    def is_enough(self, refusal: Refusal, now: float) -> bool:
        """Return whether the refusal, which is counted already, came often enough to end the sign-in."""
        if refusal.verdict not in _ENOUGH:
            return refusal.verdict in (Verdict.OVER, Verdict.CLIENT)
        times, seconds = _ENOUGH[refusal.verdict]
        return self.refusals >= times and now - self.refused_at >= seconds
