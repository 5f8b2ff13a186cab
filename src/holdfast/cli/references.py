"""References to keys that a command may read only to look at the key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.identity import Key
    from ..values.secret import Secret

_LABEL_BYTES = 4
_FREE_TO_READ = ("env", "file", "store")


def new_label() -> str:
    """Return the label of a key that is stored without a name: random, since a number would be taken for a
    position."""
    return f"kept-{os.urandom(_LABEL_BYTES).hex()}"


def in_this_shell(ref: str) -> str:
    """Return whose value of a reference we read, where a running gateway may read another; "" elsewhere."""
    return " in this shell" if ref.startswith("env:") else ""


def dotenv_step(keys: Sequence[Key]) -> str:
    """Return the command that exports what ./.env sets, where it sets the variable of one of these keys; ""
    where it does not."""
    from ..harness.environment import overriding_lines

    variables = [key.ref.partition(":")[2] for key in keys if key.ref.startswith("env:")]
    try:
        names = [name for _, name in overriding_lines(Path(".env").read_text("utf-8"), variables)]
    except (OSError, ValueError):
        return ""
    for name in names:
        if name in variables:
            return f"set -a; . ./.env; set +a   (it sets {name}; Holdfast reads no such file by itself)"
    return ""


def oddity_of(secret: Secret) -> str:
    """Return what seems to have been pasted with a key, in words; "" for a key that looks like one."""
    if any(secret.starts_with(mark) for mark in ('"', "'")):
        return "begins with a quotation mark, which is sent with it"
    if any(secret.starts_with(word) for word in ("Bearer ", "bearer ")):
        return "begins with the word Bearer, which is sent twice then"
    if secret.starts_with("$"):
        return "begins with $, as the name of a variable does, and not its value"
    return ""


def is_free_to_read(key: Key) -> bool:
    """Tell whether reading a key runs no program, asks no keyring and needs no sign-in."""
    return key.ref.partition(":")[0] in _FREE_TO_READ
