"""The keys of a Hermes home: in texts and variables of config.yaml, in the pools of auth.json, and those that
hermes derives from a host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .base import ResultBuilder
from .hermes_builtin import host_of
from .hermes_entries import HermesEntry
from .hermes_home import HermesHome
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .read_files import mapping, word

POOL_FILE = "auth.json"


class HomeKeys:
    """Reads the keys of a home; tells the sign-ins among them."""

    def __init__(self, home: HermesHome, builder: ResultBuilder) -> None:
        self._builder = builder
        self._config = str(home.path / "config.yaml")
        self.reader: KeyReader = home.reader
        self.pools = {name: rows for name, rows in home.pool.items() if isinstance(rows, list) and rows}

    def missing(self, *texts: str) -> str:
        """Return which variables in the texts are not set, as a sentence; "" when all are."""
        return self.reader.expand(" ".join(texts), Syntax.BRACES).why_not

    def keys_of(self, row: Mapping[str, Any], label: str) -> list[FoundKey | NoKey]:
        """Return the key that a row names, its value first."""
        inline = self.read(word(row.get("api_key")), label)
        if isinstance(inline, FoundKey):
            return [inline]
        return [inline, self.reader.variable(word(row.get("key_env")))]

    def read(self, text: str, label: str) -> FoundKey | NoKey:
        """Return the key in a text of config.yaml."""
        return self.reader.text(text, Syntax.BRACES, at=self._config, label=label)

    def by_host(self, url: str) -> FoundKey | NoKey:
        """Return the key of the variable that hermes derives from a host (of api.acme.com: that of ACME), if
        it is set."""
        host = host_of(url).partition(":")[0]
        labels = [label for label in host.split(".") if label]
        while labels and labels[0] in ("api", "www"):
            labels.pop(0)
        if len(labels) < 2 or labels[-1][:1].isdigit():
            return NoKey()
        name = re.sub(r"[^A-Z0-9]", "_", labels[-2].upper()) + "_API_KEY"
        if not self.reader.value(name):
            return NoKey()
        return self.reader.variable(name)

    def pooled(self, name: str, rows: Sequence[object]) -> Iterator[FoundKey | NoKey]:
        """Yield the keys of a pool with the URLs of their own, without those borrowed from a file or variable
        that is read anyway."""
        for position, raw in enumerate(rows):
            row = mapping(raw)
            label = word(row.get("label")) or f"key {position + 1}"
            if word(row.get("auth_type")) == "oauth" or word(row.get("refresh_token")):
                self._builder.leave_out(
                    f"the sign-in '{label}' of '{name}' ({POOL_FILE})",
                    "a refresh token works for one program only: sign in again where you want to use it",
                )
                continue
            key = self._from_row(row, label)
            if isinstance(key, FoundKey):
                key = replace(key, url=word(row.get("base_url")))
            yield key

    def _from_row(self, row: Mapping[str, Any], label: str) -> FoundKey | NoKey:
        source = word(row.get("source"))
        if source.startswith("env:"):
            return self.reader.variable(source.removeprefix("env:"))
        if source.startswith("manual"):
            return self.reader.literal(word(row.get("access_token")), at=POOL_FILE, label=label)
        return NoKey()

    def of_entry(self, entry: HermesEntry) -> list[FoundKey | NoKey]:
        """Return the keys of an entry's pools. A pool has the entry's name as it is shown."""
        keys: list[FoundKey | NoKey] = []
        for name in sorted(entry.called):
            if name.startswith("custom:"):
                keys += self.pooled(name, self.pools.pop(name, ()))
        return keys


def has_key(keys: Sequence[FoundKey | NoKey]) -> bool:
    """Return whether there is a key among these."""
    return any(isinstance(key, FoundKey) for key in keys)
