"""The pepper: the secret by which keys are recognised without being stored."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from pathlib import Path

from .._files import cannot, locked, quoted, write_private
from ..core.errors import ConfigError
from .sources import Source, Unreadable

_BYTES = 32
MAKE = "python3 -c 'import secrets; print(secrets.token_hex(32))'   (its content, the same for all gateways)"
"""The command that prints a new pepper."""
_PURPOSE = b"the pepper of a store"


class Pepper:
    """The pepper of a home: in the file `path`, which is created on first use, or where a reference leads
    (`env:`, `file:`, `cmd:`), if one is given. `source` returns the reader of a reference."""

    def __init__(self, path: Path, reference: Callable[[], str], source: Callable[[str], Source]) -> None:
        self._path, self._reference, self._source = path, reference, source

    def value(self) -> bytes:
        """Return the 32 bytes. All processes get the same. Raises ConfigError."""
        reference = self._reference()
        if not reference:
            return self._in_file()
        try:
            return _decoded(self._source(reference).read().reveal())
        except Unreadable as error:
            reason = str(error)
        except ValueError:
            reason = f"it does not hold {2 * _BYTES} hexadecimal digits"
        raise ConfigError(f"store.pepper: {reference.partition(':')[0]}: {reason}", next_step=MAKE)

    def _in_file(self) -> bytes:
        path = self._path
        if not path.exists():
            with locked(path):
                if not path.exists():
                    write_private(path, os.urandom(_BYTES).hex() + "\n")
        try:
            return _decoded(path.read_text("ascii"))
        except OSError as error:
            raise cannot("read", path, error) from None
        except ValueError:
            step = f"rm {quoted(path)}   (forgets what is known about keys)"
        raise ConfigError(f"{path} is damaged", next_step=step)


def check_value(pepper: bytes) -> str:
    """Return what tells in a store which pepper its homes have, and nothing about it."""
    return hmac.digest(pepper, _PURPOSE, "sha256").hex()[:16]


def _decoded(text: str) -> bytes:
    """Return the bytes. Raises ValueError without a trace of the text."""
    try:
        pepper = bytes.fromhex(text)
    except ValueError:
        pepper = b""
    if len(pepper) != _BYTES:
        raise ValueError
    return pepper
