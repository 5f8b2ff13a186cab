"""The providers that hermes-agent knows without an entry of the user's, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from ..values.secret import without_user


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A provider of hermes's own table. The head of hermes_builtin.toml explains the columns."""

    name: str
    aliases: tuple[str, ...] = ()
    url: str = ""
    hosts: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    url_env: str = ""
    keys_elsewhere: bool = False
    first: bool = False

    def has_host_of(self, url: str) -> bool:
        """Return whether a URL can be the provider's own: it is in its domains, or these are not known."""
        host = host_of(url).partition(":")[0]
        return not self.hosts or any(f".{host}".endswith(f".{domain}") for domain in self.hosts)


def host_of(url: str) -> str:
    """Return host[:port] of a URL in lower case; "" when it is not one."""
    try:
        return urlsplit(without_user(url)).netloc.lower()
    except ValueError:
        return ""


def table() -> Mapping[str, BuiltIn]:
    """Return all providers of hermes's own by each of their names."""
    return _all_names()[0]


def before_entries() -> frozenset[str]:
    """Return the names that mean a provider of hermes's own even where an entry of the user's has them."""
    return _all_names()[1]


@cache
def _all_names() -> tuple[Mapping[str, BuiltIn], frozenset[str]]:
    import tomllib
    from importlib.resources import files

    text = files("holdfast.importers").joinpath("hermes_builtin.toml").read_text("utf-8")
    by_name: dict[str, BuiltIn] = {}
    first: set[str] = set()
    for name, columns in tomllib.loads(text).items():
        values: dict[str, Any] = dict(columns)
        for column in ("aliases", "hosts", "env"):
            values[column] = tuple(columns.get(column, ()))
        built_in = BuiltIn(name, **values)
        by_name |= dict.fromkeys((name, *built_in.aliases), built_in)
        first.add(name)
        if built_in.first:
            first.update(built_in.aliases)
    return by_name, frozenset(first)
