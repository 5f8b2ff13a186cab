"""`holdfast import litellm`: `model_list`, `credential_list` and the fallbacks of a proxy's config.yaml and
of the files that it includes (LiteLLM 1.109: docs/proxy/configs, reliability, ui_credentials)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .addresses import OfPreset, OwnUrl
from .base import ResultBuilder
from .entries import ImportResult
from .keys import KeyReader, Syntax
from .litellm_rows import Deployment, deployments
from .read_files import file_at, mapping, table_of, word
from .rows import name_at, rows_in

_OTHER_FALLBACKS = ("default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_SETTINGS = ("router_settings", "litellm_settings", "general_settings")


def default_path() -> Path:
    """Return the file that a proxy is usually started with."""
    return Path("config.yaml")


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return the result for a proxy's file. Raises ConfigError when it cannot be read."""
    path = file_at(path or default_path(), default_path().name)
    left_out: list[tuple[str, str]] = []
    config = _with_included(path, left_out)
    reader = _reader(config or {}, environ, path.name)
    builder = ResultBuilder("litellm", reader, honours_base_urls=True, left_out=left_out)
    if config is None:
        builder.leave_out(str(path), "there is no such file: holdfast import litellm PATH")
        return builder.result()
    rows = list(deployments(builder, config))
    pins = _pins(builder, rows, _add_providers(builder, rows))
    pins |= _aliases(builder, mapping(config.get("router_settings")), pins)
    builder.tell_fields(config, "litellm.top", at=path.name)
    for name in _SETTINGS:
        settings = mapping(config.get(name))
        _add_fallbacks(builder, settings, pins)
        builder.tell_fields(settings, f"litellm.{name}", at=name)
    if mapping(config.get("general_settings")).get("master_key") is not None:
        builder.leave_out("master_key", "our gateway has tokens of its own: holdfast token new")
    return builder.result()


def _with_included(path: Path, left_out: list[tuple[str, str]]) -> dict[str, Any] | None:
    """Return the file with the files that it includes, as LiteLLM merges them: lists are joined, any other
    setting of an included file wins. None without the file."""
    config = table_of(path)
    if config is None:
        return None
    merged = dict(config)
    included = config.get("include")
    if not isinstance(included, list):
        return merged
    for name in map(word, included):
        table = table_of(path.parent / name)
        if table is None:
            left_out.append((f"include of {name}", "there is no such file"))
            continue
        for field, value in table.items():
            own = merged.get(field)
            if isinstance(own, list) and isinstance(value, list):
                merged[field] = [*own, *value]
            else:
                merged[field] = value
    return merged


def _reader(config: Mapping[str, Any], environ: Mapping[str, str], name: str) -> KeyReader:
    """Return the reader of keys: `environment_variables` win over the environment, as they do there."""
    outside = KeyReader(environ)
    texts = {key: word(value) for key, value in mapping(config.get("environment_variables")).items()}
    expanded = {key: outside.expand(text, Syntax.OS_ENVIRON) for key, text in texts.items()}
    given = {key: text.text for key, text in expanded.items() if not text.missing}
    return KeyReader(environ, given, f"environment_variables of {name}", own_first=True)


def _add_providers(builder: ResultBuilder, rows: list[Deployment]) -> dict[str, str]:
    """Add one entry for each address and set of models: keys with the same models there are a pool, others
    are accounts of their own. Return the entries' names by the location of a deployment."""
    addresses: dict[tuple[str, ...], dict[tuple[str, object], list[Deployment]]] = {}
    for row in rows:
        addresses.setdefault(row.address, {}).setdefault(row.account, []).append(row)
    owners: dict[str, str] = {}
    for accounts in addresses.values():
        pools: dict[frozenset[str], list[Deployment]] = {}
        for of_account in accounts.values():
            pools.setdefault(frozenset(row.model for row in of_account), []).extend(of_account)
        for pool in pools.values():
            name = _add_pool(builder, pool)
            if name:
                owners |= {row.location: name for row in pool}
    return owners


def _add_pool(builder: ResultBuilder, rows: list[Deployment]) -> str | None:
    """Add the entry of deployments at one address; return its name, None when it was left out."""
    first = rows[0]
    models: list[object] | None = None
    if all(row.model for row in rows):
        models = [row.written for row in rows]
    keys = {row.account: row.key for row in rows}
    return builder.add(_name_of(first), first.where, keys.values(), location=first.location, models=models)


def _name_of(row: Deployment) -> str:
    """Return the preset's name where it is the maker's own host, else the host's."""
    if isinstance(row.where, OfPreset):
        return row.where.name
    if not isinstance(row.where, OwnUrl):
        return row.group
    return name_at(row.where.url, row.family)


def _pins(builder: ResultBuilder, rows: list[Deployment], owners: Mapping[str, str]) -> dict[str, str]:
    """Return the pin of each group: its first deployment that is imported. Note the names that change."""
    pins: dict[str, str] = {}
    for row in rows:
        owner, group = owners.get(row.location), row.group
        if not owner or not row.model:
            continue
        pin = f"{owner}/{row.model}"
        if row.responses:
            builder.leave_out(f"{group} ({row.location})", f"{pin} is asked by the Responses API only there")
        if group not in pins:
            pins[group] = pin
            if group != row.model:
                builder.leave_out(f"the name '{group}'", f"it is the pin {pin} here")
        elif pins[group] != pin:
            builder.leave_out(
                f"'{group}' at {pin}",
                f"a name means one model here, and '{group}' is {pins[group]}: "
                f"list {pin} in [fallback] if it may answer too",
            )
    return pins


def _aliases(builder: ResultBuilder, settings: Mapping[str, Any], pins: Mapping[str, str]) -> dict[str, str]:
    """Return the pins of model_group_alias, and note each alias."""
    aliases: dict[str, str] = {}
    for alias, raw in mapping(settings.get("model_group_alias")).items():
        group = word(raw) or word(mapping(raw).get("model"))
        why = f"'{group}' was not imported"
        if group in pins:
            aliases[alias] = pins[group]
            why = f"it is the pin {pins[group]} here"
        builder.leave_out(f"the name '{alias}' (model_group_alias)", why)
    return aliases


def _add_fallbacks(builder: ResultBuilder, settings: Mapping[str, Any], pins: Mapping[str, str]) -> None:
    for field in _OTHER_FALLBACKS:
        if settings.get(field):
            builder.leave_out(
                field, "a fallback here is written for one pin, and used when that cannot answer"
            )
    rows = settings.get("fallbacks")
    if not isinstance(rows, list):
        return
    for row in rows:
        for group, then in mapping(row).items():
            names = []
            if isinstance(then, list):
                names = [word(name) for name in then]
            own = [word(fallback.get("model")) for fallback in rows_in(then)]
            if own:
                why = f"'{own[0]}' has settings of its own there: write its row into model_list first"
                builder.leave_out(f"the fallback of '{group}'", why)
                continue
            missing = [name for name in (group, *names) if name not in pins]
            if missing:
                builder.leave_out(f"the fallback of '{group}'", f"'{missing[0]}' was not imported")
            else:
                builder.fallbacks[pins[group]] = tuple(pins[name] for name in names)
