"""From a pin to the lane it names, and from rows of older software back to a pin. Exactly what was chosen, or
a typed refusal with the candidates and the command; never a first match, a default or a guess (laws 2 and
6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from .config import Config
from .errors import AmbiguousModel, ConnectionLost, HoldfastError, UnknownModel, WrongDialect
from .identity import Dialect, Pin, Provider, ProviderName, Route, can_be_pinned
from .key_labels import is_position
from .known_hosts import more_dialects


def provider_of(config: Config, pin: Pin, only_key: str | None = None) -> Provider:
    """The entry that a choice names. Raises ConnectionLost, with near names, when it or the chosen key is
    gone."""
    provider = config.providers.get(pin.provider)
    if provider is None:
        near = get_close_matches(pin.provider, config.providers, n=3, cutoff=0.6)
        mend = f"holdfast provider add {pin.provider} --url URL"
        mend += "   (or: holdfast session pin SESSION PROVIDER/MODEL)"
        lost = f"there is no provider '{pin.provider}', which '{pin}' names"
        raise ConnectionLost(lost, candidates=[f"{name}/{pin.model}" for name in near], next_step=mend)
    labels = [key.label for key in provider.keys]
    if only_key is not None and only_key not in labels:
        lost = f"provider '{provider.name}' has no key '{only_key}', which was chosen"
        if is_position(only_key):
            lost += " (keys are no longer called by their position)"
        raise ConnectionLost(lost, candidates=labels, next_step=_choosing_a_key(provider, pin, labels))
    return provider


def _choosing_a_key(provider: Provider, pin: Pin, labels: Sequence[str]) -> str:
    """Return the command by which a user chooses again where the chosen key is gone; of several keys none is
    offered before the others."""
    again = f"holdfast session pin SESSION {pin}"
    if len(labels) == 1:
        return f"{again} --key {labels[0]}"
    if labels:
        return f"{again} --key LABEL"
    if any(provider.takes_no_key(dialect) for dialect in provider.dialects):
        return again
    return f"holdfast key add {provider.name} --from env:VARIABLE   (then: {again})"


def route_for(config: Config, pin: Pin, dialect: Dialect, only_key: str | None = None) -> Route:
    """Return the lane of a pin in one dialect. Raises ConnectionLost when the provider or the chosen key is
    gone, IdentityError when it has no key for this dialect, WrongDialect when it has no endpoint for it, with
    the command that adds one that a preset knows."""
    provider = provider_of(config, pin, only_key)
    try:
        return Route.build(provider, dialect, pin.model, only_key)
    except WrongDialect as refused:
        more = more_dialects(config.known_at, provider, (dialect,))
        if more is None:
            raise
        raise WrongDialect(refused.what, details=[more.what], next_step=more.command) from None


def fallback_routes_for(config: Config, pin: Pin, dialect: Dialect) -> tuple[Route, ...]:
    """The lanes of the ladder that the user wrote for this pin. A rung that cannot speak the dialect or no
    longer resolves is left out: it can stand in for nothing."""
    fallback_chain = config.fallbacks.get(pin)
    routes: list[Route] = []
    for fallback in fallback_chain.then if fallback_chain is not None else ():
        try:
            routes.append(Route.build(provider_of(config, fallback), dialect, fallback.model))
        except HoldfastError:
            continue
    return tuple(routes)


def pin_for_request(config: Config, chosen: Pin, requested: str | None) -> Pin:
    """The pin of one request, given the model its body names (design/007).

    Nothing or the chosen model: the session's pin. A model that the session's provider lists, a pin, a model
    that exactly one provider lists: that one, for this request only. A provider that declares no list is
    asked itself. Else ConnectionLost."""
    if not requested or requested == chosen.model:
        return chosen
    own = provider_of(config, chosen)
    if own.models is not None and requested in own.models:
        return Pin(own.name, requested)
    return _named_pin(config, requested) or _listed(
        config, requested, asked=own if own.models is None else None
    )


def pin_for_first(config: Config, requested: str | None) -> Pin:
    """The pin that a session begins with, given the model that its first request names: a pin, or a model
    that exactly one provider lists. Raises UnknownModel and AmbiguousModel; a session is never begun on a
    guess."""
    if not requested:
        offered = [f"{p.name}/{model}" for p in config.providers.values() for model in p.models or ()]
        raise AmbiguousModel(
            "the request names no model, and its session has none yet",
            candidates=offered[:10],
            next_step="holdfast models",
        )
    return _named_pin(config, requested) or _listed(config, requested)


def _named_pin(config: Config, requested: str) -> Pin | None:
    named, slash, model = requested.partition("/")
    if not (can_be_pinned(requested) and can_be_pinned(model or named)):
        raise UnknownModel(f"'{requested[:80]}' can be no model's name", next_step="holdfast models")
    return Pin(ProviderName(named), model) if slash and model and named in config.providers else None


def _listed(config: Config, requested: str, asked: Provider | None = None) -> Pin:
    """The one provider that lists a model, else the one that is `asked` itself because it declares no
    list."""
    listing = [p.name for p in config.providers.values() if p.models is not None and requested in p.models]
    if len(listing) == 1:
        return Pin(listing[0], requested)
    if not listing and asked is not None:
        return Pin(asked.name, requested)
    if listing:
        several = f"several providers list a model '{requested}'"
        raise AmbiguousModel(
            several, candidates=[f"{name}/{requested}" for name in listing], next_step="holdfast models"
        )
    offered = {model for p in config.providers.values() for model in p.models or ()}
    near = get_close_matches(requested, offered, n=3, cutoff=0.5)
    candidates = [
        f"{p.name}/{model}" for model in near for p in config.providers.values() if model in (p.models or ())
    ]
    raise UnknownModel(
        f"no provider lists a model '{requested}'", candidates=candidates, next_step="holdfast models"
    )


@dataclass(frozen=True, slots=True)
class LegacyRow:
    """What other software left of a choice: a resolved kind or an entry's name, a URL, perhaps dialect and
    model."""

    provider: str = ""
    url: str = ""
    model: str = ""
    dialect: Dialect | None = None


def recover_pin(config: Config, row: LegacyRow) -> Pin:
    """The one pin that a lossy row can mean (story 0, NousResearch/hermes-agent#44108).

    Exactly one entry must match by URL, and by dialect and model where they are known; an entry's own name
    decides between several, and serves alone where the row has no URL. Raises ConnectionLost with the
    candidates when none or several match, or when name and URL contradict each other."""
    if not row.model:
        raise ConnectionLost(
            "the row names no model, so no pin can be recovered from it",
            next_step="holdfast session pin SESSION PROVIDER/MODEL",
        )
    name = row.provider.removeprefix("custom:").strip().lower().replace(" ", "-")
    named = [p for p in config.providers.values() if p.name == name]
    at_url = [p for p in config.providers.values() if row.url and _serves(p, row)]
    agreed = [p for p in named if p in at_url or not row.url] or ([] if named else at_url)
    if len(agreed) == 1:
        return Pin(agreed[0].name, row.model)
    found = agreed or [*named, *at_url]
    candidates = [f"{p.name}/{row.model}" for p in found]
    raise ConnectionLost(
        _unrecovered(row, certain=not found),
        candidates=candidates,
        next_step="holdfast session pin SESSION PROVIDER/MODEL",
    )


def _unrecovered(row: LegacyRow, *, certain: bool) -> str:
    """Why no pin can be recovered; `certain` that none can be meant, else there are several."""
    if not row.url and not row.provider:
        return (
            "the row names neither a provider nor a URL, "
            f"so it cannot be told where it asked for model '{row.model}'"
        )
    if not row.url:
        return f"the row names provider '{row.provider}' and no URL, and no provider of yours is called that"
    which = "no provider of yours serves" if certain else "it is not certain which provider of yours serves"
    return f"{which} model '{row.model}' at {row.url}" + (
        f" (the row calls it '{row.provider}')" if row.provider else ""
    )


def _serves(provider: Provider, row: LegacyRow) -> bool:
    endpoints = (*provider.endpoints, *(e for key in provider.keys for e in key.endpoints))
    at_url = any(_door(e.url) == _door(row.url) and row.dialect in (None, e.dialect) for e in endpoints)
    return at_url and (provider.models is None or row.model in provider.models)


def _door(url: str) -> str:
    """A base URL as it is compared: the `/v1` that some programs append makes no difference."""
    scheme, _, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}".rstrip("/").removesuffix("/v1").rstrip("/")
