"""The list of models that every picker shows: declared and discovered together, each with where its requests
go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..core.compatibility import spoken_to
from ..core.config import Config, ModelFacts
from ..core.identity import Dialect, Endpoint, Pin, Provider, can_be_pinned
from ..core.known_hosts import more_dialects
from ..providers.model_facts import facts_of


@dataclass(frozen=True, slots=True)
class Option:
    """A model that can be chosen. `dialects` are those that the provider serves and the reader can use, in
    the reader's order; requests go to `endpoint`, that of the first one. Where there are none, `translated`
    is the reader's dialect from which a request is translated for the endpoint. `why_not` says why the model
    cannot be reached ("" when it can); `facts` are its limits and abilities, as far as they are known."""

    pin: Pin
    dialects: tuple[Dialect, ...]
    declared: bool
    why_not: str = ""
    endpoint: Endpoint | None = None
    translated: Dialect | None = None
    facts: ModelFacts = field(default_factory=ModelFacts)


def options(
    config: Config,
    discovered: Mapping[str, Mapping[str, ModelFacts]],
    speaks: Collection[Dialect] | None = None,
) -> list[Option]:
    """Return all options in the order of the configuration, for a reader that speaks `speaks` (None: all
    dialects; a tuple: in its order of preference). `discovered` has the models that each provider listed,
    with what it said of them.

    A provider that declares `models = []` offers nothing, whatever was discovered; one that declares no list
    offers what was discovered. A discovered name that no pin can write is left out."""
    offered: list[Option] = []
    for provider in config.providers.values():
        dialects = _common(provider.served(), speaks)
        translated = None if dialects else _translated(provider, speaks)
        endpoint = _endpoint(provider, dialects, translated)
        why_not = "" if endpoint is not None else _why_not(config, provider, speaks)
        listed = discovered.get(provider.name, {})
        for model, declared in _models(provider, listed):
            pin = Pin(provider.name, model)
            facts = facts_of(config, pin, listed.get(model), endpoint=endpoint)
            offered.append(
                Option(
                    pin,
                    dialects,
                    declared,
                    why_not=why_not,
                    endpoint=endpoint,
                    translated=translated,
                    facts=facts,
                )
            )
    return offered


def _common(dialects: tuple[Dialect, ...], speaks: Collection[Dialect] | None) -> tuple[Dialect, ...]:
    """Return those of the dialects that a reader speaks: in its order if it has one, else in theirs."""
    if speaks is None:
        return dialects
    if isinstance(speaks, tuple):
        return tuple(dialect for dialect in speaks if dialect in dialects)
    return tuple(dialect for dialect in dialects if dialect in speaks)


def _translated(provider: Provider, speaks: Collection[Dialect] | None) -> Dialect | None:
    """Return the first dialect of a reader's from which a request is translated for the provider."""
    for dialect in speaks or ():
        if spoken_to(provider, dialect) is not dialect:
            return dialect
    return None


def _endpoint(
    provider: Provider, dialects: tuple[Dialect, ...], translated: Dialect | None
) -> Endpoint | None:
    """Return where requests in the first dialect go: with the first key that can speak it, if there is
    any."""
    if translated is not None:
        dialects = (spoken_to(provider, translated),)
    if not dialects:
        return None
    key = next(iter(provider.keys_for(dialects[0])), None)
    return provider.endpoint_for(dialects[0], key)


def _models(provider: Provider, discovered: Collection[str]) -> list[tuple[str, bool]]:
    """Return (model, whether it is declared) for every model of a provider."""
    declared = [(model, True) for model in provider.models or ()]
    if provider.models == ():
        return declared
    others = sorted({*discovered} - {*(provider.models or ())})
    return declared + [(model, False) for model in others if can_be_pinned(model)]


def _why_not(config: Config, provider: Provider, speaks: Collection[Dialect] | None) -> str:
    """Return why a reader cannot reach the provider, which serves none of its dialects."""
    spoken = _common(provider.dialects, speaks)
    if spoken:
        which = f" for {', '.join(spoken)}" if provider.keys else ""
        return f"it has no key{which} (holdfast key add {provider.name} --from env:NAME)"
    text = f"it speaks {', '.join(provider.dialects)} only"
    more = more_dialects(config.known_at, provider, speaks or ())
    if more is None:
        return text
    return f"{text} (preset '{more.preset}' knows more of its host: {more.command})"
