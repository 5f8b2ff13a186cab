"""References to keys that a command may read only to look at the key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.identity import Key

_LABEL_BYTES = 4
_FREE_TO_READ = ("env", "file", "store")


def new_label() -> str:
    """Return the label of a key that is stored without a name: random, since a number would be taken for a
    position."""
    return f"kept-{os.urandom(_LABEL_BYTES).hex()}"


def in_this_shell(ref: str) -> str:
    """Return whose value of a reference we read, where a running gateway may read another; "" elsewhere."""
    return " in this shell" if ref.startswith("env:") else ""


def is_free_to_read(key: Key) -> bool:
    """Tell whether reading a key runs no program, asks no keyring and needs no sign-in."""
    return key.ref.partition(":")[0] in _FREE_TO_READ
