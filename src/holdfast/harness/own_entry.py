"""The marks by which an entry of a program's configuration is known as our own gateway: what `connect` and
`run` write, and what their users write by hand after our documentation.

Every importer asks here. An entry that leads back to us is no provider."""

from __future__ import annotations

import re
from collections.abc import Collection

from ..values.addresses import is_loopback
from ..values.secret import Secret
from .base import TOKEN

SHOW_TOKEN = "holdfast.gateway.show_token"  # noqa: S105 - the module that prints one
_TOKEN_FILE = re.compile(r"[/\\]connected[/\\][a-z]+\.token\b")
_VARIABLE = re.compile(rf"\b{TOKEN}\b")
_PREFIX = "hf-"


def is_own_gateway(url: str, key: str | Secret | None = None, roots: Collection[str] = ()) -> bool:
    """Return whether an entry leads to a gateway of ours.

    url    the entry's address ("" if it has none)
    key    its key as the program's file has it: a command, the name of a file or of a variable, or the value
    roots  root URLs of this home's gateways, such as http://127.0.0.1:4141
    """
    if url and _address(url) in map(_address, roots):
        return True
    if isinstance(key, Secret):
        return key.starts_with(_PREFIX) and is_loopback(url)
    return key is not None and _is_our_reference(key, url)


def _address(url: str) -> str:
    """Return a root URL, this machine by its number."""
    root = url.strip().rstrip("/").removesuffix("/v1").rstrip("/")
    return root.replace("//localhost", "//127.0.0.1", 1)


def _is_our_reference(key: str, url: str) -> bool:
    """Return whether the text of a key leads to a token of ours."""
    if SHOW_TOKEN in key or _TOKEN_FILE.search(key) or _VARIABLE.search(key):
        return True
    return key.strip().startswith(_PREFIX) and is_loopback(url)
