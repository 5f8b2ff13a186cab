"""A fault as JSON values and back, as cool-downs and journal lines hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from ..core.faults import Confidence, Fault, FaultClass, Origin, Phase, Scope

_USUAL = asdict(Fault(FaultClass.UNKNOWN))


def dump_fault(fault: Fault) -> dict[str, object]:
    """Return a fault as JSON values, without the fields that say nothing."""
    values = asdict(fault)
    values["signs"] = list(fault.signs)
    told = {
        name: value for name, value in values.items() if name != "kind" and value not in (_USUAL[name], [])
    }
    return {"kind": str(fault.kind)} | told


def load_fault(data: Mapping[str, object]) -> Fault:
    """Return the fault that `dump_fault` wrote. Raises KeyError, TypeError or ValueError for anything
    else."""
    known: dict[str, object] = {name: data[name] for name in _USUAL if name in data}
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
