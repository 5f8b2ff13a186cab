"""From a pin to its route, and from a request to its pin. The result is exactly what was chosen, or a typed
refusal with the candidates and the command; never a first match, a default or a guess (laws 2 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from ..values.key_labels import is_position
from .compatibility import spoken_to
from .config import Config
from .errors import AmbiguousModel, ConnectionLost, HoldfastError, UnknownModel, WrongDialect
from .identity import Dialect, Pin, Provider, ProviderName, can_be_pinned, is_provider_name
from .known_hosts import more_dialects
from .routes import Route
from .session import Session


def provider_of(config: Config, pin: Pin, only_key: str | None = None) -> Provider:
    """Return the provider that a choice names. Raises ConnectionLost, with near names, when it or the chosen
    key is gone."""
    provider = config.providers.get(pin.provider)
    if provider is None:
        step = f"holdfast provider add {pin.provider} --url URL"
        step += "   (or: holdfast session pin SESSION PROVIDER/MODEL)"
        lost = f"there is no provider '{pin.provider}', which '{pin}' names"
        raise ConnectionLost(lost, candidates=_near_pins(config, pin), next_step=step)
    labels = [key.label for key in provider.keys]
    if only_key is not None and only_key not in labels:
        lost = f"provider '{provider.name}' has no key '{only_key}', which was chosen"
        if is_position(only_key):
            lost += " (keys are no longer called by their position)"
        raise ConnectionLost(lost, candidates=labels, next_step=_choosing_a_key(provider, pin, labels))
    return provider


def _near_pins(config: Config, pin: Pin) -> list[str]:
    """Return the pin's model at the providers whose names are near to that of one that is gone."""
    near = get_close_matches(pin.provider, config.providers, n=3, cutoff=0.6)
    return [f"{name}/{pin.model}" for name in near]


def _choosing_a_key(provider: Provider, pin: Pin, labels: Sequence[str]) -> str:
    """Return the command that chooses again where the chosen key is gone; of several keys none is
    preferred."""
    again = f"holdfast session pin SESSION {pin}"
    if len(labels) == 1:
        return f"{again} --key {labels[0]}"
    if labels:
        return f"{again} --key LABEL"
    if provider.served():
        return again
    return f"holdfast key add {provider.name} --from env:VARIABLE   (then: {again})"


def route_for(
    config: Config, pin: Pin, dialect: Dialect, only_key: str | None = None, *, translates: bool = False
) -> Route:
    """Return the route of a pin for a caller of a dialect; where it `translates`, perhaps in another. Raises
    ConnectionLost when the provider or the chosen key is gone, IdentityError when it has no key for this
    dialect, WrongDialect when it has no endpoint for it, with the command that adds one that a preset
    knows."""
    provider = provider_of(config, pin, only_key)
    if translates:
        dialect = spoken_to(provider, dialect, only_key)
    try:
        return Route.build(provider, dialect, pin.model, only_key)
    except WrongDialect as refused:
        more = more_dialects(config.known_at, provider, (dialect,))
        if more is None:
            raise
        raise WrongDialect(refused.what, details=[more.what], next_step=more.command) from None


def fallbacks_for(
    config: Config, pin: Pin, dialect: Dialect, *, translates: bool = False
) -> tuple[tuple[Route, ...], tuple[str, ...]]:
    """Return the routes of the fallbacks that the user wrote for this pin, and for the user why others are
    left out: they have no key, cannot speak the dialect, or no longer resolve."""
    chain = config.fallbacks.get(pin)
    if chain is None:
        return (), ()
    routes: list[Route] = []
    left_out: list[str] = []
    for fallback in chain.then:
        try:
            routes.append(route_for(config, fallback, dialect, translates=translates))
        except HoldfastError as refused:
            left_out.append(f"fallback {fallback} was not asked: {refused.what}")
    return tuple(routes), tuple(left_out)


def pin_for_request(config: Config, session: Session, requested: str | None) -> Pin:
    """Return the pin of a session's request, given the model that its body names (design/007).

    Without a model, with the chosen one, or with the name of a former choice, it is the session's pin. Else,
    for this request only: a model that the session's provider lists, a pin, a model that exactly one provider
    lists, any model at a session's provider that declares no list. Raises UnknownModel and AmbiguousModel;
    ConnectionLost where the session's provider is gone, unless a pin is requested."""
    chosen = session.pin
    if not requested or requested == chosen.model or session.former_choice(requested) is not None:
        return chosen
    own = config.providers.get(chosen.provider)
    if own is not None and own.models is not None and requested in own.models:
        return Pin(own.name, requested)
    named = _named_pin(config, requested)
    if named is not None:
        return named
    try:
        own = provider_of(config, chosen)
    except ConnectionLost as lost:
        raise lost.preferring(f"{name}/{requested}" for name in _listing(config, requested)) from None
    if own.models is None:
        return _listed(config, requested, without_list=own)
    return _listed(config, requested)


def pin_for_first(config: Config, requested: str | None) -> Pin:
    """Return the pin that a session begins with, given the model that its first request names: a pin, or a
    model that exactly one provider lists. Raises UnknownModel and AmbiguousModel: a session never begins with
    a guess."""
    if not requested:
        offered = [f"{p.name}/{model}" for p in config.providers.values() for model in p.models or ()]
        raise AmbiguousModel(
            "the request names no model, and its session has none yet",
            candidates=offered[:10],
            next_step="holdfast models",
        )
    return _named_pin(config, requested) or _listed(config, requested)


def _named_pin(config: Config, requested: str) -> Pin | None:
    """Return `requested` as a pin where it begins with the name of a provider. Raises UnknownModel for what
    cannot be a name."""
    provider, _, model = requested.partition("/")
    if not (can_be_pinned(requested) and can_be_pinned(model or provider)):
        raise UnknownModel(f"'{requested[:80]}' cannot be the name of a model", next_step="holdfast models")
    if not model or provider not in config.providers:
        return None
    return Pin(ProviderName(provider), model)


def _listing(config: Config, model: str) -> list[ProviderName]:
    """Return the names of the providers that list a model."""
    return [provider.name for provider in config.providers.values() if model in (provider.models or ())]


def _listed(config: Config, requested: str, *, without_list: Provider | None = None) -> Pin:
    """Return the pin of the one provider that lists a model; where none does, of the provider
    `without_list`."""
    listing = _listing(config, requested)
    if len(listing) == 1:
        return Pin(listing[0], requested)
    if not listing and without_list is not None:
        return Pin(without_list.name, requested)
    if listing:
        several = f"several providers list a model '{requested}'"
        raise AmbiguousModel(
            several, candidates=[f"{name}/{requested}" for name in listing], next_step="holdfast models"
        )
    raise unlisted(config, requested)


def unlisted(config: Config, requested: str) -> UnknownModel:
    """Return the refusal of a model that no provider lists, with near names: of models, and of providers
    where a pin may be meant."""
    what, candidates = f"no provider lists a model '{requested}'", []
    provider, _, model = requested.partition("/")
    name = provider.rpartition(":")[2].strip().lower().replace(" ", "-")  # "custom:Team B" means team-b
    if model and is_provider_name(name):
        what += f", and none is called '{provider}'"
        candidates = _near_pins(config, Pin(ProviderName(name), model))
    elif not model and name in config.providers:
        known = config.providers[ProviderName(name)]
        what += f": it is a provider, and a pin is written {name}/MODEL"
        candidates = [f"{name}/{own}" for own in known.models or ()][:3]
    offered = {name for known in config.providers.values() for name in known.models or ()}
    for near in get_close_matches(requested, offered, n=3, cutoff=0.5):
        candidates += [f"{name}/{near}" for name in _listing(config, near)]
    return UnknownModel(what, candidates=list(dict.fromkeys(candidates)), next_step="holdfast models")
