"""The lines of `holdfast key list`: the last characters of a key's value, and what happened with the key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..engine.resting import Resting
from .context import CliContext
from .key_ends import login_command
from .output import clock, finite
from .references import is_free_to_read

if TYPE_CHECKING:
    from ..core.changes import Cooldown, Evidence
    from ..core.identity import Key, Provider
    from ..credentials.grant import Grant


@dataclass(frozen=True, slots=True)
class History:
    """Evidence and active cooldowns of all keys, as the store knows them now."""

    context: CliContext
    evidence: Mapping[str, Sequence[Evidence]]
    resting: Resting

    @classmethod
    def of(cls, context: CliContext) -> History:
        """Read the history from the store. It is empty while there is no store."""
        store = context.existing_store
        now = store.now()
        resting = Resting(cooldown for cooldown in store.cooldowns() if not cooldown.over(now))
        evidence: dict[str, list[Evidence]] = {}
        for row in store.evidence():
            evidence.setdefault(row.fingerprint, []).append(_in_force(row, now))
        return cls(context, evidence, resting)

    @classmethod
    def empty(cls, context: CliContext) -> History:
        """Return the history of keys of which nothing is known."""
        return cls(context, {}, Resting(()))

    def view(self, provider: Provider, key: Key) -> dict[str, Any]:
        """Return a key as JSON values.

        `state` is found (where it is not renewed, `why` says so), missing (`why` gives the reason) or not
        read; a cooldown without an end has null as `until`.
        """
        from ..core.changes import subject_prefixes
        from ..values.secret import redact

        vault = self.context.vault
        tail, state, why = _read(self.context, provider, key)
        fingerprint = None
        if self.evidence or self.resting:  # only then the pepper is read, and created if there is none
            fingerprint = vault.fingerprint(key, vault.pepper())
        prefixes = subject_prefixes(fingerprint, key)
        return {
            "provider": provider.name,
            "label": key.label,
            "reference": redact(f"{key.ref} {key.value}".rstrip()),
            "account": key.account,
            "tail": tail,
            "state": state,
            "why": why,
            "ends": vault.ends(key),
            "evidence": [_evidence(row) for row in self.evidence.get(fingerprint or "", ())],
            "verdicts": [_cooldown(row) for row in self.resting.beginning(prefixes)],
        }


def lines_of(shown: dict[str, Any]) -> Iterator[str]:
    """Yield what happened with a key, in phrases; `shown` is its view."""
    if shown["why"]:
        yield shown["why"]
    if shown["ends"] is not None:
        renewal = "" if shown["why"] else " and is renewed automatically"
        yield f"its token ends {clock(shown['ends'])}{renewal}"
    for evidence in shown["evidence"]:
        host = evidence["url"].partition("://")[2].partition("/")[0]
        last_ok = evidence["last_ok"]
        if last_ok is None:
            yield f"never worked at {host}"
        else:
            yield f"worked at {host} {clock(last_ok)}"
        if evidence["last_fault"] and (evidence["last_fault_at"] or 0) > (last_ok or 0):
            yield f"{evidence['last_fault']} {clock(evidence['last_fault_at'])}"
    for cooldown in shown["verdicts"]:
        until = "the key changes"
        if cooldown["until"] is not None:
            until = clock(cooldown["until"])
        reset = f"holdfast key reset {shown['provider']} {shown['label']}"
        about = f" for {cooldown['model']}" if cooldown["model"] else ""
        yield f"{cooldown['fault']}{about} until {until} ({reset})"


def standing(shown: dict[str, Any], urls: Collection[str]) -> dict[str, Any]:
    """Return how a key stands now at the URLs where it is used, from its view: `state`, the reason, and the
    end of its cooldown (epoch seconds). A cooldown of one model leaves the key working."""
    whole = [row for row in shown["verdicts"] if not row["model"]]
    for row in whole:
        if row["until"] is None:
            return _standing("refused", f"{row['fault']} {clock(row['since'])}, until it changes")
    if shown["state"] == "missing":
        return _standing("missing", shown["why"])
    if whole:
        row = max(whole, key=lambda row: row["until"])
        return _standing("resting", f"{row['fault']} until {clock(row['until'])}", row["until"])
    for row in shown["verdicts"]:
        until = "it changes" if row["until"] is None else clock(row["until"])
        return _standing("works", f"{row['model']}: {row['fault']} until {until}", row["until"])
    here = [row for row in shown["evidence"] if row["url"] in urls]
    last = max(here, key=lambda row: max(row["last_ok"] or 0, row["last_fault_at"] or 0), default=None)
    if last is None:
        return _standing("untested", "")
    if last["last_ok"] is None or (last["last_fault_at"] or 0) > last["last_ok"]:
        return _standing("failed", f"{last['last_fault']} {clock(last['last_fault_at'])}")
    return _standing("works", f"last {clock(last['last_ok'])}")


def _standing(state: str, why: str, until: float | None = None) -> dict[str, Any]:
    return {"state": state, "why": why, "until": until}


def _in_force(row: Evidence, now: float) -> Evidence:
    """Return evidence without a fault from a time that is still to come: the clock was set back since."""
    from ..core.changes import CLOCK_SLACK

    if (row.last_fault_at or 0.0) > now + CLOCK_SLACK:
        return row._replace(last_fault=None, last_fault_at=None)
    return row


def _evidence(row: Evidence) -> dict[str, Any]:
    return {
        "url": row.url,
        "first_ok": row.first_ok,
        "last_ok": row.last_ok,
        "last_fault": row.last_fault and str(row.last_fault),
        "last_fault_at": row.last_fault_at,
    }


def _cooldown(row: Cooldown) -> dict[str, Any]:
    return {
        "about": row.subject.partition("@")[2],
        "model": row.subject.partition("#")[2],
        "fault": str(row.fault.kind),
        "since": row.since,
        "until": finite(row.until),
    }


def _read(context: CliContext, provider: Provider, key: Key) -> tuple[str, str, str]:
    """Return (last characters, state, reason) of a key's value."""
    from ..core.errors import SecretMissing

    scheme, _, name = key.ref.partition(":")
    if scheme == "oauth":
        state, why = _signed_in(context.vault.file.grant(name))
        if why:
            why = f"{why}: {login_command(provider, key)}"
        return "", state, why
    if not is_free_to_read(key):
        return "", "not read", ""
    try:
        return str(context.vault.secret(key)), "found", ""
    except SecretMissing as error:
        return "", "missing", "; ".join(error.tried)


def _signed_in(grant: Grant | None) -> tuple[str, str]:
    """Return the state of a sign-in, and why it is missing or is not renewed."""
    if grant is None:
        return "missing", "not signed in"
    if grant.ended:
        return "missing", grant.ended
    if grant.refresh is None and grant.expires_at is not None:
        return "found", "no refresh token"
    return "found", ""
