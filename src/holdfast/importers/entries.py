"""The parts of an import's result: candidates for entries of holdfast.toml with their keys, and the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ..config.parse import parse
from ..core.identity import Provider, ProviderName
from ..providers import presets
from .keys import FoundKey
from .names import first_free


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate for `[provider.NAME]`: its fields, its keys, and its location in the other program's
    files."""

    name: ProviderName
    fields: Mapping[str, object]
    keys: tuple[FoundKey, ...] = ()
    location: str = ""

    def table(self, *, copied: bool) -> dict[str, object]:
        """Return the fields with the keys' references; with `copied`, as they are once we keep its values."""
        written: dict[str, object] = {}
        for key in self.keys:
            ref = key.ref
            if copied and key.secret is not None:
                ref = f"store:{key.label}"
            if not ref:
                continue
            written.setdefault(ref, ref)
            if key.url:
                written[ref] = self.key_table(key, ref)
        table = dict(self.fields)
        if written:
            table["keys"] = list(written.values())
        return table

    def key_table(self, key: FoundKey, ref: str) -> dict[str, object]:
        """Return the table of a key, with the URL that only it has."""
        table: dict[str, object] = {"from": ref}
        if not key.url:
            return table
        if "preset" not in self.fields:
            return {**table, "url": key.url}
        dialect = next(iter(presets.find(str(self.fields["preset"]))["endpoints"]))
        return {**table, "endpoints": {dialect: key.url}}

    def provider(self) -> Provider:
        """Return the provider that the entry defines. Raises ConfigError with what is wrong with it."""
        config = parse(
            {"provider": {self.name: self.table(copied=True)}}, presets=presets.find, locate=lambda _: ""
        )
        return config.providers[self.name]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The result of an import. `fallbacks` are pins as text, each with its fallbacks in that program;
    `left_out` are pairs of what and why."""

    entries: tuple[Entry, ...] = ()
    fallbacks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


def labelled(keys: Iterable[FoundKey]) -> tuple[FoundKey, ...]:
    """Return the usable keys, each once, under labels that are all different and can be part of a
    reference."""
    usable: dict[str, FoundKey] = {}
    for key in keys:
        if not key.identities or any(_is_same(key, other) for other in usable.values()):
            continue
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", key.label).strip("-._")[:40] or "imported"
        label = first_free(plain, usable)
        usable[label] = replace(key, label=label)
    return tuple(usable.values())


def _is_same(key: FoundKey, other: FoundKey) -> bool:
    if key.ref and key.ref == other.ref:
        return True
    return key.secret is not None and key.secret == other.secret
