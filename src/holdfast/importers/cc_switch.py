"""`holdfast import cc-switch`: the profiles of CC Switch (since 3.7 in cc-switch.db, before in config.json).
Each is the configuration of one program: `claude`, `codex`, `gemini` ..."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .base import ResultBuilder
from .cc_switch_profiles import READERS, Profile
from .entries import ImportResult
from .keys import KeyReader
from .read_files import mapping, table_of, word
from .sqlite_rows import json_value, table_rows

_APPS = tuple(READERS)
_COLUMNS = ("id", "app_type", "name", "settings_config", "meta", "is_current")


@dataclass(frozen=True, slots=True)
class _Stored:
    """A profile as it is stored: the program that it is for, its name, whether it is the one in use, the
    program's configuration and what CC Switch notes about it."""

    app: str
    name: str
    current: bool
    settings: Mapping[str, Any]
    meta: Mapping[str, Any]


def default_path() -> Path:
    """Return the program's directory."""
    return Path("~/.cc-switch").expanduser()


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the profiles define. Raises ConfigError when the file cannot be read."""
    path = path or default_path()
    if path.is_dir():
        database = path / "cc-switch.db"
        path = path / "config.json"
        if database.exists():
            path = database
    reader = KeyReader(environ)
    builder = ResultBuilder("cc-switch", reader)
    if not path.exists():
        builder.leave_out(str(path), "there is no such file")
        return builder.result()
    profiles = list(_stored(path))
    apps_of: dict[str, set[str]] = {}
    for stored in profiles:
        apps_of.setdefault(stored.name, set()).add(stored.app)
    for stored in sorted(profiles, key=lambda stored: not stored.current):
        called = stored.name
        if len(apps_of[stored.name]) > 1:
            called = f"{stored.name}-{stored.app}"
        at = f"{path.name}: {stored.app} '{stored.name}'"
        profile = Profile(
            called, at, settings=stored.settings, meta=stored.meta, reader=reader, current=stored.current
        )
        READERS[stored.app](builder, profile)
    return builder.result()


def _stored(path: Path) -> Iterator[_Stored]:
    if path.suffix == ".db":
        yield from _in_database(path)
        return
    config = mapping(table_of(path))
    apps = config
    if "providers" in config and "current" in config:  # before 3.0: of Claude Code alone
        apps = {"claude": config}
    for app in _APPS:
        manager = mapping(apps.get(app))
        for key, raw in mapping(manager.get("providers")).items():
            row = mapping(raw)
            yield _Stored(
                app,
                word(row.get("name")) or key,
                current=manager.get("current") == key,
                settings=mapping(row.get("settingsConfig")),
                meta=mapping(row.get("meta")),
            )


def _in_database(path: Path) -> Iterator[_Stored]:
    for row in table_rows(path, "providers", _COLUMNS):
        app = word(row["app_type"])
        if app in _APPS:
            yield _Stored(
                app,
                word(row["name"]) or word(row["id"]),
                current=bool(row["is_current"]),
                settings=json_value(row["settings_config"]),
                meta=json_value(row["meta"]),
            )
