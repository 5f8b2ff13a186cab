"""The providers that other programs know by themselves (kinds.toml): what each is asked in, where, and which
variables have its key and its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from ..core.identity import Dialect

_SERVED = "holdfast provider add NAME --url {base}/v1   (the same server speaks openai-chat there)"


@dataclass(frozen=True, slots=True)
class Kind:
    """A provider of a program's own table; kinds.toml explains the fields."""

    url: str = ""
    dialect: str = str(Dialect.OPENAI_CHAT)
    key: str = ""
    addresses: tuple[str, ...] = ()
    path: str = ""
    below: str = ""
    api: str = ""
    serves: bool = False

    def address(self, value: Callable[[str], str]) -> tuple[str, str]:
        """Return the first of the variables that gives an address, and the address; twice "" for none."""
        for name in self.addresses:
            if value(name):
                return name, value(name)
        return "", ""

    def step(self, url: str) -> str:
        """Return what to do about a server whose own API is none of our dialects, where it speaks another
        one; "" for the usual advice."""
        if not self.serves:
            return ""
        base = (url or self.url).rstrip("/").removesuffix("/v1")
        return _SERVED.format(base=base)


@cache
def kinds(program: str) -> Mapping[str, Kind]:
    """Return the providers that a program knows, by its names of them."""
    import tomllib
    from importlib.resources import files

    rows = tomllib.loads(files("holdfast.importers").joinpath("kinds.toml").read_text("utf-8"))[program]
    return {name: Kind(**{**row, "addresses": tuple(row.get("addresses", ()))}) for name, row in rows.items()}


def kind_of(program: str, name: str) -> Kind:
    """Return a provider that a program knows; for any other name, one with an API of that name."""
    return kinds(program).get(name, Kind(api=f"the API of '{name}'"))
