"""The refusal of a request about an object that belongs to an account which its session does not use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.changes import Owner
from ..core.config import Config
from ..core.errors import HoldfastError
from ..core.identity import ProviderName
from ..core.session import Session

_MOST_OFFERED = 10


class OtherAccount(HoldfastError):
    """A request is about something that was made with a key which its session may not use."""

    exit_code = 2

    def __init__(self, what: str, *, candidates: Sequence[str] = (), next_step: str) -> None:
        self.candidates = tuple(candidates)
        super().__init__(what, details=[f"could be: {name}" for name in candidates], next_step=next_step)

    def facts(self) -> dict[str, Any]:
        return {"candidates": list(self.candidates)}


def other_account(name: str, owner: Owner, session: Session, config: Config) -> OtherAccount:
    """Return the refusal for the object `name` of an `owner` that is none of the session's keys."""
    made_by = f"provider '{owner.provider}'"
    if owner.label:
        made_by = f"key '{owner.label}' of {made_by}"
    what = f"'{name}' belongs to {made_by}"
    provider = config.providers.get(ProviderName(owner.provider))
    if provider is None:
        return OtherAccount(f"{what}, which is not configured any more", next_step="holdfast provider list")
    if owner.label and owner.label not in [key.label for key in provider.keys]:
        step = f"holdfast key list {provider.name}"
        return OtherAccount(f"{what}, which the provider does not have any more", next_step=step)
    if provider.name == session.pin.provider:
        step = f"holdfast session pin {session.id} {session.pin} --key {owner.label}"
        return OtherAccount(f"{what}, and session '{session.id}' uses another key", next_step=step)
    pins = [f"{provider.name}/{model}" for model in provider.models or ()]
    pin = pins[0] if len(pins) == 1 else f"{provider.name}/MODEL"
    step = f"holdfast session pin {session.id} {pin}   (or ask in a session that is on {provider.name})"
    what += f", and session '{session.id}' is on '{session.pin}'"
    return OtherAccount(what, candidates=pins[:_MOST_OFFERED], next_step=step)
