"""`holdfast import hermes`: the entries of config.yaml, the providers whose variables .env sets, the keys of
auth.json by reference, and the fall-back chain as the fallbacks of the default model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.config import Config
from ..core.errors import HoldfastError
from ..core.identity import Pin, Provider, ProviderName
from ..core.session import Session
from ..providers import presets
from .addresses import OfPreset, OwnUrl, base_of
from .base import ResultBuilder
from .entries import ImportResult
from .hermes_belongs import is_its_own
from .hermes_entries import HermesEntry, dialect_of, normal
from .hermes_home import HermesHome, default_path, read_home
from .hermes_verdicts import Verdict
from .keys import FoundKey, KeyReader, NoKey
from .legacy_rows import LegacyRow, recover_pin
from .names import preset_for
from .read_files import mapping, word

_POOL_FILE = "auth.json"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return the result for the Hermes home at `path`. Raises ConfigError when it cannot be read."""
    return gather(read_home(path or default_path(environ), environ))


def gather(home: HermesHome) -> ImportResult:
    """Return the result for a Hermes home that was read before."""
    reader = home.reader
    builder = ResultBuilder("hermes", reader, honours_base_urls=True)
    names: dict[str, str] = {}  # a provider's name in hermes -> its name here
    pooled = {
        name: tuple(_pooled(builder, name, rows))
        for name, rows in home.pool.items()
        if isinstance(rows, list)
    }
    for entry in home.entries:
        _add_entry(builder, entry, pooled.pop(f"custom:{entry.name}", ()), names)
    _add_default(builder, home, names)
    keys = _keys_by_preset(builder, pooled, names)
    _add_variables(keys, home, reader)
    _add_known(builder, keys, names)
    for what, why in home.ignored:
        builder.leave_out(what, why)
    _add_fallbacks(builder, home, names)
    return builder.result()


def sessions(
    config: Config, verdicts: Sequence[Verdict], home: HermesHome, now: float
) -> tuple[list[Session], list[tuple[str, str]]]:
    """Return the sessions that our store can hold on the providers of `config`, and the others as pairs of id
    and reason. `now` is epoch seconds."""
    made: list[Session] = []
    refused: list[tuple[str, str]] = []
    for verdict in verdicts:
        row = verdict.row
        try:
            pin = _pin(config, verdict, home)
            made.append(Session(row.id, pin, created_at=row.started or now, changed_at=now))
        except HoldfastError as error:
            refused.append((row.id, _with_candidates(error.what, getattr(error, "candidates", ()))))
    return made, refused


def _pooled(builder: ResultBuilder, name: str, rows: Sequence[object]) -> Iterator[FoundKey]:
    """Yield the keys of a pool, without those borrowed from a file or variable that is read anyway."""
    for at, raw in enumerate(rows):
        row = mapping(raw)
        label = word(row.get("label")) or f"key {at + 1}"
        if word(row.get("auth_type")) == "oauth" or word(row.get("refresh_token")):
            builder.leave_out(
                f"the sign-in '{label}' of '{name}' ({_POOL_FILE})",
                "a refresh token works for one program only: sign in again where you want to use it",
            )
            continue
        key = _key_from(word(row.get("source")), word(row.get("access_token")), label, builder.reader)
        if isinstance(key, FoundKey):
            yield replace(key, url=word(row.get("base_url")))


def _key_from(source: str, value: str, label: str, reader: KeyReader) -> FoundKey | NoKey:
    if source.startswith("env:"):
        return reader.variable(source.removeprefix("env:"))
    if source.startswith("manual"):
        return reader.literal(value, at=_POOL_FILE, label=label)
    return NoKey()


def _add_entry(
    builder: ResultBuilder, entry: HermesEntry, pooled: Sequence[FoundKey], names: dict[str, str]
) -> None:
    if entry.has_headers:
        builder.leave_out(
            f"extra_headers of '{entry.name}'", "they may hold keys: write headers = { … } yourself"
        )
    where = OwnUrl(entry.url, entry.dialect)
    keys = (*entry.keys, *pooled)
    made = builder.add(entry.name, where, keys, location=entry.location, models=entry.models)
    if made:
        names |= dict.fromkeys(entry.called, made)


def _add_default(builder: ResultBuilder, home: HermesHome, names: dict[str, str]) -> None:
    """Add the block `model:` as an entry where it has a URL that no named entry has."""
    provider = home.provider or "custom"
    if not home.url or preset_for("hermes", provider):
        return
    if home.named(provider) is not None or home.first_at(home.url) is not None:
        return
    models = (home.model,) if home.model else None
    where = OwnUrl(home.url, dialect_of("", home.url) or "openai-chat")
    made = builder.add(provider, where, home.default_keys, location="model", models=models)
    if made:
        names |= {provider: made}


def _keys_by_preset(
    builder: ResultBuilder, pooled: Mapping[str, Sequence[FoundKey]], names: dict[str, str]
) -> dict[str, list[FoundKey]]:
    """Return the pooled keys of the providers that hermes knows by itself, by our preset."""
    keys: dict[str, list[FoundKey]] = {}
    for name, pool in pooled.items():
        if not pool:
            continue
        preset = preset_for("hermes", name)
        if preset is None:
            builder.leave_out(
                f"{len(pool)} keys of '{name}' ({_POOL_FILE})",
                "we have no preset of that name: holdfast provider add NAME --url URL",
            )
            continue
        names |= {name: preset}
        keys.setdefault(preset, []).extend(pool)
    return keys


def _add_variables(keys: dict[str, list[FoundKey]], home: HermesHome, reader: KeyReader) -> None:
    """Add to `keys` the variables of .env that belong to a preset."""
    for name, value in home.variables.items():
        preset = presets.owner_of_variable(name)
        if preset is None or not value.strip():
            continue
        key = reader.found(name)
        if isinstance(key, FoundKey):
            keys.setdefault(preset, []).append(key)


def _add_known(builder: ResultBuilder, keys: Mapping[str, Sequence[FoundKey]], names: dict[str, str]) -> None:
    """Add the providers of hermes's own table that have a key."""
    for preset, rows in keys.items():
        made = builder.add(preset, OfPreset(preset), rows, location=".env and auth.json")
        if made:
            names |= {preset: made}


def _add_fallbacks(builder: ResultBuilder, home: HermesHome, names: Mapping[str, str]) -> None:
    if not home.fallbacks:
        return
    owner = _name_here(home.provider, home.named(home.provider) or home.first_at(home.url), names)
    if not owner or not home.model:
        builder.leave_out(
            "the fall-back chain",
            "the provider of the default model was not imported: write [fallback] in holdfast.toml",
        )
        return
    pins = []
    for row in home.fallbacks:
        called, url = normal(word(row.get("provider"))), word(row.get("base_url"))
        entry = home.named(called) or home.first_at(url)
        name = _name_here(called, entry, names)
        if not name and entry is None:
            name = names.get(preset_for("hermes", called) or "", "")
        pins.append(f"{name or called}/{word(row.get('model'))}")
    builder.fallbacks[f"{owner}/{home.model}"] = tuple(pins)


def _name_here(called: str, entry: HermesEntry | None, names: Mapping[str, str]) -> str:
    if entry is not None:
        return names.get(f"custom:{entry.name}", "")
    return names.get(called, "")


def _pin(config: Config, verdict: Verdict, home: HermesHome) -> Pin:
    """Return the pin that a session's row means. Raises HoldfastError when it is unclear."""
    row, owner = verdict.row, verdict.belongs
    if owner is None:
        raise HoldfastError(_with_candidates(verdict.why, verdict.candidates))
    entry = next((entry for entry in home.entries if f"custom:{entry.name}" == owner), None)
    if entry is None:
        return Pin(_provider_for(config, home, owner), row.model)
    # Which entry it was is decided; a model that ours does not list is one that hermes discovered there.
    without_models = {name: replace(provider, models=None) for name, provider in config.providers.items()}
    legacy = LegacyRow(f"custom:{entry.name}", base_of(entry.url, entry.dialect), row.model, entry.dialect)
    return recover_pin(Config(without_models), legacy)


def _provider_for(config: Config, home: HermesHome, called: str) -> ProviderName:
    """Return the one provider of ours that is hermes's own `called`. Raises HoldfastError."""
    owners = [provider.name for provider in config.providers.values() if _is_own(provider, home, called)]
    if not owners:
        raise HoldfastError(f"no provider of yours is hermes's '{called}'")
    if len(owners) > 1:
        raise HoldfastError(f"several providers of yours ({', '.join(owners)}) are hermes's '{called}'")
    return owners[0]


def _is_own(provider: Provider, home: HermesHome, called: str) -> bool:
    """Return whether a provider of ours is hermes's own `called`: by its preset, or by name and address. The
    name alone may be an entry's."""
    own = home.own(called)
    if own is None:
        return provider.name == called
    preset = preset_for("hermes", own.name) or own.name
    if provider.preset is not None:
        return provider.preset == preset
    is_named = provider.name in (preset, own.name, called)
    return is_named and all(is_its_own(home, own, endpoint.url) for endpoint in provider.endpoints)


def _with_candidates(what: str, candidates: Sequence[str]) -> str:
    if not candidates:
        return what
    return f"{what} ({' or '.join(candidates)})"
