"""`holdfast import env`: the known providers whose variables are set in this environment, or in a .env file,
each with that variable as its key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..providers import presets
from . import other_keys
from .addresses import OfPreset, OwnUrl, Unresolved, Where
from .base import ResultBuilder
from .entries import ImportResult
from .fields import known
from .keys import KeyReader, NoKey
from .pairing import Families, place_of, stem_of
from .read_files import text_of, variables_of

_BEARER_TOKENS = {"ANTHROPIC_AUTH_TOKEN": "anthropic"}
"""Variables of a bearer token for a provider that usually takes a key in another way."""
_OF_ANOTHER_SHELL = re.compile(
    r"\s*(?:set(?:\s+-\w+)*\s+|setenv\s+|(?:declare|typeset)(?:\s+-\w+)*\s+|\$env:)?([A-Z]\w*)[\s:=]",
    re.ASCII,
)
_MODELS = ("AZURE_", "LITELLM_", "LLM_")


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return one entry for each preset that has a variable; `path` is a .env file to read as well. Raises
    ConfigError when that cannot be read."""
    set_by: Mapping[str, str] = {}
    if path is not None:
        set_by = variables_of(path, environ)
    reader = KeyReader(environ, set_by, str(path), own_first=True)
    builder = ResultBuilder("env", reader)
    used: set[str] = set()
    tokens: dict[str, str] = {}  # presets that were added with a bearer token, and its variable
    for variable, preset in _BEARER_TOKENS.items():
        if reader.value(variable):
            used.add(variable)
            if _add_token(builder, variable, preset):
                tokens[preset] = variable
    for preset, row in presets.rows().items():
        names = [name for name in row.get("env", ()) if reader.value(name)]
        used.update(names)
        names += _numbered(names or row.get("env", ()), environ, set_by)
        used.update(names)
        _add(builder, preset, names, tokens.get(preset, ""))
    for name, why in known("env.variables").reasons.items():
        if reader.value(name):
            builder.leave_out(name, why)
            used.add(name)
    if path is not None:
        _tell_unread_lines(builder, text_of(path) or "")
    _tell_others(builder, [name for name in sorted({*environ, *set_by}) if name not in used])
    return builder.result()


def _numbered(names: Iterable[str], environ: Mapping[str, str], set_by: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that are named like one of `names` with a number behind it."""
    for name in sorted({*environ, *set_by}):
        plain = re.sub(r"_?\d+\Z", "", name)
        if plain != name and plain in names:
            yield name


def _add(builder: ResultBuilder, preset: str, names: list[str], first: str) -> None:
    """Add the provider with the first of its variables that holds a key, unless `first` is there already;
    note the others."""
    for name in names:
        key = builder.reader.found(name)
        if isinstance(key, NoKey):
            builder.leave_out(name, key.why)
        elif not first:
            first = name
            where = _place(builder, preset, name)
            builder.add(preset, where, [key], location=key.location or "the environment")
        else:
            why = f"{first} is used for '{preset}'; to use both: holdfast key add {preset} --from env:{name}"
            builder.leave_out(name, why)


def _place(builder: ResultBuilder, preset: str, variable: str) -> Where:
    """Return where a preset is whose key is in a variable: a file's key goes where the file says, and the
    environment's where the environment says, but neither where only the other does."""
    reader, usual = builder.reader, OfPreset(preset)
    in_file = place_of(usual, Families(reader.set_by))
    outside = place_of(usual, Families(reader.environ))
    own, other = outside, in_file
    if reader.set_by.get(variable, "").strip():
        own, other = in_file, outside
    if own == usual and other != usual:
        return Unresolved("a variable gives it one, but not in the place where its key is")
    return own


def _add_token(builder: ResultBuilder, variable: str, preset: str) -> bool:
    """Add the provider of a bearer token at the URL that the variables give, and return whether that was
    possible; note it where they give none."""
    where = _place(builder, preset, variable)
    key = builder.reader.found(variable)
    if isinstance(where, OwnUrl):
        where = replace(where, auth="bearer")
    if isinstance(where, OfPreset):
        builder.leave_out(variable, "at its maker's own host it is a subscription's sign-in, and not a key")
        return False
    location = getattr(key, "location", "") or "the environment"
    return builder.add(preset, where, [key], location=location) is not None


def _tell_unread_lines(builder: ResultBuilder, text: str) -> None:
    """Note the lines that set a key in the form of a shell that is not read."""
    for number, line in enumerate(text.splitlines(), 1):
        match = _OF_ANOTHER_SHELL.match(line)
        if match is None or match[1] in builder.reader.set_by or not other_keys.is_for_a_key(match[1]):
            continue
        why = "only lines of the form NAME=VALUE are read, also with export before it"
        builder.leave_out(f"{match[1]} (line {number})", why)


def _tell_others(builder: ResultBuilder, names: list[str]) -> None:
    """Note the variables that look like keys and belong to no preset."""
    families = builder.families()
    for name in names:
        if not other_keys.is_for_a_key(name) or not builder.reader.value(name):
            continue
        in_file = name in builder.reader.set_by
        if not in_file and not families.of_stem(stem_of(name)) and not name.startswith(_MODELS):
            continue  # a shell has the keys of many services
        builder.leave_out(name, f"no preset has it: {other_keys.command_for(name, families, {})}")
