"""`holdfast import hermes`: the entries of config.yaml, the providers whose variables .env sets, the keys of
auth.json by reference, and the fall-back chain as the fallbacks of the default model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.config import Config
from ..core.errors import HoldfastError
from ..core.identity import Pin
from ..core.routing import LegacyRow, recover_pin
from ..core.session import Session
from ..providers import presets
from .base import Found, FoundKey, Gathering, address, base_of, literal, preset_for, variable
from .hermes_home import HermesEntry, HermesHome, default_path, dialect_of, normal, read_home
from .hermes_rows import Verdict
from .read_files import mapping, word

_PLACE = "auth.json"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> Found:
    """What a Hermes home holds. Raises ConfigError when it cannot be read."""
    return gather(read_home(path or default_path(environ), environ), environ)


def gather(home: HermesHome, environ: Mapping[str, str] = os.environ) -> Found:
    """The same of a home that was read."""
    gathered = Gathering("hermes")
    names: dict[str, str] = {}
    pooled = {
        name: tuple(_pooled(gathered, name, rows, environ))
        for name, rows in home.pool.items()
        if isinstance(rows, list)
    }
    for one in home.entries:
        fields = address(one.url, one.dialect, models=one.models or None)
        if one.has_headers:
            gathered.leave(
                f"extra_headers of '{one.name}'",
                "headers of other programs may hold keys: write headers = { … } yourself",
            )
        keys = _distinct((*one.keys, *pooled.pop(f"custom:{one.name}", ())))
        if made := gathered.add(one.name, fields, keys, one.place):
            names |= dict.fromkeys(one.called, made)
    _default(gathered, home, names)
    _known(gathered, home, pooled, names, environ)
    for what, why in home.ignored:
        gathered.leave(what, why)
    _fallback_chain(gathered, home, names)
    return gathered.found()


def _default(gathered: Gathering, home: HermesHome, names: dict[str, str]) -> None:
    """The block `model:` is an entry of its own where it has a URL that no named one has."""
    provider = home.provider or "custom"
    if (
        not home.url
        or home.named(provider) is not None
        or home.first_at(home.url) is not None
        or preset_for("hermes", provider)
    ):
        return
    fields = address(
        home.url, dialect_of("", home.url) or "openai-chat", models=(home.model,) if home.model else None
    )
    made = gathered.add(provider, fields, home.default_keys, "model")
    if made:
        names |= {provider: made}


def _known(
    gathered: Gathering,
    home: HermesHome,
    pooled: Mapping[str, Sequence[FoundKey]],
    names: dict[str, str],
    environ: Mapping[str, str],
) -> None:
    """Providers of hermes's own table, as far as there is a key: from its pool, or a variable that .env
    sets."""
    keys: dict[str, list[FoundKey]] = {}
    for name, rows in pooled.items():
        preset = preset_for("hermes", name)
        if preset is None or not rows:
            if rows:
                gathered.leave(
                    f"{len(rows)} keys of '{name}' ({_PLACE})",
                    "we have no preset of that name: holdfast provider add NAME --url URL",
                )
            continue
        names |= {name: preset}
        keys.setdefault(preset, []).extend(rows)
    for name in home.variables:
        preset = presets.owner_of_variable(name)
        key = variable(name, environ, home.variables, str(home.path / ".env")) if preset else None
        if preset is None or key is None or not home.variables[name].strip():
            continue
        keys.setdefault(preset, []).append(key)
    for preset, rows in keys.items():
        elsewhere = _moved_to(home, preset)
        made = gathered.add(
            preset,
            address(elsewhere, "openai-chat") if elsewhere else {"preset": preset},
            _distinct(rows),
            ".env and auth.json",
        )
        names |= {preset: made} if made else {}


def _moved_to(home: HermesHome, preset: str) -> str:
    """The URL that .env gives to a provider of hermes's own: its key belongs there and not to the usual
    host."""
    stems = [one.removesuffix("_KEY").removesuffix("_API") for one in presets.find(preset).get("env", ())]
    return next((url for stem in stems if (url := home.variables.get(f"{stem}_BASE_URL", "").strip())), "")


def _pooled(
    gathered: Gathering, name: str, rows: Sequence[object], environ: Mapping[str, str]
) -> Iterator[FoundKey]:
    """The keys of a pool that are not borrowed from a place which is read anyway."""
    for at, raw in enumerate(rows):
        row = mapping(raw)
        source, label, value = (
            word(row.get("source")),
            word(row.get("label")) or f"key {at + 1}",
            word(row.get("access_token")),
        )
        if word(row.get("auth_type")) == "oauth" or word(row.get("refresh_token")):
            gathered.leave(
                f"the sign-in '{label}' of '{name}' ({_PLACE})",
                "a refresh token has one owner: sign in again where you want to use it",
            )
        elif (source.startswith("env:") and (key := variable(source[4:], environ))) or (
            source.startswith("manual") and (key := literal(value, _PLACE, label))
        ):
            yield key


def _distinct(keys: Sequence[FoundKey]) -> tuple[FoundKey, ...]:
    kept: list[FoundKey] = []
    for key in keys:
        if not any(
            (key.ref and key.ref == one.ref) or (key.secret is not None and key.secret == one.secret)
            for one in kept
        ):
            kept.append(key)
    return tuple(kept)


def _fallback_chain(gathered: Gathering, home: HermesHome, names: Mapping[str, str]) -> None:
    if not home.fallbacks:
        return
    default = home.named(home.provider) or home.first_at(home.url)
    owner = names.get(f"custom:{default.name}") if default is not None else names.get(home.provider)
    if not owner or not home.model:
        why = "the default model has no provider here: list its fallbacks under [fallback] in holdfast.toml"
        gathered.leave("the fall-back chain", why)
        return
    pins = []
    for row in home.fallbacks:
        called, url = normal(word(row.get("provider"))), word(row.get("base_url"))
        entry = home.named(called) or home.first_at(url)
        name = (
            names.get(f"custom:{entry.name}")
            if entry is not None
            else names.get(called) or names.get(preset_for("hermes", called) or "")
        )
        pins.append(f"{name or called}/{word(row.get('model'))}")
    gathered.fallbacks[f"{owner}/{home.model}"] = tuple(pins)


def sessions(
    config: Config, verdicts: Sequence[Verdict], entries: Sequence[HermesEntry], now: float
) -> tuple[list[Session], list[tuple[str, str]]]:
    """The sessions that could stand in our store on the providers of `config`, and the others with the
    reason."""
    made: list[Session] = []
    refused: list[tuple[str, str]] = []
    for one in verdicts:
        try:
            made.append(
                Session(
                    one.row.id, _pin(config, one, entries), created_at=one.row.started or now, changed_at=now
                )
            )
        except HoldfastError as error:
            refused.append(
                (
                    one.row.id,
                    error.what
                    + (f" ({' or '.join(found)})" if (found := getattr(error, "candidates", ())) else ""),
                )
            )
    return made, refused


def _pin(config: Config, one: Verdict, entries: Sequence[HermesEntry]) -> Pin:
    if one.belongs is None:
        raise HoldfastError(one.why + (f" ({' or '.join(one.candidates)})" if one.candidates else ""))
    entry = next((each for each in entries if f"custom:{each.name}" == one.belongs), None)
    if entry is None:
        preset = preset_for("hermes", one.belongs) or one.belongs
        owners = [each for each in config.providers.values() if preset in (each.name, each.preset)]
        if len(owners) != 1:
            which = (
                f"several providers of yours ({', '.join(each.name for each in owners)}) are"
                if owners
                else "no provider of yours is"
            )
            raise HoldfastError(f"{which} hermes's '{one.belongs}'")
        return Pin(owners[0].name, one.row.model)
    # Which entry it was is decided; a model that ours does not list is one that hermes discovered there.
    anything = Config({name: replace(each, models=None) for name, each in config.providers.items()})
    return recover_pin(
        anything,
        LegacyRow(f"custom:{entry.name}", base_of(entry.url, entry.dialect), one.row.model, entry.dialect),
    )
