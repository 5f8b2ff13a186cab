"""Names of providers: those of other programs, and the nearest that we can give."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cache

from ..core.identity import KINDS, ProviderName
from ..providers import presets

_MOST_NUMBERED = 10_000


def preset_for(program: str, called: str) -> str | None:
    """Return the preset that `program` means by a name of its own table; None when we have none."""
    name = _names().get(program, {}).get(called, called)
    if name not in presets.rows():
        return None
    return name


def name_for(called: str, program: str) -> ProviderName:
    """Return the name of a provider that is nearest to its name in the other program."""
    name = re.sub(r"[^a-z0-9._-]+", "-", called.strip().lower()).strip("-._")[:56] or program
    if name in KINDS:
        return ProviderName(f"{program}-{name}")
    return ProviderName(name)


def unused(name: ProviderName, taken: Iterable[str]) -> ProviderName:
    """Return the provider's name `name`, or `name-N` with the first number that is not taken."""
    return ProviderName(first_free(name, set(taken)))


def first_free(name: str, taken: Container[str]) -> str:
    """Return `name`, or `name-N` with the first number that is not taken."""
    return next(candidate for candidate in numbered(name, _MOST_NUMBERED) if candidate not in taken)


def numbered(name: str, end: int) -> Iterator[str]:
    """Yield a name, then the name with -2, -3 ... up to `end` (exclusive)."""
    yield name
    for number in range(2, end):
        yield f"{name}-{number}"


@cache
def _names() -> Mapping[str, Mapping[str, str]]:
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("holdfast.importers").joinpath("names.toml").read_text("utf-8"))
