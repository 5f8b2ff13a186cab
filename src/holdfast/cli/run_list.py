"""`holdfast run --list`: the programs that can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import show_json, table

if TYPE_CHECKING:
    from ..harness.base import Harness


def list_programs(*, as_json: bool) -> None:
    """Print the programs that can be run, and those that cannot, with the reason."""
    from ..harness import HARNESSES

    if as_json:
        show_json([_view(harness) for harness in HARNESSES.values()])
        return
    table(
        ("HARNESS", "PROGRAM", "SPEAKS", "STATE"),
        [(harness.name, harness.title, _spoken(harness), _state(harness)) for harness in HARNESSES.values()],
        empty="",
    )


def _view(harness: Harness) -> dict[str, str]:
    """Return a program as JSON values. `why_not` is empty when it can be run."""
    return {
        "name": harness.name,
        "title": harness.title,
        "speaks": _spoken(harness),
        "tested": harness.tested,
        "why_not": harness.no_plan,
    }


def _spoken(harness: Harness) -> str:
    return ", ".join(harness.speaks) or harness.wire


def _state(harness: Harness) -> str:
    if harness.no_plan:
        return f"no: {harness.no_plan}"
    if harness.tested:
        return f"tested with {harness.tested}"
    return "written from its documentation, not tested"
