"""The settings of a record, as its provisioner reads them: what it cannot do without, and the limits of the
new key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import ConfigError
from ..core.provisioning_state import Record

_OPTIONS = {"url": "--url URL", "admin": "--admin REF", "ref": "--ref REF", "session": "--email ADDRESS"}
"""The options of `holdfast provision` that give a setting."""


def setting(record: Record, name: str) -> str:
    """Return a setting that the record's kind cannot do without. Raises ConfigError where it is missing."""
    value = record.settings.get(name)
    if not value:
        command = f"holdfast provision {record.name} --kind {record.kind} {_OPTIONS[name]}"
        raise ConfigError(
            f"'{record.name}' has no '{name}', which a provider of the kind {record.kind} needs",
            next_step=f"{command}   (beside its other options)",
        )
    return str(value)


def limits_of(record: Record, options: Mapping[str, str]) -> dict[str, Any]:
    """Return the limits in a record's settings, by the names that the service has for them (`options`)."""
    return {theirs: record.settings[ours] for ours, theirs in options.items() if record.settings.get(ours)}


def described_limits(record: Record, options: Mapping[str, str]) -> str:
    """Return the limits in a record's settings as a text for the user; empty without any."""
    return ", ".join(f"{name} {record.settings[name]}" for name in options if record.settings.get(name))
