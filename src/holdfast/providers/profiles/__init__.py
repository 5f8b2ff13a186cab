"""Error vocabularies of providers, loaded from TOML when they are first needed, and cached.

A profile is data. `generic.toml` has what means the same everywhere; a provider's file adds its own codes and
phrases, which are tried first. `HOLDFAST_HOME/profiles/NAME.toml` replaces or adds one. `generic.toml`
explains the syntax."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import lru_cache
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from ...core.faults import FaultClass, Origin, Scope
from ...core.response_parser import token, words
from ...core.vocabulary import Profile, Rule, Verdict

_LONGEST_SIGN = 40
_ALTERNATIVE = re.compile(r"(?:\{[^{}]*\}|[^|{}])+")
_GROUP = re.compile(r"\{([^{}]*)\}")
_ORIGINS = {origin.value: origin for origin in Origin}
_SCOPES = {scope.value: scope for scope in Scope}


def load(name: str | None, directory: Path | None = None) -> Profile:
    """Return the profile `name`, merged over the generic one; the generic one for None or an unknown name.

    `directory` has the user's own profiles, which come first. Raises ConfigError for a profile that cannot be
    read."""
    return _load(name or "generic", directory)


def of(named: str | None, host: str, directory: Path | None = None) -> Profile:
    """Return the profile that a provider names, else that of its host. Raises ConfigError."""
    return load(named or for_host(host, directory), directory)


def for_host(host: str, directory: Path | None = None) -> str | None:
    """Return the name of the profile with a pattern that fits `host` (its port is ignored), or None."""
    bare = host.partition("://")[2] or host
    bare = bare.partition("/")[0].lower()
    for pattern, name in _hosts(directory):
        if fnmatch(bare, pattern) or fnmatch(bare.rpartition(":")[0] or bare, pattern):
            return name
    return None


def names(directory: Path | None = None) -> tuple[str, ...]:
    """Return the names of all profiles, the user's own first; each once."""
    return tuple(dict.fromkeys(name for name, _ in _sources(directory)))


def _sources(directory: Path | None) -> Iterator[tuple[str, str]]:
    """Give (name, text) of each profile, the user's own first."""
    if directory is not None and directory.is_dir():
        for path in sorted(directory.glob("*.toml")):
            yield path.stem, path.read_text("utf-8")
    for entry in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            yield entry.name.removesuffix(".toml"), entry.read_text("utf-8")


@lru_cache(maxsize=8)
def _hosts(directory: Path | None) -> tuple[tuple[str, str], ...]:
    """Return (pattern, profile) for every host pattern."""
    if _is_missing(directory):
        return _hosts(None)
    return tuple((pattern, name) for name, head in _heads(directory) for pattern in head.get("hosts", ()))


def _heads(directory: Path | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give (name, head) of each profile. Only the head of a file, before its first table, is parsed."""
    for name, text in _sources(directory):
        yield name, _parse(text.partition("\n[")[0], name)


def _is_missing(directory: Path | None) -> bool:
    """Return whether it is no directory: then what is read without one is good for every home."""
    return directory is not None and not directory.is_dir()


@lru_cache(maxsize=128)
def _load(name: str, directory: Path | None) -> Profile:
    if _is_missing(directory):
        return _load(name, None)
    table = _read(name, directory)
    if table is None:
        aliases = (known for known, head in _heads(directory) if name in head.get("aliases", ()))
        return _load(next(aliases, "generic"), directory)
    try:
        if name == "generic":
            return _generic(table)
        return _merged(name, table, _load(table.get("base", "generic"), directory))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"profile '{name}' cannot be read: {error}", next_step="holdfast doctor") from None


def _read(name: str, directory: Path | None) -> dict[str, Any] | None:
    """Return the parsed file of a profile, the user's own first; None without one."""
    if not name.replace("-", "").replace("_", "").isalnum():
        return None
    for folder in (directory, files(__name__)):
        if folder is None:
            continue
        entry = folder / f"{name}.toml"
        if entry.is_file():
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
    """Return the profile of `table` over `base`: its own codes and phrases come before those of `base`."""
    statuses = {status: verdict(text) for status, text in table.get("statuses", {}).items()}
    return Profile(
        name=name,
        own={**base.own, **_codes(table.get("codes", {}))},
        phrases=(*_rules(table.get("phrases", {})), *base.phrases),
        codes=base.codes,
        types={**base.types, **_rows_by_type(table.get("types", {}))},
        vague={**base.vague, **_rows_by_type(table.get("vague", {}))},
        rows=base.rows,
        statuses={**base.statuses, **statuses},
        pages=base.pages,
        transport=base.transport,
        plan_hosts={**base.plan_hosts, **table.get("plan_hosts", {})},
        utc_offset=table.get("utc_offset", base.utc_offset),
    )


def verdict(text: str) -> Verdict:
    """Parse `quota_exhausted account terminal`: a class, then a scope, an origin, `terminal`, `unsent`, or
    `cause:NAME`. Of several scopes, origins or causes the first counts. Raises ValueError."""
    kind, *marks = text.split()
    scope: Scope | None = None
    origin: Origin | None = None
    cause: str | None = None
    for mark in marks:
        if mark.startswith("cause:"):
            cause = cause or mark.removeprefix("cause:")
        elif mark in _SCOPES:
            scope = scope or _SCOPES[mark]
        elif mark in _ORIGINS:
            origin = origin or _ORIGINS[mark]
        elif mark not in ("terminal", "unsent"):
            raise ValueError(f"'{text}': unknown mark {mark!r}")
    return Verdict(
        FaultClass(kind),
        scope,
        origin,
        terminal="terminal" in marks,
        sent="unsent" not in marks,
        cause=cause,
    )


def _codes(table: Mapping[str, str]) -> dict[str, Verdict]:
    """Return verdicts by code, in one spelling; `code@403` is for that status only."""
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
    """Return the rules of a row: families in order; `family = verdict` gives the family another verdict in
    this row."""
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
        alternatives = _ALTERNATIVE.findall(part.removeprefix("!")) or [""]
        parts.append((wanted, tuple(phrase for text in alternatives for phrase in _phrases(text))))
    return Rule(name or text[:_LONGEST_SIGN], outcome, tuple(parts), statuses)


def _phrases(text: str) -> Iterator[str]:
    """Give the phrases that an alternative stands for: `{a|b} c` for `a c` and `b c`."""
    pieces = _GROUP.split(text)  # every second one is a group
    for chosen in product(*(piece.split("|") if odd % 2 else [piece] for odd, piece in enumerate(pieces))):
        yield _phrase("".join(chosen))


def _phrase(text: str) -> str:
    """Return a phrase in the form of normalised text; `_` at an end requires the end of a word there."""
    text = text.strip()
    phrase = words(text).strip()
    if not phrase:
        raise ValueError("an empty phrase would match everything")
    if text.startswith("_"):
        phrase = " " + phrase
    if text.endswith("_"):
        phrase += " "
    return phrase
