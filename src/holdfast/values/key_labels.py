"""The label of a key to which its user gave none. A choice is stored by this name, so it must go on meaning
the same key whatever else is written into the file (law 2)."""

from __future__ import annotations

import hashlib
import re

LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMING_SCHEMES = ("env", "store", "oauth", "wif", "call")
_HEX_DIGITS = 8
_POSITION = re.compile(r"k[1-9]\d{0,3}")


def label_of(reference: str) -> str:
    """Return the label of a key whose user gave it none: the name that its reference writes, or its scheme
    with the first eight hexadecimal digits of the SHA-256 of the whole reference."""
    scheme, _, name = reference.partition(":")
    if scheme in _NAMING_SCHEMES and LABEL.fullmatch(name):
        return name
    return f"{scheme}-{hashlib.sha256(reference.encode()).hexdigest()[:_HEX_DIGITS]}"


def is_position(label: str) -> bool:
    """Return whether older software may have made this label from the position of a key."""
    return _POSITION.fullmatch(label) is not None
