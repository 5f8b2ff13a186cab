"""What an endpoint takes of its dialect: the rows of caps.toml that fit a provider, a dialect and a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import Any

from ..core.config import ModelFacts
from ..core.identity import Dialect, Endpoint, Provider
from ..translate.caps import Caps
from . import presets, profiles

_MATCHES = ("of", "not", "dialects")
_OF_PROGRAMS = ("context", "reasoning")
"""What rows say of a model that only programs want to know."""
_OF_MODELS = {"output": "max_output", "input": "input"}


@cache
def table() -> Mapping[str, Any]:
    """Return the table; its head explains it."""
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("holdfast.providers").joinpath("caps.toml").read_text("utf-8"))


def caps_for(
    provider: Provider,
    dialect: Dialect,
    model: str,
    facts: ModelFacts | None = None,
    *,
    endpoint: Endpoint | None = None,
    listed: ModelFacts | None = None,
    own: Mapping[str, object] | None = None,
) -> Caps:
    """Return what a provider's endpoint takes for a model. The strongest last: our table, what the endpoint
    `listed` of the model, the user's `own` word on the endpoint, and the user's `facts` of the model.
    `endpoint` is where the request goes, where that is not the provider's own endpoint of the dialect (a key
    may have one)."""
    asked = endpoint or provider.endpoint_for(dialect)
    stronger = {**_members(listed), **(own or {}), **_members(facts)}
    return _caps(vendor_of(provider, asked), dialect, model, tuple(stronger.items()))


def _members(facts: ModelFacts | None) -> dict[str, Any]:
    """Return those facts of a model that a translation goes by, under their names here."""
    known: dict[str, Any] = {**(facts or {})}
    return {name: known[fact] for fact, name in _OF_MODELS.items() if fact in known}


def vendor_of(provider: Provider, endpoint: Endpoint | None) -> str:
    """Return whose abilities an endpoint has: the profile's that the provider names, or that of the host;
    else of the preset that it comes from or whose address it has; "" where nobody is known."""
    named = provider.profile or provider.preset
    if named or endpoint is None:
        return named or ""
    known = presets.known_at(endpoint.url)
    by_host = profiles.for_host(endpoint.host)
    if by_host or known is None:
        return by_host or ""
    return vendor_of_preset(known.preset)


def vendor_of_preset(name: str) -> str:
    """Return whose abilities the endpoints of a preset have: its profile's, or its own."""
    return str(presets.find(name).get("profile", name))


@lru_cache(maxsize=1024)
def _caps(vendor: str, dialect: Dialect, model: str, stronger: tuple[tuple[str, Any], ...]) -> Caps:
    members = members_of(vendor, dialect, model)
    taken = {name: value for name, value in members.items() if name not in _OF_PROGRAMS}
    return Caps(**{**taken, **dict(stronger)})


def members_of(vendor: str, dialect: Dialect, model: str) -> dict[str, Any]:
    """Return what the table says of a vendor's endpoint and a model, by the names of its rows."""
    members: dict[str, Any] = {}
    for row in _rows(vendor, dialect, _plain(model)):
        members |= {name: _value(value) for name, value in row.items() if name not in _MATCHES}
    return members


def _rows(vendor: str, dialect: Dialect, model: str) -> Iterator[Mapping[str, Any]]:
    """Give the rows that fit, the strongest last."""
    rows, own = table(), table()["vendor"].get(vendor, {})
    yield rows["dialect"].get(dialect, {})
    yield own.get(dialect, {})
    for row in (*rows["model"], *own.get("model", ())):
        if _fits(row, dialect, model):
            yield row


def _fits(row: Mapping[str, Any], dialect: Dialect, model: str) -> bool:
    if dialect not in row.get("dialects", (dialect,)):
        return False
    if any(fnmatchcase(model, pattern) for pattern in row.get("not", ())):
        return False
    return any(fnmatchcase(model, pattern) for pattern in row["of"])


def _plain(model: str) -> str:
    """Return the last part of a model's name, in small letters and with - for a dot."""
    return model.rpartition("/")[2].lower().replace(".", "-")


def _value(value: object) -> object:
    if isinstance(value, list):
        return tuple(value)
    return value
