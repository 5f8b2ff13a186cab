"""The table of known providers (presets.toml), read when a row is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from ..core.config import near
from ..core.errors import IdentityError
from ..core.identity import Auth, Dialect, Endpoint
from ..core.known_hosts import KnownHost
from ..values.addresses import is_loopback
from .known_addresses import address_of
from .misplaced import Misplaced

_OR = "' or '"
_LONGEST_HINT = 200
"""Characters up to which all names are listed for one that is not known."""


@cache
def rows() -> Mapping[str, Mapping[str, Any]]:
    """Return all presets by name, in the order of the table. The head of presets.toml explains the
    columns."""
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("holdfast.providers").joinpath("presets.toml").read_text("utf-8"))


def find(name: str) -> Mapping[str, Any]:
    """Return the row of a preset. Raises IdentityError with the nearest name when there is none."""
    row = rows().get(name)
    if row is not None:
        return row
    step, others = near(name, rows()), about(name) or [known for known in rows() if f"{known}-" in name]
    if others:
        step = f"did you mean '{_OR.join(others)}'?"
    elif len(step) > _LONGEST_HINT:
        step = "holdfast provider presets   (lists them)"
    raise IdentityError(f"no preset is called '{name}'", next_step=step)


def about(word: str) -> list[str]:
    """Return the presets of which a name or an address holds `word`, in any case; all of them for ""."""
    wanted = word.lower()
    return [
        name
        for name, row in rows().items()
        if any(wanted in text.lower() for text in (name, row["name"], *row["endpoints"].values()))
    ]


def owner_of_variable(variable: str) -> str | None:
    """Return the preset whose key is in an environment variable; each variable has one owner."""
    return next((name for name, row in rows().items() if variable in row.get("env", ())), None)


def filled(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the presets of which a variable seems to hold a key, each with the first such variable."""
    firsts = {}
    for name, row in rows().items():
        variables = [variable for variable in row.get("env", ()) if environ.get(variable, "").strip()]
        if variables:
            firsts[name] = variables[0]
    return firsts


@cache
def _hosts() -> Mapping[str, Sequence[KnownHost]]:
    """Return the presets of each host[:port], in the order of the table."""
    hosts: dict[str, list[KnownHost]] = {}
    for name, row in rows().items():
        auth = Auth(row.get("auth", Auth.BEARER))
        endpoints = tuple(Endpoint(url, Dialect(dialect), auth) for dialect, url in row["endpoints"].items())
        for host in dict.fromkeys(address_of(endpoint.url)[0] for endpoint in endpoints):
            hosts.setdefault(host, []).append(KnownHost(name, endpoints))
    return hosts


def known_at(url: str) -> KnownHost | None:
    """Return the preset that has this very address, however it is written, else the only one that has its
    host; None without one or with several."""
    there = _at_host(url)
    for known in there:
        if address_of(url) in [address_of(endpoint.url) for endpoint in known.endpoints]:
            return known
    if len(there) != 1:
        return None
    return there[0]


def _at_host(url: str) -> Sequence[KnownHost]:
    try:
        host, _ = address_of(url)
    except IdentityError:
        return ()
    return _hosts().get(host, ())


def misplaced(begins: Callable[[str], bool], endpoints: Iterable[Endpoint]) -> Misplaced | None:
    """Return the first endpoint at a preset's host that a key is not made for, or None. `begins` says whether
    the key begins with a text; nothing else is known of it.

    The longest prefix in the table decides whose key it is. A prefix that several makers use (`sk-`) counts
    only at a preset whose own keys begin otherwise. A host of no preset may take any key, and so may this
    machine."""
    prefix = max(filter(begins, _prefixes()), key=len, default="")
    if not prefix:
        return None
    owners = _prefixes()[prefix]
    makers = {rows()[owner].get("profile", owner) for owner in owners}
    for endpoint in endpoints:
        there = [known.preset for known in _at_host(endpoint.url)]
        if not there or is_loopback(endpoint.url) or set(owners) & set(there):
            continue
        if len(makers) == 1:
            return Misplaced(prefix, there[0], endpoint.host, owners=owners)
        usual = tuple(rows()[there[0]].get("key_prefixes", ()))
        if usual and len(there) == 1:
            return Misplaced(prefix, there[0], endpoint.host, usual)
    return None


@cache
def _prefixes() -> Mapping[str, tuple[str, ...]]:
    """Return the presets whose keys begin with each prefix of the table."""
    presets: dict[str, tuple[str, ...]] = {}
    for name, row in rows().items():
        for prefix in row.get("key_prefixes", ()):
            presets[prefix] = (*presets.get(prefix, ()), name)
    return presets
