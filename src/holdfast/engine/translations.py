"""Begins the translations of an engine's requests. What translates is loaded when the first one comes."""

from __future__ import annotations

import hmac
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..core.compatibility import spoken_to
from ..core.config import Config
from ..core.errors import HoldfastError, WrongDialect
from ..core.identity import Connection, Dialect, Pin
from ..core.routes import Route
from ..core.routing import fallbacks_for, route_for
from ..core.steps import Call
from ..wire.api_routes import TO_A_MODEL, BodyRule
from .model_lists import ModelLists

if TYPE_CHECKING:
    from ..translate.caps import Caps
    from .translator import Translator

_CHAT, _RESPONSES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES
_PURPOSE = b"holdfast: opaque values of models"


class AskedModel(NamedTuple):
    """A request's pin, the `model` that it names itself, the caller's dialect, and the chosen key if any."""

    pin: Pin
    model: str | None
    dialect: Dialect
    key: str | None = None


def asked_routes(
    config: Config, asked: AskedModel, rule: BodyRule = TO_A_MODEL
) -> tuple[Route, tuple[Route, ...], tuple[str, ...]]:
    """Return the route of a request that is treated by `rule`, those of its fallbacks, and why others are
    left out. A request that asks for no model, and for nothing that is kept, has none. Raises what
    `asked_route` raises."""
    route = asked_route(config, asked, rule)
    if not (asked.model or rule.judged or rule.binds):
        return route, (), ()
    dialect = asked.dialect if rule.translates else route.connection.dialect
    return route, *fallbacks_for(config, asked.pin, dialect, translates=rule.translates)


def routes_of(config: Config, pin: Pin, dialect: Dialect, key: str | None) -> tuple[Route, tuple[Route, ...]]:
    """Return the route of a pin and those of its fallbacks. Raises ConnectionLost, IdentityError."""
    route, fallbacks, _ = asked_routes(config, AskedModel(pin, None, dialect, key))
    return route, fallbacks


def asked_route(config: Config, asked: AskedModel, rule: BodyRule) -> Route:
    """Return the route of a request that is treated by `rule`. Raises what `route_for` raises; NotTranslated
    for a route of a dialect from which only other requests are translated for the provider, Untranslatable
    for one that asks for what a provider keeps."""
    pin, _, dialect, key = asked
    try:
        route = route_for(config, pin, dialect, key, translates=rule.translates)
        if rule.binds and not rule.either and _is_translated(config, pin, dialect, key):
            raise WrongDialect(f"provider '{pin.provider}' has {dialect} translated")
        return route
    except WrongDialect as refused:
        if rule.either and dialect is _CHAT:
            with suppress(HoldfastError):
                return route_for(config, pin, _RESPONSES, key)
        if rule.translates or not (rule.judged or rule.binds):
            raise
        if not _is_translated(config, pin, dialect, key):
            raise
        raise _untranslated(refused, dialect, pin, binds=rule.binds) from None


def _is_translated(config: Config, pin: Pin, dialect: Dialect, key: str | None) -> bool:
    """Return whether the pin's provider is spoken to in another dialect than the caller's."""
    provider = config.providers.get(pin.provider)
    return provider is not None and spoken_to(provider, dialect, key) is not dialect


def _untranslated(refused: WrongDialect, dialect: Dialect, pin: Pin, *, binds: bool) -> HoldfastError:
    """Return the refusal of a request that goes to an endpoint of its own dialect only."""
    from ..translate.losses import NotTranslated, Untranslatable

    if binds:
        why = f"this {dialect} route asks for what a provider keeps, and what is translated is kept nowhere"
        step = refused.next_step or f"holdfast provider show {pin.provider}"
        return Untranslatable("", f"{why}: {refused.what}", step, details=refused.details)
    what = f"this {dialect} route is not translated, and {refused.what}"
    return NotTranslated(what, details=refused.details, next_step=refused.next_step)


class Knows(Protocol):
    """The engine, which knows the configuration in force and what providers listed."""

    lists: ModelLists

    def config(self) -> Config: ...


class Translations:
    """Makes the translator of a request. `pepper` is the home's: opaque values that callers carry are sealed
    with what is derived from it."""

    def __init__(self, engine: Knows, pepper: bytes) -> None:
        self._engine, self._pepper = engine, pepper

    def begin(self, dialect: Dialect, body: bytes | None, call: Call, now: float) -> Translator:
        """Return the translator of a request that began at `now` (epoch seconds). Raises Untranslatable where
        its own route needs a translation that there is not, if that is known at once."""
        from ..translate.envelope import Sealer
        from .translator import Translator

        sealer = Sealer(hmac.digest(self._pepper, _PURPOSE, "sha256"))
        translator = Translator(
            dialect, body, sealer, self._caps_of, session=call.session, seed=call.request_id, now=now
        )
        if translator.knows(call.route.connection):
            translator.check(call.route.connection)
        return translator

    def _caps_of(self, connection: Connection) -> Caps:
        """Return what the endpoint and the model of a connection take."""
        from ..providers.caps import caps_for

        config = self._engine.config()
        return caps_for(
            connection.provider,
            connection.dialect,
            connection.model,
            config.facts.get(connection.pin),
            endpoint=connection.endpoint,
            listed=self._engine.lists.facts(connection),
            own=config.caps.get((connection.provider.name, connection.dialect)),
        )
