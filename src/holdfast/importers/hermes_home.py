"""A Hermes home as values: its entries, its default, its fallbacks and keys. This module only reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._files import quoted
from ..core.errors import ConfigError
from .hermes_builtin import BuiltIn, before_entries, table
from .hermes_entries import HermesEntry, Ignored, Reader, has_value, is_enabled, normal, plain, snake_case
from .keys import FoundKey, KeyReader, NoKey
from .read_files import mapping, table_of, variables_of, word

KNOWN_VERSION = 33
"""The `_config_version` of hermes-agent 0.19.0, from which the rules here are taken."""


@dataclass(frozen=True, slots=True)
class HermesHome:
    """The contents of config.yaml (`config`, with its variables replaced), .env and auth.json.

    `provider`, `model` and `url` are of the block `model:`, the default of new sessions; `ignored` are
    entries that hermes does not use, with the reason; `plugins` are the providers that its plugins add to its
    own, `disabled` those that config.yaml switches off. `set_names` are the variables that have a value in
    .env or the environment; with `keys_elsewhere` a store of secrets may set others. `base_urls` are the
    variables that give a provider of hermes's own another URL. `version` is the `_config_version`."""

    path: Path
    entries: tuple[HermesEntry, ...] = ()
    provider: str = ""
    model: str = ""
    url: str = ""
    default_keys: tuple[FoundKey | NoKey, ...] = ()
    block: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fallbacks: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    reader: KeyReader = field(default_factory=lambda: KeyReader({}), repr=False)
    pool: Mapping[str, Any] = field(default_factory=dict, repr=False)
    ignored: tuple[Ignored, ...] = ()
    plugins: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    set_names: frozenset[str] = frozenset()
    base_urls: Mapping[str, str] = field(default_factory=dict)
    keys_elsewhere: bool = False
    version: int = 0

    @property
    def database(self) -> Path:
        """Return the path of the file with the sessions."""
        return self.path / "state.db"

    @property
    def is_newer(self) -> bool:
        """Return whether a newer hermes wrote config.yaml than the one that we know."""
        return self.version > KNOWN_VERSION

    def named(self, requested: str) -> HermesEntry | None:
        """Return the entry that hermes resolves a name to: the first that has it. A provider of hermes's own
        comes before an entry of the same name, which `custom:` and the name reach."""
        name = normal(requested)
        if name in before_entries() or name in self.plugins:
            return None
        return next((entry for entry in self.entries if name in entry.called), None)

    def own(self, requested: str) -> BuiltIn | None:
        """Return the provider of hermes's own that a name means; None when it means an entry, or nothing."""
        name = normal(requested)
        if self.named(name) is not None:
            return None
        if name in self.plugins:
            return BuiltIn(name, keys_elsewhere=True)
        return table().get(name)

    def name_of(self, entry: HermesEntry) -> str:
        """Return the shortest name that means the entry and nothing else."""
        if self.named(entry.name) == entry:
            return entry.name
        return f"custom:{entry.name}"

    def has_key(self, own: BuiltIn) -> bool:
        """Return whether hermes may find a key for a provider of its own."""
        if own.keys_elsewhere or self.keys_elsewhere or self.set_names.intersection(own.env):
            return True
        rows = self.pool.get(own.name)
        return isinstance(rows, list) and any(self._holds_key(mapping(row)) for row in rows)

    def lacks_key(self, entry: HermesEntry) -> bool:
        """Return whether an entry names a variable for its key that nothing sets."""
        if self.keys_elsewhere or not entry.keys or any(map(has_value, entry.keys)):
            return False
        rows = (self.pool.get(name) for name in entry.called)
        return not any(isinstance(row, list) and row for row in rows)

    def first_at(self, url: str) -> HermesEntry | None:
        """Return the entry that hermes takes for a bare URL: the first, whatever others are there."""
        if not url:
            return None
        return next((entry for entry in self.entries if plain(entry.url) == plain(url)), None)

    def _holds_key(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row of the pool has a key, or says where there is one."""
        source = word(row.get("source"))
        if source.startswith("env:"):
            return source.removeprefix("env:") in self.set_names
        return bool(row)


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return HERMES_HOME, else ~/.hermes."""
    return Path(environ.get("HERMES_HOME") or "~/.hermes").expanduser()


def heal_command(path: Path) -> str:
    """Return the command that looks at this home again."""
    if path == default_path():
        return "holdfast heal hermes"
    return f"holdfast heal hermes --home {quoted(path)}"


def read_home(path: Path, environ: Mapping[str, str] = os.environ) -> HermesHome:
    """Return the home at `path`. Raises ConfigError when there is none, or when a file of it cannot be
    understood."""
    if not path.is_dir():
        raise ConfigError(
            f"there is no Hermes home at {path}",
            next_step="holdfast heal hermes --home DIR   (what HERMES_HOME says, else ~/.hermes)",
        )
    written = table_of(path / "config.yaml") or {}
    variables = variables_of(path / ".env")
    keys = KeyReader(environ, variables, str(path / ".env"), own_first=True)
    values = keys.variables()
    reader = Reader(keys, str(path / "config.yaml"))
    config = mapping(reader.expanded(written))
    entries = tuple(reader.entries(config))
    block = snake_case(mapping(config.get("model")) or {"default": config.get("model")})
    as_written = snake_case(mapping(written.get("model")))
    default_key = {"api_key": as_written.get("api_key") or as_written.get("api")}
    url_names = {own.url_env for own in table().values()}
    plugins = list(path.glob("plugins/model-providers/*/__init__.py"))
    return HermesHome(
        path,
        entries,
        provider=word(block.get("provider")).lower(),
        model=word(block.get("default")) or word(block.get("model")),
        url=word(block.get("base_url")),
        default_keys=reader.keys(default_key, normal(word(block.get("provider"))) or "custom"),
        block=block,
        fallbacks=tuple(_fallbacks(config)),
        config=config,
        variables=variables,
        reader=keys,
        pool=_pool(path),
        ignored=tuple(reader.ignored),
        plugins=frozenset(plugin.parent.name.lower() for plugin in plugins),
        disabled=_disabled(config),
        set_names=frozenset(name for name, value in values.items() if value.strip()),
        base_urls={name: values[name].strip() for name in url_names if values.get(name, "").strip()},
        keys_elsewhere=bool(config.get("secrets")) or (path / ".op.env").exists(),
        version=_version(config.get("_config_version")),
    )


def _pool(path: Path) -> Mapping[str, Any]:
    """Return the pools of keys in auth.json. A profile takes those that it lacks from the home that holds
    it."""
    pool: dict[str, Any] = {}
    homes = [path]
    if path.parent.name == "profiles":
        homes.insert(0, path.parent.parent)
    for home in homes:
        own = mapping(mapping(table_of(home / "auth.json")).get("credential_pool"))
        pool |= {name: rows for name, rows in own.items() if rows}
    return pool


def _disabled(config: Mapping[str, Any]) -> frozenset[str]:
    """Return the names that config.yaml switches off, whoever's they are."""
    rows = mapping(config.get("providers")).items()
    return frozenset(name.lower() for name, raw in rows if not is_enabled(mapping(raw)))


def _version(value: object) -> int:
    if isinstance(value, int):
        return value
    if re.fullmatch(r"[0-9]{1,9}", word(value)):
        return int(word(value))
    return 0


def _fallbacks(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for field_name in ("fallback_providers", "fallback_model"):
        rows = config.get(field_name)
        if not isinstance(rows, list):
            rows = [rows]
        for row in rows:
            if word(mapping(row).get("provider")) and word(mapping(row).get("model")):
                yield snake_case(mapping(row))
