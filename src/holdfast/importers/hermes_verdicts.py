"""For each session that Hermes stored: its destination today, the entry that its row belongs to (story 0),
and the row as it should be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from .addresses import DIALECTS
from .hermes_belongs import Claim, in_words, is_its_own, owner_of
from .hermes_builtin import BuiltIn
from .hermes_entries import HermesEntry, normal, plain
from .hermes_home import HermesHome
from .hermes_resume import Destination, goes_to
from .hermes_rows import CONFIRMED, Row, config_of, row_of
from .read_files import mapping, word

_MODES = {dialect: mode for mode, dialect in DIALECTS.items() if "_" in mode}
"""What hermes calls our dialects."""


class State(StrEnum):
    """The outcome for a session that is resumed today."""

    RESUMES = "resumes"
    KEYLESS = "no key"
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

    @property
    def is_settled(self) -> bool:
        """Return whether the session goes where it belongs, with a key or without."""
        return self.state in (State.RESUMES, State.KEYLESS)


def judge(home: HermesHome, row: Row, chosen: str | None = None) -> Verdict:
    """Return the verdict on one session. `chosen` is the provider that its user names for it; it settles what
    the row does not."""
    if chosen is not None:
        return _decided(home, row, chosen)
    claim = owner_of(home, row)
    if claim.why:
        return Verdict(row, State.UNKNOWN, goes_to(home, row), why=claim.why, candidates=claim.candidates)
    return _settled(home, row, claim)


def _decided(home: HermesHome, row: Row, chosen: str) -> Verdict:
    """Return the verdict with the user's own decision. It is noted in the row where that leaves a doubt."""
    entry, own = home.named(chosen), home.own(chosen)
    if entry is None and own is None:
        why = f"no entry of config.yaml is called '{chosen}'"
        names = tuple(map(home.name_of, home.entries))
        return Verdict(row, State.UNKNOWN, goes_to(home, row), why=why, candidates=names)
    claim = Claim(own=normal(chosen))
    if entry is not None:
        claim = Claim(entry)
    verdict = _settled(home, row, claim)
    name = verdict.belongs or ""
    if _is_certain(judge(home, row), name):
        return verdict
    config = json.loads(_healed(home, row, name, entry))
    if not _is_certain(judge(home, _with(row, config)), name):
        config[CONFIRMED] = {"provider": name, "model": row.model}
    return replace(verdict, config=json.dumps(config))


def _is_certain(verdict: Verdict, name: str) -> bool:
    return verdict.is_settled and verdict.belongs == name and not verdict.note


def _settled(home: HermesHome, row: Row, claim: Claim) -> Verdict:
    """Return the verdict on a session with a certain owner."""
    today, entry, name = goes_to(home, row), claim.entry, claim.own
    if entry is not None:
        name = f"custom:{entry.name}"
        is_there = today.entry == entry and plain(today.url) == plain(entry.url)
        why = _keyless_entry(home, entry)
        others = _others(home, row, entry)
    else:
        is_there = normal(today.provider) == name and today.entry is None
        why, others = _keyless_own(home, home.own(name)), ()
    note = ""
    if others:
        note = f"{in_words(others)} has the same URL, and hermes writes the first one's name for all"
    verdict = Verdict(row, State.RESUMES, today, name, why=why, candidates=others, note=note)
    if not is_there:
        return replace(verdict, state=State.WRONG, config=_healed(home, row, name, entry))
    if why:
        return replace(verdict, state=State.KEYLESS)
    return verdict


def _keyless_entry(home: HermesHome, entry: HermesEntry) -> str:
    """Return why hermes has no key for an entry; "" when it has one or needs none."""
    if not home.lacks_key(entry):
        return ""
    variable = entry.keys[0].ref.partition(":")[2]
    return f"no key for it is set: {variable}, neither in .env nor here"


def _keyless_own(home: HermesHome, own: BuiltIn | None) -> str:
    """Return why hermes has no key for a provider of its own; "" when it may have one."""
    if own is None or home.has_key(own):
        return ""
    names = " or ".join(own.env)
    return f"no key for it is set: {names}, neither in .env nor here"


def _others(home: HermesHome, row: Row, entry: HermesEntry) -> tuple[str, ...]:
    """Return the other entries for which hermes may have written this one's name: for a URL that several
    entries share it writes the first one's, whichever was chosen."""
    others = [other for other in home.entries if other != entry and plain(other.url) == plain(entry.url)]
    if row.is_confirmed or row.asked or home.first_at(entry.url) != entry:
        return ()
    offered_elsewhere = any(row.model in other.models or not other.models for other in others)
    if row.model in entry.models and not offered_elsewhere:
        return ()  # the model tells them apart
    return tuple(map(home.name_of, others))


def _with(row: Row, config: Mapping[str, Any]) -> Row:
    """Return the row with another `model_config`."""
    return row_of(
        {
            "id": row.id,
            "source": row.source,
            "model": row.model,
            "model_config": json.dumps(config),
            "billing_provider": row.billed_provider,
            "billing_base_url": row.billed_url,
            "billing_mode": row.billed_mode,
        }
    )


def _healed(home: HermesHome, row: Row, name: str, entry: HermesEntry | None) -> str:
    """Return the row's `model_config` with its owner's name, in the form that hermes resolves, wherever it
    names a provider, and with no URL or API that is not the owner's."""
    config = config_of(row.model_config)
    config["provider"] = name
    if row.asked:
        config["requested_provider"] = name
    live = dict(mapping(config.get("gateway_runtime")))
    parts = [config]
    if word(live.get("provider")):
        live["provider"] = name
        if row.in_fallback:
            live["fallback_active"] = False
        config["gateway_runtime"] = live
        parts.append(live)
    if row.source == "acp" and not row.url:
        config["base_url"] = row.at
    for part in parts:
        _correct(home, part, name, entry)
    return json.dumps(config)


def _correct(home: HermesHome, part: dict[str, Any], name: str, entry: HermesEntry | None) -> None:
    """Give a part of a row the owner's URL and API where it has others; remove those of another provider
    where the owner's are not known."""
    noted = part.get("base_url")
    url, mode = word(noted), word(part.get("api_mode"))
    if entry is not None:
        if noted and plain(url) != plain(entry.url):
            part["base_url"] = entry.url
        if mode in DIALECTS and DIALECTS[mode] != entry.dialect:
            part["api_mode"] = _MODES[entry.dialect]
        return
    own = home.own(name)
    if noted and own is not None and not is_its_own(home, own, url):
        part.pop("base_url")
        part.pop("api_mode", None)
