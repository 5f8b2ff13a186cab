"""The gate before another program, and the check after it: which dialect carries the connection, and did the chosen model
answer? Decided by dialect alone, never by a vendor's or a deployment's name (story 2)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .errors import CannotHandOver
from .identity import Dialect, Provider

_DATED = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{4}|latest|preview)$")


def dialect_for(harness: str, speaks: Sequence[Dialect], provider: Provider) -> Dialect:
    """The first dialect in the harness's order that the provider has. Raises CannotHandOver naming both sides."""
    for dialect in speaks:
        if dialect in provider.dialects:
            return dialect
    raise CannotHandOver(
        f"{harness} speaks {', '.join(speaks)}; provider '{provider.name}' has {', '.join(provider.dialects)}",
        next_step=f"holdfast models --harness {harness}   (shows which of your providers it can use)",
    )


def same_model(chosen: str, answered: str) -> bool:
    """Whether the model that a provider says it answered with is the chosen one: case, a vendor's prefix (`models/…`,
    `xiaomi/…`), a variant (`:free`) and a date or `latest` at the end make no difference."""
    return bool(answered) and _family(chosen) == _family(answered)


def _family(model: str) -> str:
    name = model.lower().rsplit("/", 1)[-1].partition(":")[0]
    return _DATED.sub("", name)
