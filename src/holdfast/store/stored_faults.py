"""Faults as JSON values and back, as cooldowns and journal events store them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from ..core.faults import Confidence, Fault, FaultClass, Origin, Phase, Scope

_DEFAULTS = asdict(Fault(FaultClass.UNKNOWN))


def dump_fault(fault: Fault) -> dict[str, object]:
    """Return a fault as JSON values, without fields that have their default."""
    values = asdict(fault)
    values["signs"] = list(fault.signs)
    kind = str(values.pop("kind"))
    set_values = {name: value for name, value in values.items() if value not in (_DEFAULTS[name], [])}
    return {"kind": kind, **set_values}


def load_fault(data: Mapping[str, object]) -> Fault:
    """Return the fault that `dump_fault` wrote. Raises KeyError, TypeError or ValueError for anything
    else."""
    known: dict[str, object] = {name: data[name] for name in _DEFAULTS if name in data}
    read = {
        "kind": FaultClass,
        "scope": Scope,
        "origin": Origin,
        "phase": Phase,
        "confidence": Confidence,
        "signs": tuple,
    }
    for name, make in read.items():
        if name in known:
            known[name] = make(known[name])
    return Fault(**known)  # type: ignore[arg-type]
