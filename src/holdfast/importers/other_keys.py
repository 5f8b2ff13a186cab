"""Variables whose keys no provider of an import has: which these are, and the command that adds each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from ..providers import presets
from ..values.secret import redact, without_user
from .keys import KeyReader
from .names import first_free
from .pairing import Families, stem_of
from .placeholders import is_placeholder

_KEY = re.compile(r"[A-Z][A-Z0-9_]*_(?:API_KEYS?|AUTH_TOKEN|API_TOKEN)(?:_?\d+)?", re.ASCII)

_MORE = re.compile(r"(?<=KEY)S?(?:_?\d+)?\Z")
_AZURE = ".openai.azure.com"
"""End of Azure's hosts, which serve a dialect of ours below one path."""


def owner_of(variable: str) -> str | None:
    """Return the preset of a key's variable, also of one with a number or a plural behind the usual name."""
    usual = _MORE.sub("", variable)
    return presets.owner_of_variable(variable) or presets.owner_of_variable(usual)


def is_for_a_key(variable: str) -> bool:
    """Return whether a variable is named like one that holds a key."""
    return _KEY.fullmatch(variable) is not None


def command_for(
    variable: str, families: Families, at_preset: Mapping[str, str], taken: Collection[str] = ()
) -> str:
    """Return the command that adds the provider of a variable's key under a name that is not `taken`, or the
    key to the imported provider that is `at_preset`."""
    preset, ref = owner_of(variable), f"env:{variable}"
    urls = list(dict.fromkeys(families.of_stem(stem_of(variable)).values()))
    if preset and preset in at_preset and not urls:
        return f"holdfast key add {at_preset[preset]} --from {ref}"
    called = preset or re.sub(r"[^a-z0-9]+", "-", stem_of(variable).lower()).strip("-") or "NAME"
    called = first_free(called, taken)
    if preset and not urls:
        return f"holdfast provider add {called} --preset {preset} --key {ref}"
    return f"holdfast provider add {called} --url {_endpoint(urls)} --key {ref}"


def _endpoint(urls: Sequence[str]) -> str:
    """Return the one URL for a command, with how the key is sent where its host says it."""
    if len(urls) != 1 or "$" in urls[0]:
        return "URL"
    url = redact(without_user(urls[0])).rstrip("/")
    if url.endswith(_AZURE):
        return f"{url}/openai/v1 --auth api-key"
    return url


def in_files(reader: KeyReader, families: Families) -> Iterator[str]:
    """Yield the variables that a program's own file sets and that hold the key of a preset, or one to which
    another variable gives an address. A program has the keys of many other services too."""
    for variable in sorted(reader.set_by):
        value = reader.set_by[variable].strip()
        known = owner_of(variable) or families.of_stem(stem_of(variable))
        if known and is_for_a_key(variable) and value and not is_placeholder(value):
            yield variable
