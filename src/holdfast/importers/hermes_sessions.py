"""The sessions of Hermes as sessions of ours, where their provider is certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core.config import Config
from ..core.errors import HoldfastError
from ..core.identity import Pin, Provider, ProviderName
from ..core.session import Session
from .addresses import base_of
from .hermes_belongs import is_its_own
from .hermes_home import HermesHome
from .hermes_verdicts import Verdict
from .legacy_rows import LegacyRow, recover_pin
from .names import preset_for


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
