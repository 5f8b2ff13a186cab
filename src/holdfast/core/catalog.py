"""The one list of models that every picker shows: declared and discovered together, each option with its
connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .config import Config
from .identity import Dialect, Endpoint, Pin, Provider, can_be_pinned
from .known_hosts import more_dialects


@dataclass(frozen=True, slots=True)
class Option:
    """One choice and its connection. `dialects` are those the provider speaks and the reader can use, in the
    reader's order; requests go to `endpoint`, that of the first one. `why_not` says what stands in the way of
    an option that cannot be reached ("" when it can)."""

    pin: Pin
    dialects: tuple[Dialect, ...]
    declared: bool
    why_not: str = ""
    endpoint: Endpoint | None = None


def options(
    config: Config, discovered: Mapping[str, Collection[str]], speaks: Collection[Dialect] | None = None
) -> list[Option]:
    """All options in the order of the configuration, for a reader that speaks `speaks` (None: all dialects; a
    tuple: in the order of its liking).

    A provider that declares `models = []` offers nothing, whatever was discovered; one that declares no list
    offers what was discovered. A discovered name that no pin can write is left out."""
    found: list[Option] = []
    for provider in config.providers.values():
        order = speaks if isinstance(speaks, tuple) else provider.dialects
        dialects = tuple(d for d in order if d in provider.dialects and (speaks is None or d in speaks))
        endpoint = _reached(provider, dialects[0]) if dialects else None
        why_not, declared = _why_not(config, provider, dialects, speaks or ()), provider.models or ()
        listed = discovered.get(provider.name, ()) if provider.models != () else ()
        offered = [
            *((model, True) for model in declared),
            *((model, False) for model in sorted({*listed} - {*declared}) if can_be_pinned(model)),
        ]
        found += [
            Option(Pin(provider.name, model), dialects, is_declared, why_not, endpoint)
            for model, is_declared in offered
        ]
    return found


def _reached(provider: Provider, dialect: Dialect) -> Endpoint | None:
    """Return where a request in this dialect goes: with the first key that can speak it, if there is any."""
    keys = provider.keys_for(dialect)
    return provider.endpoint_for(dialect, keys[0] if keys else None)


def _why_not(
    config: Config, provider: Provider, dialects: tuple[Dialect, ...], wanted: Collection[Dialect]
) -> str:
    if not dialects:
        spoken = f"it speaks {', '.join(provider.dialects)} only"
        more = more_dialects(config.known_at, provider, wanted)
        if more is None:
            return spoken
        return f"{spoken} (preset '{more.preset}' knows more of its host: {more.command})"
    if not any(provider.keys_for(d) or provider.takes_no_key(d) for d in dialects):
        return f"it has no key (holdfast key add {provider.name} --from env:NAME)"
    return ""
