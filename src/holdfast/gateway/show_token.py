"""Prints the token of a connected program, after its gateway has proved that it is this home's: the command
that `holdfast connect` writes into the configuration of programs that read their token from a command.

    python -P -m holdfast.gateway.show_token URL PEPPER TOKEN_FILE

PEPPER is the pepper's file, or the reference of `[store] pepper`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ..core.errors import HoldfastError
from .listener import Listener, proof_key, who_listens


def main(arguments: Sequence[str]) -> int:
    """Print the token, or on standard error why it is not shown. Return the exit code."""
    url, pepper, token = arguments
    try:
        key = proof_key(_read_pepper(pepper))
        shown = Path(token).read_text("utf-8").strip()
    except HoldfastError as error:
        return _refuse(f"cannot prove whose gateway listens at {url}: {error.what}", error.next_step)
    except (OSError, ValueError) as error:
        return _refuse(f"cannot read the token of this connection: {error}", "holdfast doctor")
    listener = who_listens(url, key)
    if listener is Listener.NOBODY:
        return _refuse(f"no gateway listens at {url}", "holdfast serve")
    if listener is Listener.STRANGER:
        what = (
            f"the program that listens at {url} is not the gateway of this home; it was not shown the token"
        )
        return _refuse(what, "holdfast status")
    sys.stdout.write(shown)
    return 0


def _read_pepper(where: str) -> bytes:
    """Return the pepper. Raises OSError, ValueError, and ConfigError for a reference that leads to none."""
    if Path(where).is_absolute():
        return bytes.fromhex(Path(where).read_text("ascii"))
    from ..credentials import Vault

    return Vault(Path("secrets.toml"), pepper=lambda: where).pepper()


def _refuse(what: str, run: str) -> int:
    sys.stderr.write(f"holdfast: {what}\n  run: {run}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
