"""Checks of what programs pass to the public calls. A wrong type is a TypeError, a wrong value an error of
ours; neither shows a value that may be a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import Home
from ..core.errors import ConfigError
from ..core.identity import Pin

if TYPE_CHECKING:
    from ..credentials.callback_source import Supplier


def home_of(home: str | Path | Home | None) -> Home:
    """Return the home that is meant. Raises ConfigError when a path names no directory, TypeError for another
    type."""
    if home is None:
        return Home.find()
    if isinstance(home, Home):
        return home
    if not isinstance(home, str | Path):
        raise _wrong("home", "a path or a holdfast.Home", home)
    path = Path(home).expanduser()
    if not path.is_dir():
        step = (
            f"mkdir -p '{path}'   (or open the home that exists; `holdfast doctor` shows which one is used)"
        )
        raise ConfigError(f"'{path}' is no directory, so no home can be opened there", next_step=step)
    return Home.at(path)


def suppliers(keys: Mapping[str, Supplier] | None) -> Mapping[str, Supplier]:
    """Return the functions for `call:` keys. Raises TypeError for anything but a mapping of names to
    functions."""
    if keys is None:
        return {}
    if not isinstance(keys, Mapping):
        raise _wrong("keys", "a mapping such as {'corp': function}", keys)
    for name, supplier in keys.items():
        if not isinstance(name, str):
            raise _wrong("a name in keys", "a string", name)
        if not callable(supplier):
            raise _wrong(f"keys['{name}']", "a function that returns the key", supplier)
    return keys


def pin_of(pin: str | Pin) -> Pin:
    """Return the pin. Raises IdentityError for a text that is none, TypeError for another type."""
    if isinstance(pin, Pin):
        return pin
    if not isinstance(pin, str):
        raise _wrong("a pin", "a string such as 'provider/model' or a holdfast.Pin", pin)
    return Pin.parse(pin)


def roles_of(roles: Mapping[str, Sequence[str]] | None) -> Mapping[str, Sequence[str]]:
    """Return the patterns of models for each role. Raises TypeError for anything but a mapping of names to
    lists."""
    if roles is None:
        return {}
    if not isinstance(roles, Mapping):
        raise _wrong("roles", "a mapping such as {'chat': ['gpt-*']}", roles)
    for role, patterns in roles.items():
        if isinstance(patterns, str) or not isinstance(patterns, Sequence):
            raise _wrong(f"roles['{role}']", "a list of patterns", patterns)
    return roles


def check_network(limits: object, proxy: object, verify: object) -> None:
    """Raise TypeError for sizes of pools, a proxy or authorities of another type."""
    sizes = ("max_connections", "max_keepalive_connections", "keepalive_expiry")
    _check_members("limits", limits, "an httpx2.Limits or httpx.Limits", sizes)
    if proxy is not None and not isinstance(proxy, str):
        raise _wrong("proxy", "a URL as a string", proxy)
    if not isinstance(verify, str | Path | bool):
        _check_members("verify", verify, "a path or an ssl.SSLContext", ("wrap_socket",))


def check_parts(store: object, vault: object) -> None:
    """Raise TypeError for a store or a vault that is none."""
    _check_members("store", store, "a holdfast.Store", ("now", "sessions", "journal"))
    _check_members("vault", vault, "a holdfast.Vault", ("secret", "pepper"))


def _check_members(name: str, value: object, wanted: str, members: Sequence[str]) -> None:
    if value is not None and not all(hasattr(value, member) for member in members):
        raise _wrong(name, wanted, value)


def text(name: str, value: str) -> str:
    """Return the value of the argument `name`. Raises TypeError unless it is a string."""
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    return value


def optional_text(name: str, value: str | None) -> str | None:
    """Return the value of the argument `name`. Raises TypeError unless it is a string or None."""
    if value is None:
        return None
    return text(name, value)


def number(name: str, value: int) -> int:
    """Return the value of the argument `name`. Raises TypeError unless it is a whole number, ValueError if it
    is less than 1."""
    if type(value) is not int:
        raise _wrong(name, "a whole number", value)
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value


def optional_seconds(name: str, value: float | None) -> float | None:
    """Return the value of the argument `name` in seconds. Raises TypeError unless it is a number or None,
    ValueError unless it is above 0."""
    if value is None:
        return None
    if type(value) not in (int, float):
        raise _wrong(name, "a number of seconds", value)
    if not 0 < value < inf:
        raise ValueError(f"{name} must be more than 0 seconds, not {value}")
    return float(value)


def _wrong(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}")
