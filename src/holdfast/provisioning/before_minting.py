"""What else is known about a record before a key is requested: the settings of now, and keys that the store
does not know, because it was restored to an older state."""

from __future__ import annotations

from dataclasses import replace

from ..core.errors import NotReady
from ..core.provisioning_state import Capability, Record, State, granted, intend
from .base import Tools, is_intent_of
from .ports import LeftOver, ProvisioningPorts


def newer_state(record: Record, ports: ProvisioningPorts, tools: Tools) -> Record | None:
    """Return the record with what a newer state of it had, before the store was restored: a key that is kept
    here, or the intent of a response that is; None without either. Raises NotReady for a key of which nobody
    knows the address."""
    now, there = ports.records.now(), ports.left_over(record)
    if there is not None:
        return _taken_over(record, there, now)
    for intent in ports.answers.intents():
        if intent != record.intent and is_intent_of(record, intent, tools):
            return intend(record, intent, now)
    return None


def _taken_over(record: Record, there: LeftOver, now: float) -> Record:
    """Return the record with the key that a newer state of it had obtained. Raises NotReady if it is not
    known what address that key is for."""
    if not there.url:
        what = f"a key of an earlier set-up of '{record.name}' is stored here, and no other is obtained"
        adopt = f"holdfast provision adopt {record.name} --kind {record.kind} --url URL --from {there.ref}"
        raise NotReady(what, reason="needs_operator", details=[f"it is {there.ref}"], next_step=adopt)
    known = replace(record, epoch=there.epoch, minted=max(record.minted, 1))
    return granted(known, now, url=there.url, key=there.ref)


def with_settings(stored: Record, given: Record) -> Record:
    """Return the stored record with the settings of `given`, if it has no key, and its request is not sent
    yet or may be repeated."""
    may_be_repeated = stored.kind == given.kind and stored.capability is not Capability.ONE_SHOT
    takes = stored.state in (State.ABSENT, State.RETIRED)
    if not takes and not (stored.state is State.INTENT and may_be_repeated):
        return stored
    return replace(
        stored,
        kind=given.kind,
        capability=given.capability,
        settings=given.settings,
        roles=given.roles,
    )
