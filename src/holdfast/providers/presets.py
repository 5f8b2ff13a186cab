"""The table of known providers (presets.toml), read when somebody first asks for a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from ..core.config import near
from ..core.errors import IdentityError
from ..core.identity import Auth, Dialect, Endpoint, is_loopback
from ..core.known_hosts import KnownHost, Misplaced


@cache
def rows() -> Mapping[str, Mapping[str, Any]]:
    """All presets by name, in the order of the table. The columns are explained at the head of
    presets.toml."""
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("holdfast.providers").joinpath("presets.toml").read_text("utf-8"))


def find(name: str) -> Mapping[str, Any]:
    """The row of one preset. Raises IdentityError with the nearest name when there is none."""
    row = rows().get(name)
    if row is None:
        raise IdentityError(f"no preset is called '{name}'", next_step=f"{near(name, rows())}")
    return row


def owner_of_variable(variable: str) -> str | None:
    """The preset whose key an environment variable holds; each variable has one owner."""
    return next((name for name, row in rows().items() if variable in row.get("env", ())), None)


@cache
def _hosts() -> Mapping[str, Sequence[KnownHost]]:
    """Return the presets of each origin (scheme://host:port), as they stand in the table."""
    found: dict[str, list[KnownHost]] = {}
    for name, row in rows().items():
        auth = Auth(row.get("auth", Auth.BEARER))
        endpoints = tuple(Endpoint(url, Dialect(dialect), auth) for dialect, url in row["endpoints"].items())
        for origin in dict.fromkeys(one.origin for one in endpoints):
            found.setdefault(origin, []).append(KnownHost(name, endpoints))
    return found


def known_at(url: str) -> KnownHost | None:
    """Return the preset that has the very address, else the one that alone has its host; None without one or
    among several."""
    there = _at_host(url)
    exact = [known for known in there if url.rstrip("/") in (one.url for one in known.endpoints)]
    if exact:
        return exact[0]
    return there[0] if len(there) == 1 else None


def _at_host(url: str) -> Sequence[KnownHost]:
    try:
        origin = Endpoint(url).origin
    except IdentityError:
        return ()
    return _hosts().get(origin, ())


def misplaced(begins: Callable[[str], bool], places: Iterable[Endpoint]) -> Misplaced | None:
    """Return what is wrong where a key would go to a preset's host that it is not made for; None where
    nothing can be said. Of the key only is asked how it `begins`.

    The longest prefix of the table decides whose key it is. A prefix that keys of several makers have (`sk-`)
    says something only at a preset whose own keys begin otherwise. A host that no preset has may take any
    key, and so may this machine."""
    prefix = max((one for one in _prefixes() if begins(one)), key=len, default="")
    owners = _prefixes().get(prefix, ())
    is_one_makers = len({rows()[one].get("profile", one) for one in owners}) == 1
    for endpoint in places:
        there = [known.preset for known in _at_host(endpoint.url)]
        if not prefix or not there or set(owners) & set(there) or is_loopback(endpoint.url):
            continue
        if is_one_makers:
            return Misplaced(prefix, there[0], endpoint.host, owners=owners)
        usual = tuple(rows()[there[0]].get("key_prefixes", ()))
        if usual and len(there) == 1:
            return Misplaced(prefix, there[0], endpoint.host, usual)
    return None


@cache
def _prefixes() -> Mapping[str, tuple[str, ...]]:
    """Return the presets whose keys begin with each prefix of the table."""
    found: dict[str, tuple[str, ...]] = {}
    for name, row in rows().items():
        for prefix in row.get("key_prefixes", ()):
            found[prefix] = (*found.get(prefix, ()), name)
    return found
