"""The destination of a session's request: the route of its pin, its fallbacks, and the fallback in use.

The part that all requests of a session for one model share is computed once and kept while the session's row
and the configuration are the same objects."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..core.config import Config
from ..core.errors import ConnectionLost, HoldfastError, NoSession, NotReady, UnknownModel
from ..core.identity import Dialect, Pin, Provider, can_be_pinned
from ..core.routes import Route
from ..core.routing import pin_for_request, unlisted
from ..core.session import ActiveFallback, Session
from ..core.steps import Call
from ..wire.api_routes import TO_A_MODEL, BodyRule
from ..wire.turns import continues_turn
from .account_objects import AccountObjects, speaks
from .translations import AskedModel, asked_routes

_MOST_PLANS = 10_000
Asked = tuple[Dialect, bytes | None]
"""The caller's dialect, and its body."""


class Choices(Protocol):
    """A dispatcher's sources: the configuration, and the sessions with their users' choices."""

    def config(self) -> Config:
        """Return the configuration in force. Raises ConfigError."""
        ...

    def session(self, session_id: str) -> Session | None:
        """Return the session's row, None where there is none. Raises StoreError."""
        ...

    def look_again(self) -> None:
        """Take over at once what others changed in the configuration and in the store."""
        ...


class KnownNames(Protocol):
    """The names that sessions and providers had before."""

    def follow(self, session: Session, asked: str, former: Pin) -> None:
        """Take note of a request that asks for `asked`, a name of the former choice `former`."""
        ...

    def renamed(self, config: Config, model: str) -> bool:
        """Return whether `model` is a pin of a provider that has another name now. May read the store."""
        ...


class RequestPlan(NamedTuple):
    """The common part of a session's requests for one model, valid as long as `session` and `config` are
    these objects. `several`: more than one account may answer. `translated`: in another dialect than the
    caller's."""

    session: Session
    config: Config
    active_fallback: ActiveFallback | None
    call: Call
    several: bool
    translated: bool


class Dispatcher:
    """Plans requests.

    `unready` makes the error for a provider that offers no model. `failback` decides whether a request whose
    fallback has just ended stays on it, because the chosen connection is being tested in the background.
    `names` hears of requests that name a former choice, and knows the providers that had another name.
    `objects` looks into a body for what only one account knows.
    """

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._plans: dict[tuple[str, Dialect, str | None, BodyRule], RequestPlan] = {}
        self.unready: Callable[[Provider], HoldfastError] = _offers_nothing
        self.failback: Callable[[Session, Call], bool] = _never
        self.names: KnownNames | None = None
        self.objects: AccountObjects | None = None

    def call(
        self,
        session_id: str,
        dialect: Dialect,
        model: str | None,
        now: float,
        *,
        replayable: bool,
        client_retries: int,
        rule: BodyRule,
        body: bytes | None,
    ) -> tuple[RequestPlan, Call]:
        """Return the plan and the core's call for a request that begins at `now` (epoch seconds).

        Raises ConnectionLost when the pin no longer resolves, IdentityError, ConfigError, NotReady,
        OtherAccount, StoreError."""
        about = rule.about
        if about:
            rule = rule._replace(about="")
        plan = self._find(session_id, dialect, model, rule)
        if not rule.document:
            body = None
        fallback, common = plan.active_fallback, plan.call
        on_fallback, returning = None, False
        if fallback is not None:
            if self._is_on(fallback, plan, now, asked=(dialect, body)):
                on_fallback = str(fallback.fallback)
            else:
                returning = True
        bound, owner = False, None
        if rule.binds and self.objects is not None:
            bound, owner = True, self.objects.owner_among(dialect, body, about, plan)
        elif plan.several and body and self.objects is not None and speaks(common, on_fallback, dialect):
            bound, owner = self.objects.bind(dialect, body, to_model=rule.judged)
        # The time comes first: the journal finds requests by id, and an index that grows only at its end
        # costs half.
        request_id = f"{int(now):08x}{random.getrandbits(32):08x}"
        # The fields in their order: by name they cost three times as much, and every request passes here.
        call = Call._make(
            (
                request_id,
                session_id,
                common.route,
                common.fallbacks,
                on_fallback,
                returning,
                common.return_after,
                common.kept_key,
                replayable and rule.replays,
                not rule.judged,
                client_retries,
                common.limits,
                common.chosen,
                bound,
                owner,
                common.left_out,
                common.ends,
            )
        )
        return plan, call

    def _find(self, session_id: str, dialect: Dialect, model: str | None, rule: BodyRule) -> RequestPlan:
        """Return the plan of a session. If the pin does not resolve, look once more at what other processes
        wrote."""
        try:
            return self._chosen(session_id, dialect, model, rule)
        except ConnectionLost:
            self._choices.look_again()
        try:
            return self._chosen(session_id, dialect, model, rule)
        except ConnectionLost as lost:
            raise lost.about(session_id) from None

    def _chosen(self, session_id: str, dialect: Dialect, model: str | None, rule: BodyRule) -> RequestPlan:
        config = self._choices.config()
        session = self._choices.session(session_id)
        if session is None:
            raise NoSession(f"there is no session '{session_id}' any more", next_step="holdfast session list")
        return self.plan(session, config, dialect, model, rule=rule)

    def plan(
        self,
        session: Session,
        config: Config,
        dialect: Dialect,
        model: str | None,
        *,
        rule: BodyRule = TO_A_MODEL,
    ) -> RequestPlan:
        """Return the plan for a session, a dialect, a model and a kind of body. Raises ConnectionLost,
        IdentityError, NotReady."""
        subject = session.id, dialect, model, rule
        known = self._plans.get(subject)
        if known is not None and known.session is session and known.config is config:
            return known
        pin_for = _pin_for_any if rule.any_model else pin_for_request
        pin = pin_for(config, session, model)
        plan = self._planned(session, config, dialect, model, pin=pin, rule=rule)
        if len(self._plans) >= _MOST_PLANS:  # callers name models, so their number is not bounded
            self._plans.clear()
        self._plans[subject] = plan
        return plan

    def _planned(
        self,
        session: Session,
        config: Config,
        dialect: Dialect,
        model: str | None,
        *,
        pin: Pin,
        rule: BodyRule,
    ) -> RequestPlan:
        provider = config.providers.get(pin.provider)
        if model == pin.model != session.pin.model and provider is not None and provider.models is None:
            self._check_renamed(config, model)
        if provider is not None and provider.models == ():
            raise self.unready(provider)
        key = kept_key = active_fallback = None
        if pin.provider == session.pin.provider:
            key, kept_key = session.key, session.kept_key
        is_session_pin = pin == session.pin
        if is_session_pin:
            active_fallback = session.active_fallback
        chain = config.fallbacks.get(pin)
        return_after = 0.0
        if chain is not None:
            return_after = chain.return_after
        asked = AskedModel(pin, model, dialect, key)
        route, fallbacks, left_out = asked_routes(config, asked, rule)
        call = Call(
            request_id="",
            session=session.id,
            route=route,
            fallbacks=fallbacks,
            return_after=return_after,
            kept_key=kept_key,
            limits=config.settings,
            chosen=is_session_pin,
            left_out=left_out,
        )
        former = session.former_choice(model)
        if former is not None and self.names is not None:
            self.names.follow(session, model or "", former)
        return RequestPlan(
            session=session,
            config=config,
            active_fallback=active_fallback,
            call=call,
            several=_several(route) or bool(fallbacks),
            translated=rule.translates
            and any(each.connection.dialect is not dialect for each in (route, *fallbacks)),
        )

    def _check_renamed(self, config: Config, model: str) -> None:
        """Raise UnknownModel for what is a pin of a renamed provider, although a provider without a list
        could be asked for such a model."""
        if self.names is not None and self.names.renamed(config, model):
            raise unlisted(config, model)

    def _is_on(self, fallback: ActiveFallback, plan: RequestPlan, now: float, *, asked: Asked) -> bool:
        """Return True if the session's fallback answers this request."""
        if fallback.until > now:
            chain = plan.config.fallbacks.get(plan.session.pin)
            return plan.session.fallback_in_force(chain, now) is not None
        return self._stays(fallback, plan, now, asked=asked)

    def _stays(self, fallback: ActiveFallback, plan: RequestPlan, now: float, *, asked: Asked) -> bool:
        """Return True if a request stays on a fallback whose time is over.

        It stays until the chosen connection was tested in the background, and to the end of a turn of tool
        calls."""
        chain = plan.config.fallbacks.get(plan.session.pin)
        if chain is None:
            return False
        return_after = plan.call.return_after
        if not fallback.is_released(now, return_after) and self.failback(plan.session, plan.call):
            return True
        waits = fallback.waits_for_turn(now, return_after, checked=chain.check)
        return waits and continues_turn(*asked)


def _pin_for_any(config: Config, session: Session, model: str | None) -> Pin:
    """Return the pin of a request that may name any model, which is no choice among models that talk: what no
    provider lists is a model of the session's own. Raises UnknownModel for what can be no name."""
    try:
        return pin_for_request(config, session, model)
    except UnknownModel:
        if not model or not can_be_pinned(model):
            raise
        return Pin(session.pin.provider, model)


def _several(route: Route) -> bool:
    """Return whether the keys of a route belong to more than one account."""
    connections = route.connections
    return len(connections) > 1 and len({each.account or each.label for each in connections}) > 1


def _offers_nothing(provider: Provider) -> NotReady:
    what = f"provider '{provider.name}' offers no model (models = [])"
    command = f"holdfast models --provider {provider.name} --refresh"
    return NotReady(what, reason="model_unresolved", next_step=command)


def _never(_session: Session, _call: Call) -> bool:
    """Return False, for an engine that tests nothing in the background."""
    return False
