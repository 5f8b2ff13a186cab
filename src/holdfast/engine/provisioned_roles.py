"""The roles of several applications that share one provider: each gets models by its own patterns.

The first application's role has the name that the application gave it. Another one's role of that name, with
other patterns, is stored beside it under a name of its own (`answer-1f2e3d4c`). What an operator fixed holds
for every application that has no role of its own yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from ..core.identity import Pin
from ..core.model_roles import Role
from ..core.provisioning_state import Record

Roles = tuple[Role, ...]
_LONGEST = 23
_MOST_BESIDE = 16
"""Roles beside the first ones that a record keeps; the oldest goes, and comes back with its application."""


def with_roles(record: Record, wanted: Roles) -> Record:
    """Return the record with the roles that an application wants; the same record if it has them."""
    for role in wanted:
        if stored_role(record, role) is None:
            record = _added(record, role)
    return record


def fixed(record: Record, roles: Sequence[Role]) -> Record:
    """Return the record with roles that its operator decided, without the models that they had, and without
    what was withdrawn."""
    names = {role.name for role in roles}
    others = [role for role in record.roles if role.name not in names]
    decided = [replace(role, fixed=True) for role in roles]
    bound = {name: model for name, model in record.bound.items() if name not in names}
    return replace(record, roles=(*decided, *others), bound=bound, gone={})


def stored_role(record: Record, wanted: Role) -> Role | None:
    """Return the role of a record that an application means; None if it has to be added."""
    known = {role.name: role for role in record.roles}
    first, beside = known.get(wanted.name), known.get(_name_beside(wanted))
    if first is None or first.patterns == wanted.patterns:
        return first
    if beside is not None:
        return beside
    return first if first.fixed else None


def unbound(record: Record, wanted: Roles) -> bool:
    """Return whether a role that an application wants has no model; without `wanted`, any role."""
    stored = [stored_role(record, role) for role in wanted]
    missing = record.missing
    if not wanted:
        return bool(missing)
    return any(role is None or role.name in missing for role in stored)


def pins_for(record: Record, wanted: Roles) -> dict[str, Pin]:
    """Return the pins of a record's roles, by the names that the application has for those that it wants."""
    pins = {role: Pin(record.name, model) for role, model in record.bound.items()}
    own = {role.name: stored_role(record, role) for role in wanted}
    stored_names = {stored.name for stored in own.values() if stored is not None}
    others = {name: pin for name, pin in pins.items() if name not in own and name not in stored_names}
    return others | {
        name: pins[stored.name] for name, stored in own.items() if stored is not None and stored.name in pins
    }


def _added(record: Record, role: Role) -> Record:
    if any(role.name == known.name for known in record.roles):
        role = replace(role, name=_name_beside(role))
    beside = [known for known in record.roles if known.name == _name_beside_of(known)]
    dropped = {known.name for known in beside[: max(0, len(beside) - _MOST_BESIDE + 1)]}
    kept = [known for known in record.roles if known.name not in dropped]
    bound = {name: model for name, model in record.bound.items() if name not in dropped}
    return replace(record, roles=(*kept, role), bound=bound)


def _name_beside(role: Role) -> str:
    """Return the name under which a role is stored beside another one of its name."""
    digest = sha256("\n".join(role.patterns).encode()).hexdigest()
    return f"{role.name[:_LONGEST]}-{digest[:8]}"


def _name_beside_of(stored: Role) -> str:
    """Return the name that a stored role has if it is one beside another."""
    return _name_beside(replace(stored, name=stored.name[:-9] or "x"))
