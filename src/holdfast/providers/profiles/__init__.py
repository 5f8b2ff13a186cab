"""Error vocabularies of providers, loaded from TOML into core values: one provider at a time, on first use,
cached.

A profile is data. `generic.toml` holds what means the same everywhere; a provider's file adds its own codes
and phrases, which speak first. `HOLDFAST_HOME/profiles/NAME.toml` replaces or adds one. The syntax is
described in `generic.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from ...core.faults import FaultClass, Origin, Scope
from ...core.response_parser import token, words
from ...core.vocabulary import Profile, Rule, Verdict

_LONGEST_SIGN = 40
_ORIGINS = {origin.value: origin for origin in Origin}
_SCOPES = {scope.value: scope for scope in Scope}


def load(name: str | None, directory: Path | None = None) -> Profile:
    """The vocabulary of provider `name` merged over the generic one; an unknown name or None gives the
    generic one.

    `directory` is where the user's own profiles are looked up first. Raises ConfigError for a profile that
    cannot be read."""
    return _load(name or "generic", directory)


def for_host(host: str, directory: Path | None = None) -> str | None:
    """The name of the profile whose host patterns fit `host` (a port is ignored), or None."""
    bare = host.partition("://")[2] or host
    bare = bare.partition("/")[0].lower()
    for pattern, name in _hosts(directory):
        if fnmatch(bare, pattern) or fnmatch(bare.rpartition(":")[0] or bare, pattern):
            return name
    return None


def names(directory: Path | None = None) -> tuple[str, ...]:
    """All profiles there are, the user's own first; each once."""
    return tuple(dict.fromkeys(name for name, _ in _sources(directory)))


def _sources(directory: Path | None) -> Iterator[tuple[str, str]]:
    """(name, text) of each profile, the user's own first."""
    if directory is not None and directory.is_dir():
        for path in sorted(directory.glob("*.toml")):
            yield path.stem, path.read_text("utf-8")
    for entry in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            yield entry.name.removesuffix(".toml"), entry.read_text("utf-8")


@lru_cache(maxsize=8)
def _hosts(directory: Path | None) -> tuple[tuple[str, str], ...]:
    """(pattern, profile) of every profile. Only the head of each file, before its first table, is parsed."""
    heads = ((name, _parse(text.partition("\n[")[0], name)) for name, text in _sources(directory))
    return tuple((pattern, name) for name, head in heads for pattern in head.get("hosts", ()))


@lru_cache(maxsize=128)
def _load(name: str, directory: Path | None) -> Profile:
    table = _read(name, directory)
    if table is None:
        aliases = (
            known
            for known, text in _sources(directory)
            if name in _parse(text.partition("\n[")[0], known).get("aliases", ())
        )
        return _load(next(aliases, "generic"), directory)
    try:
        return (
            _generic(table)
            if name == "generic"
            else _merged(name, table, _load(table.get("base", "generic"), directory))
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"profile '{name}' cannot be read: {error}", next_step="holdfast doctor") from None


def _read(name: str, directory: Path | None) -> dict[str, Any] | None:
    if not name.replace("-", "").replace("_", "").isalnum():
        return None
    for place in (directory, files(__name__)):
        entry = place / f"{name}.toml" if place is not None else None
        if entry is not None and entry.is_file():
            return _parse(entry.read_text("utf-8"), name)
    return None


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"profile '{name}' is not TOML: {error}", next_step="holdfast doctor") from None


def _generic(table: Mapping[str, Any]) -> Profile:
    families = {name: (family["verdict"], family["words"]) for name, family in table["families"].items()}
    return Profile(
        codes=_codes(table["codes"]),
        types=_rows_by_type(table["types"]),
        vague=_rows_by_type(table["vague"]),
        rows={status: _row(entries, families) for status, entries in table["rows"].items()},
        statuses={status: verdict(text) for status, text in table["statuses"].items()},
        pages=_rules(table["pages"]),
        transport=_rules(table["transport"]),
    )


def _merged(name: str, table: Mapping[str, Any], base: Profile) -> Profile:
    """`table` over `base`: the provider's own codes and phrases come before those of the profile it builds
    upon."""
    return Profile(
        name=name,
        own={**base.own, **_codes(table.get("codes", {}))},
        phrases=(*_rules(table.get("phrases", {})), *base.phrases),
        codes=base.codes,
        types={**base.types, **_rows_by_type(table.get("types", {}))},
        vague={**base.vague, **_rows_by_type(table.get("vague", {}))},
        rows=base.rows,
        statuses={
            **base.statuses,
            **{status: verdict(text) for status, text in table.get("statuses", {}).items()},
        },
        pages=base.pages,
        transport=base.transport,
        ok_markers=(*base.ok_markers, *(marker.encode() for marker in table.get("ok_markers", ()))),
        plan_hosts={**base.plan_hosts, **table.get("plan_hosts", {})},
        utc_offset=table.get("utc_offset", base.utc_offset),
    )


def verdict(text: str) -> Verdict:
    """`quota_exhausted account terminal` as a value: a class, then a scope, an origin, `terminal`, `unsent`,
    or `cause:NAME`."""
    kind, *marks = text.split()
    scope = next((_SCOPES[mark] for mark in marks if mark in _SCOPES and mark not in _ORIGINS), None)
    if "endpoint" in marks:
        scope = Scope.ENDPOINT
    origin = next((_ORIGINS[mark] for mark in marks if mark in _ORIGINS and mark != "endpoint"), None)
    cause = next((mark.removeprefix("cause:") for mark in marks if mark.startswith("cause:")), None)
    unknown = [
        m
        for m in marks
        if m not in _SCOPES
        and m not in _ORIGINS
        and m not in ("terminal", "unsent")
        and not m.startswith("cause:")
    ]
    if unknown:
        raise ValueError(f"'{text}': unknown mark {unknown[0]!r}")
    return Verdict(FaultClass(kind), scope, origin, "terminal" in marks, "unsent" not in marks, cause)


def _codes(table: Mapping[str, str]) -> dict[str, Verdict]:
    """Codes by their one spelling; `code@403` holds for that status only."""
    codes = {}
    for code, text in table.items():
        name, at, status = code.partition("@")
        codes[token(name) + at + status] = verdict(text)
    return codes


def _rows_by_type(table: Mapping[str, str]) -> dict[str, str]:
    return {token(name): str(row) for name, row in table.items()}


def _rules(table: Mapping[str, str]) -> tuple[Rule, ...]:
    return tuple(_rule(text, verdict(outcome)) for text, outcome in table.items())


def _row(entries: list[str], families: Mapping[str, tuple[str, list[str]]]) -> tuple[Rule, ...]:
    """The rules of a row: families in order; `family = verdict` gives the family another verdict in this
    row."""
    rules: list[Rule] = []
    for entry in entries:
        family, _, other = (part.strip() for part in entry.partition("="))
        outcome, texts = families[family]
        rules += [_rule(text, verdict(other or outcome), family) for text in texts]
    return tuple(rules)


@lru_cache(maxsize=2_048)
def _rule(text: str, outcome: Verdict, name: str = "") -> Rule:
    statuses: tuple[str, ...] = ()
    parts = []
    for part in map(str.strip, text.split("&")):
        if part.startswith("@"):
            statuses = tuple(status.strip() for status in part[1:].split("|"))
            continue
        wanted = not part.startswith("!")
        parts.append((wanted, tuple(_phrase(one) for one in part.removeprefix("!").split("|"))))
    return Rule(name or text[:_LONGEST_SIGN], outcome, tuple(parts), statuses)


def _phrase(text: str) -> str:
    """A phrase as the normalised words hold it; `_` at an end asks for the end of a word there."""
    text = text.strip()
    spoken = words(text).strip()
    if not spoken:
        raise ValueError("an empty phrase would match everything")
    return (" " if text.startswith("_") else "") + spoken + (" " if text.endswith("_") else "")
