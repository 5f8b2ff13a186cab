"""For each session that Hermes stored: where it would go today, and where its row says that it belongs (story
0).

Pure: values in, verdicts out. Hermes stores the resolved class `custom` for every entry of the user's, and
finds the entry again by URL, the first at that URL winning, else the current default
(NousResearch/hermes-agent#44108, #44022, #9315, #102725). A row is healed when exactly one entry fits its
URL, its dialect and, where the entries tell them, its model; else the user decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from ..core import times
from ..core.config import Config
from ..core.errors import ConnectionLost, HoldfastError
from ..core.identity import Dialect, Endpoint, Provider, ProviderName
from ..core.routing import LegacyRow, recover_pin
from ..providers import presets
from .base import base_of, name_for, preset_for, unused
from .hermes_home import HermesEntry, HermesHome, dialect_of, normal, plain
from .read_files import mapping, word

BARE = frozenset({"", "auto", "openrouter", "custom"})
"""Billing classes, which hermes does not take for a provider on resume."""
_LOCAL_CLASSES = frozenset({"custom", "ollama", "vllm", "llamacpp", "llama.cpp", "llama-cpp", "local"})


class State(StrEnum):
    """What becomes of a session that is resumed today."""

    RESUMES = "resumes"
    WRONG = "wrong place"
    UNKNOWN = "cannot be told"


@dataclass(frozen=True, slots=True)
class Row:
    """A session as hermes stored it. `provider`, `url` and `mode` are those of `model_config`, the `billed`
    ones its columns'."""

    id: str
    source: str = ""
    title: str = ""
    model: str = ""
    provider: str = ""
    url: str = ""
    mode: str = ""
    billed_provider: str = ""
    billed_url: str = ""
    billed_mode: str = ""
    in_fallback: bool = False
    model_config: str | None = None
    started: float = 0.0

    @property
    def called(self) -> str:
        """The most telling name in the row."""
        return normal(self.provider or self.billed_provider)

    @property
    def dialect(self) -> Dialect | None:
        """The dialect that the row tells, if any."""
        return dialect_of(self.mode) or dialect_of(self.billed_mode)

    @property
    def at(self) -> str:
        """The URL that the session used last."""
        return self.url or self.billed_url


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes: the entry, if it is one of the user's, else in words; the URL; and whose key."""

    entry: HermesEntry | None
    provider: str
    url: str
    key: str

    @property
    def host(self) -> str:
        """host[:port] of the URL."""
        return _host(self.url)

    def __str__(self) -> str:
        return (
            f"{self.provider}"
            + (f" at {self.host}" if self.host else "")
            + (f" with {self.key}" if self.key else "")
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known about one session. `belongs` is the name that its row should have (`custom:team-b`), None
    when it cannot be told; `config` is the `model_config` that says so, None when nothing has to change."""

    row: Row
    state: State
    today: Destination
    belongs: str | None = None
    why: str = ""
    candidates: tuple[str, ...] = ()
    note: str = ""
    config: str | None = None


def row_of(columns: Mapping[str, Any]) -> Row:
    """A row of the table `sessions`, whichever of its columns this version of hermes has."""
    raw = columns.get("model_config")
    try:
        config = mapping(json.loads(raw)) if isinstance(raw, str) and raw.strip() else {}
    except (ValueError, RecursionError):
        config = {}
    live = mapping(config.get("gateway_runtime"))
    return Row(
        str(columns["id"]),
        word(columns.get("source")),
        word(columns.get("title")),
        word(columns.get("model")) or word(config.get("model")),
        word(config.get("provider")),
        word(config.get("base_url")),
        word(config.get("api_mode")),
        word(config.get("billing_provider"))
        or word(columns.get("billing_provider"))
        or word(live.get("provider")),
        word(columns.get("billing_base_url")) or word(live.get("base_url")),
        word(columns.get("billing_mode")) or word(live.get("api_mode")),
        live.get("fallback_active") is True,
        raw if isinstance(raw, str) else None,
        times.moment(columns.get("started_at")) or 0.0,
    )


def judge(home: HermesHome, row: Row, chosen: str | None = None) -> Verdict:
    """The verdict on one session. `chosen` is the entry that its user names for it; it settles what the row
    does not."""
    today = goes_to(home, row)
    if chosen is not None:
        entry = home.named(chosen)
        if entry is None:
            known = tuple(one.name for one in home.entries)
            return Verdict(
                row,
                State.UNKNOWN,
                today,
                why=f"no entry of config.yaml is called '{chosen}'",
                candidates=known,
            )
        return _settled(row, today, entry)
    own = _own_of_hermes(home, row)
    stray = home.first_at(row.url) if own and not _at_home(own, row.url) else None
    if stray is not None:
        return Verdict(
            row,
            State.UNKNOWN,
            today,
            why=f"its row names hermes's own '{own}', and the URL of '{stray.name}'",
            candidates=(own, stray.name),
        )
    if own:
        state = State.RESUMES if normal(today.provider) == own else State.WRONG
        return Verdict(
            row, state, today, own, config=_healed(row, own, None) if state is State.WRONG else None
        )
    if not row.at and row.called in BARE:
        return Verdict(
            row,
            State.UNKNOWN,
            today,
            why="its row names neither an entry nor a URL",
            candidates=tuple(one.name for one in home.entries),
        )
    if row.in_fallback:
        return Verdict(
            row,
            State.UNKNOWN,
            today,
            why="its row was last written while a fall-back answered, so it may name the fall-back",
        )
    try:
        entry = belongs_to(home.entries, row)
    except HoldfastError as lost:
        return Verdict(
            row, State.UNKNOWN, today, why=lost.what, candidates=tuple(getattr(lost, "candidates", ()))
        )
    return _settled(row, today, entry, _doubt(home, row, entry))


def _settled(row: Row, today: Destination, entry: HermesEntry, note: str = "") -> Verdict:
    right = today.entry == entry and plain(today.url) == plain(entry.url)
    name = f"custom:{entry.name}"
    return Verdict(
        row,
        State.RESUMES if right else State.WRONG,
        today,
        name,
        note=note,
        config=None if right else _healed(row, name, entry),
    )


def _doubt(home: HermesHome, row: Row, entry: HermesEntry) -> str:
    """What hermes may have made up: for a URL that several entries share it writes the first one's name,
    whoever was chosen."""
    others = [one for one in home.entries if one != entry and plain(one.url) == plain(entry.url)]
    told_by_model = row.model in entry.models and not any(
        row.model in one.models or not one.models for one in others
    )
    if not others or home.first_at(entry.url) != entry or told_by_model:
        return ""
    shared = f"{', '.join(one.name for one in others)} has the same URL, and hermes writes the first one's name for all"
    return f"{shared}; if that is wrong: --choose {row.id}={others[0].name}"


def _own_of_hermes(home: HermesHome, row: Row) -> str:
    """The name of a provider of hermes's own table that the row names; "" when it names an entry of the
    user's, or nobody."""
    name = row.called
    if home.named(name) is not None or name.startswith("custom:"):
        return ""
    if name == "openrouter":
        return name if row.provider or (not row.at or _host(row.at) == "openrouter.ai") else ""
    return name if name in home.own else ""


def _at_home(own: str, url: str) -> bool:
    """Whether a URL is on a host of the provider that hermes knows by this name."""
    known = presets.rows().get(preset_for("hermes", own) or "", {}).get("endpoints", {})
    return _host(url) in {_host(one) for one in known.values()}


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def belongs_to(entries: tuple[HermesEntry, ...], row: Row) -> HermesEntry:
    """The one entry that the row can mean. Raises ConnectionLost with the candidates.

    What an entry declares as models decides where it can; where no entry at the URL declares the row's model
    the lists say nothing, because hermes also offers what it discovers."""
    slugs, strict, loose = _as_ours(entries)
    slug = next((slug for slug, one in slugs.items() if row.called in one.called), row.called)
    legacy = LegacyRow(slug, base_of(row.at, row.dialect or ""), row.model, row.dialect)
    try:
        return slugs[recover_pin(strict, legacy).provider]
    except ConnectionLost as lost:
        try:
            recover_pin(strict, replace(legacy, provider=""))
        except ConnectionLost as nobody:
            if not nobody.candidates:
                return slugs[recover_pin(loose, legacy).provider]
        raise ConnectionLost(
            lost.what, candidates=_readable(slugs, lost.candidates), next_step=lost.next_step
        ) from None


@lru_cache(maxsize=1)
def _as_ours(entries: tuple[HermesEntry, ...]) -> tuple[Mapping[ProviderName, HermesEntry], Config, Config]:
    """The entries under names of ours, and as a configuration with and without the models that they
    declare."""
    slugs: dict[ProviderName, HermesEntry] = {}
    for one in entries:
        slugs[unused(name_for(one.name, "hermes"), slugs)] = one
    strict, loose = (
        Config({slug: made for slug, one in slugs.items() if (made := _provider(slug, one, models))})
        for models in (True, False)
    )
    return slugs, strict, loose


def _readable(slugs: Mapping[ProviderName, HermesEntry], pins: tuple[str, ...]) -> list[str]:
    return [slugs[ProviderName(pin.partition("/")[0])].name for pin in pins]


def _provider(slug: ProviderName, entry: HermesEntry, models: bool) -> Provider | None:
    try:
        endpoint = Endpoint(base_of(entry.url, entry.dialect), entry.dialect)
    except HoldfastError:
        return None
    return Provider(slug, (endpoint,), models=entry.models if models and entry.models else None)


def _healed(row: Row, name: str, entry: HermesEntry | None) -> str:
    """The row's `model_config` with its owner's name in the form that hermes resolves, and with no other URL
    than the entry's."""
    try:
        config = json.loads(row.model_config or "{}")
    except (ValueError, RecursionError):
        config = {}
    config = config if isinstance(config, dict) else {}
    config["provider"] = name
    if entry is not None and plain(row.at) != plain(entry.url) and (row.url or row.source == "acp"):
        config["base_url"] = entry.url
    return json.dumps(config)


def goes_to(home: HermesHome, row: Row) -> Destination:
    """Where hermes-agent 0.19.0 sends the session when it is resumed in its TUI or desktop program, or over
    ACP if it began there. (`hermes --resume` on the plain command line takes the default of the day whatever
    the row says.)"""
    if row.source == "acp":
        return _resolved(home, row.provider or row.billed_provider, row.url or row.billed_url, over_acp=True)
    provider, url = row.provider, row.url
    if not provider and normal(row.billed_provider) not in BARE:
        provider = row.billed_provider
    if normal(provider) == "custom":
        healed = home.first_at(url) or home.named(home.provider)
        provider = f"custom:{healed.name}" if healed is not None else provider if url else ""
    return _resolved(home, provider, url if row.model else "")


def _resolved(home: HermesHome, asked: str, url: str, *, over_acp: bool = False) -> Destination:
    requested = normal(asked) or home.provider or "auto"
    entry = home.named(requested)
    if entry is not None:
        return Destination(entry, entry.name, url or entry.url, entry.key)
    if requested not in home.own | _LOCAL_CLASSES | {"auto"}:
        return Destination(None, f"nowhere: hermes refuses '{requested}', which is no entry any more", "", "")
    if requested in _LOCAL_CLASSES or (requested == "auto" and home.url and home.provider in ("", "auto")):
        if url and normal(asked) == "custom" and not over_acp:
            return Destination(None, "no entry", url, "no key (a placeholder)")
        if home.url and home.provider in (*_LOCAL_CLASSES, "auto", ""):
            known = home.first_at(home.url)
            key = (
                known.key
                if known is not None
                else "its key"
                if home.default_keys
                else "no key (a placeholder)"
            )
            return Destination(
                known, known.name if known is not None else "the block 'model:'", url or home.url, key
            )
        return Destination(
            None,
            "OpenRouter, for want of an entry",
            url or "https://openrouter.ai/api/v1",
            "the OpenRouter key, if there is one",
        )
    if requested == "auto":
        return Destination(None, "whatever provider a key is found for", url, "")
    return Destination(None, requested, url, f"hermes's key for {requested}")
