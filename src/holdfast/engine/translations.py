"""Begins the translations of an engine's requests. What translates is loaded when the first one comes."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Protocol

from ..core.compatibility import spoken_to
from ..core.config import Config
from ..core.errors import WrongDialect
from ..core.identity import Connection, Dialect, Pin
from ..core.routes import Route
from ..core.routing import route_for
from ..core.steps import Call
from ..wire.api_routes import BodyRule

if TYPE_CHECKING:
    from ..translate.caps import Caps
    from .translator import Translator

_PURPOSE = b"holdfast: opaque values of models"


def asked_route(config: Config, pin: Pin, dialect: Dialect, key: str | None, *, rule: BodyRule) -> Route:
    """Return the route of a request whose body is treated by `rule`. Raises what `route_for` raises, and
    NotTranslated for a route of a dialect from which only other requests are translated for the provider."""
    try:
        return route_for(config, pin, dialect, key, translates=rule.translates)
    except WrongDialect as refused:
        provider = config.providers[pin.provider]
        if rule.translates or not rule.judged or spoken_to(provider, dialect, key) is dialect:
            raise
        from ..translate.losses import NotTranslated

        what = f"this {dialect} route is not translated, and {refused.what}"
        raise NotTranslated(what, details=refused.details, next_step=refused.next_step) from None


class HasConfig(Protocol):
    """The engine, which knows the configuration in force."""

    def config(self) -> Config: ...


class Translations:
    """Makes the translator of a request. `pepper` is the home's: opaque values that callers carry are sealed
    with what is derived from it."""

    def __init__(self, engine: HasConfig, pepper: bytes) -> None:
        self._engine, self._pepper = engine, pepper

    def begin(self, dialect: Dialect, body: bytes | None, call: Call, now: float) -> Translator:
        """Return the translator of a request that began at `now` (epoch seconds). Raises Untranslatable where
        its own route needs a translation that there is not."""
        from ..translate.envelope import Sealer
        from .translator import Translator

        sealer = Sealer(hmac.digest(self._pepper, _PURPOSE, "sha256"))
        translator = Translator(
            dialect, body, sealer, self._caps_of, session=call.session, seed=call.request_id, now=now
        )
        translator.check(call.route.connection)
        return translator

    def _caps_of(self, connection: Connection) -> Caps:
        """Return what the endpoint and the model of a connection take."""
        from ..providers.caps import caps_for

        facts = self._engine.config().facts.get(connection.pin)
        provider, endpoint = connection.provider, connection.endpoint
        return caps_for(provider, connection.dialect, connection.model, facts, endpoint=endpoint)
