"""For each session that Hermes stored: its destination today, and the entry that its row belongs to (story
0).

Pure: values in, verdicts out. Hermes stores the resolved class `custom` for every entry of the user's, and
finds the entry again by URL, the first at that URL winning, else the current default
(NousResearch/hermes-agent#44108, #44022, #9315, #102725). A row is healed when exactly one entry fits its
URL, its dialect and, where the entries list models, its model; else the user decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from ..core.config import Config
from ..core.errors import ConnectionLost, HoldfastError
from ..core.identity import Endpoint, Provider, ProviderName
from ..providers import presets
from .addresses import base_of
from .hermes_home import HermesEntry, HermesHome, normal, plain
from .hermes_resume import Destination, goes_to, host_of
from .hermes_rows import BARE, Row, config_of
from .legacy_rows import LegacyRow, recover_pin
from .names import name_for, preset_for, unused


class State(StrEnum):
    """The outcome for a session that is resumed today."""

    RESUMES = "resumes"
    WRONG = "wrong place"
    UNKNOWN = "cannot be told"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one session. `belongs` is the name that its row should have (`custom:team-b`), None when
    that is unclear; `config` is the `model_config` with that name, None when nothing has to change."""

    row: Row
    state: State
    today: Destination
    belongs: str | None = None
    why: str = ""
    candidates: tuple[str, ...] = ()
    note: str = ""
    config: str | None = None


def judge(home: HermesHome, row: Row, chosen: str | None = None) -> Verdict:
    """Return the verdict on one session. `chosen` is the entry that its user names for it; it settles what
    the row does not."""
    today = goes_to(home, row)
    unknown = Verdict(row, State.UNKNOWN, today)
    every_name = tuple(entry.name for entry in home.entries)
    if chosen is not None:
        entry = home.named(chosen)
        if entry is None:
            return replace(
                unknown, why=f"no entry of config.yaml is called '{chosen}'", candidates=every_name
            )
        return _settled(row, today, entry)
    own = _own_of_hermes(home, row)
    if own:
        return _judge_own(home, unknown, own)
    if not row.at and row.called in BARE:
        return replace(unknown, why="its row names neither an entry nor a URL", candidates=every_name)
    if row.in_fallback:
        return replace(
            unknown, why="its row was last written while a fallback answered, so it may name the fallback"
        )
    try:
        entry = belongs_to(home.entries, row)
    except HoldfastError as lost:
        return replace(unknown, why=lost.what, candidates=tuple(getattr(lost, "candidates", ())))
    return _settled(row, today, entry, _doubt(home, row, entry))


def belongs_to(entries: tuple[HermesEntry, ...], row: Row) -> HermesEntry:
    """Return the one entry that the row can mean. Raises ConnectionLost with the candidates.

    The models that an entry declares decide where they can; where no entry at the URL declares the row's
    model the lists decide nothing, because hermes also offers what it discovers."""
    slugs, strict, loose = _as_ours(entries)
    slug = next((slug for slug, entry in slugs.items() if row.called in entry.called), row.called)
    legacy = LegacyRow(slug, base_of(row.at, row.dialect or ""), row.model, row.dialect)
    try:
        return slugs[recover_pin(strict, legacy).provider]
    except ConnectionLost as lost:
        if not _is_declared_at_its_url(strict, legacy):
            return slugs[recover_pin(loose, legacy).provider]
        raise ConnectionLost(
            lost.what, candidates=_readable(slugs, lost.candidates), next_step=lost.next_step
        ) from None


def _judge_own(home: HermesHome, unknown: Verdict, own: str) -> Verdict:
    """Return the verdict on a session whose row names a provider that hermes knows by itself."""
    row, today = unknown.row, unknown.today
    stray = home.first_at(row.url)
    if stray is not None and not _is_host_of(own, row.url):
        return replace(
            unknown,
            why=f"its row names hermes's own '{own}', and the URL of '{stray.name}'",
            candidates=(own, stray.name),
        )
    if normal(today.provider) == own:
        return Verdict(row, State.RESUMES, today, own)
    return Verdict(row, State.WRONG, today, own, config=_healed(row, own, None))


def _settled(row: Row, today: Destination, entry: HermesEntry, note: str = "") -> Verdict:
    """Return the verdict on a session that certainly belongs to `entry`."""
    name = f"custom:{entry.name}"
    if today.entry == entry and plain(today.url) == plain(entry.url):
        return Verdict(row, State.RESUMES, today, name, note=note)
    return Verdict(row, State.WRONG, today, name, note=note, config=_healed(row, name, entry))


def _doubt(home: HermesHome, row: Row, entry: HermesEntry) -> str:
    """Return a note where hermes may have guessed the entry: for a URL that several entries share it writes
    the first one's name, whichever was chosen."""
    others = [other for other in home.entries if other != entry and plain(other.url) == plain(entry.url)]
    if not others or home.first_at(entry.url) != entry:
        return ""
    offered_elsewhere = any(row.model in other.models or not other.models for other in others)
    if row.model in entry.models and not offered_elsewhere:
        return ""  # the model tells them apart
    names = ", ".join(other.name for other in others)
    return (
        f"{names} has the same URL, and hermes writes the first one's name for all; "
        f"if that is wrong: --choose {row.id}={others[0].name}"
    )


def _own_of_hermes(home: HermesHome, row: Row) -> str:
    """Return the name of a provider of hermes's own table that the row names; "" when it names an entry of
    the user's, or none."""
    name = row.called
    if home.named(name) is not None or name.startswith("custom:"):
        return ""
    if name == "openrouter":
        is_meant = bool(row.provider) or not row.at or host_of(row.at) == "openrouter.ai"
    else:
        is_meant = name in home.own
    if not is_meant:
        return ""
    return name


def _is_host_of(own: str, url: str) -> bool:
    """Return whether a URL is on a host of the provider that hermes knows by this name."""
    endpoints = presets.rows().get(preset_for("hermes", own) or "", {}).get("endpoints", {})
    return host_of(url) in map(host_of, endpoints.values())


def _is_declared_at_its_url(strict: Config, legacy: LegacyRow) -> bool:
    """Return whether some entry at the row's URL declares its model, whatever provider the row names."""
    try:
        recover_pin(strict, replace(legacy, provider=""))
    except ConnectionLost as lost:
        return bool(lost.candidates)
    return True


@lru_cache(maxsize=1)
def _as_ours(entries: tuple[HermesEntry, ...]) -> tuple[Mapping[ProviderName, HermesEntry], Config, Config]:
    """Return the entries by names of ours, and as a configuration with and without the models that they
    declare."""
    slugs: dict[ProviderName, HermesEntry] = {}
    for entry in entries:
        slugs[unused(name_for(entry.name, "hermes"), slugs)] = entry
    strict: dict[ProviderName, Provider] = {}
    for slug, entry in slugs.items():
        provider = _provider(slug, entry)
        if provider is not None:
            strict[slug] = provider
    loose = {slug: replace(provider, models=None) for slug, provider in strict.items()}
    return slugs, Config(strict), Config(loose)


def _provider(slug: ProviderName, entry: HermesEntry) -> Provider | None:
    """Return the entry as a provider of ours; None when we would refuse it."""
    try:
        endpoint = Endpoint(base_of(entry.url, entry.dialect), entry.dialect)
    except HoldfastError:
        return None
    return Provider(slug, (endpoint,), models=entry.models or None)


def _readable(slugs: Mapping[ProviderName, HermesEntry], pins: tuple[str, ...]) -> list[str]:
    return [slugs[ProviderName(pin.partition("/")[0])].name for pin in pins]


def _healed(row: Row, name: str, entry: HermesEntry | None) -> str:
    """Return the row's `model_config` with its owner's name in the form that hermes resolves, and with no
    other URL than the entry's."""
    config = config_of(row.model_config)
    config["provider"] = name
    if entry is not None and plain(row.at) != plain(entry.url) and (row.url or row.source == "acp"):
        config["base_url"] = entry.url
    return json.dumps(config)
