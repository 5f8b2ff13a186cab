"""The checks of `doctor` on sessions: each choice is looked at once, however many sessions are on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.config import Config
from ..core.session import Session
from ..engine.sessions import obstacle
from ..store.base import Store
from .doctor_files import Finding
from .output import FEW, count
from .session import view


def check_sessions(config: Config, store: Store) -> Iterator[Finding]:
    """Find sessions that would not resume. Of one choice, the last changed are named. Raises
    HoldfastError."""
    broken = store.broken_sessions()
    for row in broken[:FEW]:
        yield _lost(view(config, row, store))
    if len(broken) > FEW:
        what = f"{count(len(broken) - FEW, 'other session')} cannot be read"
        yield Finding("session", "wrong", what, "holdfast session list")
    good, wrong = 0, len(broken)
    for choice in store.choices():
        if obstacle(config, Session("any", choice.pin, choice.key or None)) is None:
            good += choice.sessions
            continue
        wrong += choice.sessions
        for session in store.sessions_on(choice, FEW):
            yield _lost(view(config, session, store))
        if choice.sessions > FEW:
            what = f"{count(choice.sessions - FEW, 'other session')} on {choice.pin} would not resume either"
            run = f"holdfast session move --from {choice.pin.provider} --to PROVIDER"
            yield Finding("session", "wrong", what, run)
    if not wrong:
        yield Finding("session", "ok", f"{count(good, 'session')} would resume")


def _lost(shown: dict[str, Any]) -> Finding:
    """Return the finding of a session that would not resume; `shown` is its view."""
    what = f"'{shown['id']}' on {shown['pin']} would not resume: {shown['why_not']}"
    if shown["candidates"]:
        what += f"; it could be: {', '.join(shown['candidates'])}"
    return Finding("session", "wrong", what, shown["run"])
