"""A session's life as the one property sees it: turns with any answers, switches, restarts, edits of any
kind, sign-ins and provisioned keys, told by hypothesis (which shrinks) or by seeds (which run long). After
each event the user's own words are asked, not the code's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from random import Random
from typing import Any

import world as w
from core.addresses import OWN, URLS, Written, an_address, keys_of, means, read
from holdfast.core import provisioning_state as p
from holdfast.core.changes import (
    Cooldown,
    CooldownStarted,
    FallbackEnded,
    FallbackStarted,
    KeyFailed,
    KeyKept,
    KeySucceeded,
    Owner,
)
from holdfast.core.config import Config, Limits
from holdfast.core.errors import HoldfastError
from holdfast.core.health import HealthRegistry
from holdfast.core.identity import Connection, Dialect, Endpoint, Key, Pin, Provider, ProviderName, Strategy
from holdfast.core.routes import FallbackChain
from holdfast.core.routing import fallbacks_for, pin_for_request, route_for
from holdfast.core.session import ActiveFallback, Session
from holdfast.core.steps import Call, Outcome, Send
from holdfast.importers.legacy_rows import LegacyRow, recover_pin

EXPIRED = w.reply(401, "token_expired", "The token has expired")
WINDOW = w.reply(429, "usage_limit_reached", "You have reached your usage limit", {"retry-after": "9000"})
NOT_FOUND = w.reply(400, "previous_response_not_found", "Previous response not found.")
AFFORD = w.reply(402, message="You requested up to 65536 tokens, but can only afford 8000")
ANSWERS = (
    *(
        None,
        None,
        None,
        None,
        None,
        None,
        w.BAD_KEY,
        w.BAD_KEY,
        w.THROTTLED,
        w.BROKE,
        w.OVERLOADED,
        w.BROKEN,
        w.NO_MODEL,
        w.NO_PAGE,
        w.WRONG,
        w.TOO_LONG,
    ),
    *(w.REFUSED_LINE, w.DELETED, EXPIRED, WINDOW, AFFORD),
)
NAMES = ("mimo", "router", "twin")
TRIAL = ProviderName("trial")
DIALECTS = (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES)
MODELS = ("m1", "x/m2")


def entry(
    name: str, written: Written, keys: int, own: bool, strategy: Strategy = Strategy.FILL_FIRST
) -> Provider:
    """An entry at this address with so many keys; with `own` the second has a URL of its own."""
    return read(name, written, keys=keys_of(name, keys, own), strategy=strategy)


@dataclass
class Life:
    """One session of one user, and everything that happens to it."""

    config: Config
    session: Session
    sim: w.Sim = field(default_factory=w.Sim)
    stored: list[Any] = field(default_factory=list)
    written: dict[str, Written] = field(default_factory=dict)
    """The address of each entry as its user wrote it."""
    record: p.Record = field(default_factory=lambda: p.Record(TRIAL, "fake", next(iter(p.Capability))))
    made: list[Owner] = field(default_factory=list)
    """Who made the objects to which a request may refer."""
    sends: int = 0
    outcome: Outcome | None = None
    past: list[Pin] = field(default_factory=list)
    """What the user chose before."""
    left: Pin | None = None
    """What the user left with the last change; None for another model of the same provider, taken back."""

    # What a user, a provisioner, the clock and other programs do.

    def switch(self, pin: Pin, key: str | None = None) -> None:
        before = self.session.pin
        if pin != before:
            taken_back = pin in self.past and pin.provider == before.provider
            self.left = None if taken_back else before
            self.past.append(before)
        self.session = self.session.choose(pin, self.sim.now, key)

    def edit(self, made: Provider) -> None:
        self.config = replace(self.config, providers={**self.config.providers, made.name: made})

    def write(self, name: str, written: Written, keys: int, own: bool, strategy: Strategy) -> None:
        """An entry is written, or written anew."""
        self.written[name] = written
        self.edit(entry(name, written, keys, own, strategy))

    def move(self, name: str, written: Written) -> None:
        """The address of an entry is edited, and nothing else of it."""
        if (provider := self.config.providers.get(ProviderName(name))) is not None:
            self.written[name] = written
            self.edit(replace(provider, endpoints=read(name, written).endpoints))

    def rekey(self, name: str, drop: int, account: str) -> None:
        """A key is taken out of an entry, the others change places, and one gets another account."""
        if (provider := self.config.providers.get(ProviderName(name))) is not None and len(provider.keys) > 1:
            kept = [key for n, key in enumerate(provider.keys) if n != drop % len(provider.keys)][::-1]
            self.edit(replace(provider, keys=(replace(kept[0], account=account or None), *kept[1:])))

    def remove(self, name: str) -> None:
        self.config = replace(
            self.config,
            providers={key: provider for key, provider in self.config.providers.items() if key != name},
        )

    def rename(self, old: str, new: str) -> None:
        """`holdfast provider rename`: the entry and its keys get the new name, and sessions and fallbacks
        follow."""
        provider = self.config.providers.get(ProviderName(old))
        spoken = {
            pin.provider
            for start, fallback_chain in self.config.fallbacks.items()
            for pin in (start, *fallback_chain.then)
        }
        if provider is None or new in {*self.config.providers, *spoken}:
            return
        name = ProviderName(new)
        self.remove(old)
        self.written[new] = self.written[old]
        self.edit(
            replace(provider, name=name, keys=tuple(replace(key, provider=name) for key in provider.keys))
        )

        def moved(pin: Pin) -> Pin:
            return Pin(name, pin.model) if pin.provider == old else pin

        fallbacks = {
            moved(pin): FallbackChain(moved(pin), tuple(map(moved, fallback_chain.then)), 60.0)
            for pin, fallback_chain in self.config.fallbacks.items()
        }
        self.config = replace(self.config, fallbacks=fallbacks)
        self.made = [each._replace(provider=new) if each.provider == old else each for each in self.made]
        active_fallback = self.session.active_fallback
        self.session = replace(
            self.session,
            pin=moved(self.session.pin),
            active_fallback=active_fallback
            and replace(active_fallback, fallback=moved(active_fallback.fallback)),
        )

    def fallback_chain(self, pin: Pin, fallbacks: list[Pin]) -> None:
        then = tuple(dict.fromkeys(fallback for fallback in fallbacks if fallback != pin))
        kept = {
            start: fallback_chain for start, fallback_chain in self.config.fallbacks.items() if start != pin
        }
        self.config = replace(
            self.config, fallbacks={**kept, pin: FallbackChain(pin, then, 60.0)} if then else kept
        )

    def restart(self) -> None:
        self.sim.health = HealthRegistry()
        for change in self.stored:
            self.sim.health.apply(change)
        self.sim.unread |= {key.label for provider in self.config.providers.values() for key in provider.keys}

    def reset(self) -> None:
        """`holdfast key reset` for all keys: what was held against them is forgotten."""
        self.stored = [change for change in self.stored if isinstance(change, KeySucceeded)]
        self.restart()

    def later(self, seconds: float) -> None:
        self.sim.now += seconds

    def replaced(self, label: str, *, noticed: bool) -> None:
        """A key's value changes where it is kept: noticed at once, or when a refused key is read again."""
        if noticed:
            self.sim.generation[label] = self.sim.generation.get(label, 0) + 1
        else:
            self.sim.replaced.add(label)

    def lost(self, label: str) -> None:
        """A key's reference can no longer be read, or can again."""
        self.sim.missing ^= {label}

    def heal(self, url: str, model: str) -> None:
        """A row of another program's becomes a choice, where exactly one entry can be meant."""
        try:
            pin = recover_pin(self.config, LegacyRow("custom", url, model))
        except HoldfastError:
            return
        at_url = [
            provider.name
            for provider in self.config.providers.values()
            if url in _urls(provider) and (provider.models is None or model in provider.models)
        ]
        assert at_url == [pin.provider], "healed to what is not the only one"
        self.switch(pin)

    def provision(self, url: str, step: int) -> None:
        """One step of a provider that sets itself up: a key is asked for, comes with its URL, and is listed.
        Until it is usable it offers nothing."""
        now, record = self.sim.now, self.record
        if record.state in (p.State.ABSENT, p.State.VERIFIED, p.State.RESOLVED) and step % 3 == 0:
            record = p.Record(TRIAL, "fake", next(iter(p.Capability)), epoch=record.epoch)
            record = p.intend(record, f"intent-{record.epoch}", now)
        elif record.state is p.State.INTENT:
            record = p.granted(record, now, url=url, key=f"store:trial{record.epoch}")
        elif record.state is p.State.PROVISIONED:
            record = record.to(p.State.RESOLVED, now, models=("m1",), bound={"main": "m1"})
        self.record = record
        if record.url and record.key:
            own = (Endpoint(record.url),)
            key = Key(TRIAL, f"trial{record.epoch}", record.key, None, own)
            self.edit(Provider(TRIAL, own, (key,), ("m1",) if record.state in p.USABLE else ()))
        else:
            self.remove(TRIAL)

    # A turn.

    def ask(
        self, answers: list[Any], dialect: Dialect, asked: str | None = None, refers: int | None = None
    ) -> None:
        """One request for the model or pin `asked`: whatever is answered, all that leaves is permitted,
        bounded, and reported as it was. One that `refers` to the object made so many answers ago, or before
        the first, does not leave with a key of another account."""
        owner = None
        if refers is not None and refers <= len(self.made):
            owner = self.made[-refers]
        session, sim, config = self.session, self.sim, self.config
        try:
            pin = pin_for_request(config, session, asked)
            own = pin.provider == session.pin.provider
            route = route_for(config, pin, dialect, session.key if own else None)
        except HoldfastError:
            return
        assert pin == session.pin or self.says(asked, pin), f"{asked} became {pin} for {session.pin}"
        if config.providers[pin.provider].models == ():
            return  # the engine begins nothing where nothing is offered
        sim.steps.clear()
        sim.changes.clear()
        chosen = pin == session.pin
        active = session.fallback_in_force(config.fallbacks.get(session.pin), sim.now) if chosen else None
        call = Call(
            "r",
            session.id,
            route,
            tuple(
                fallback
                for fallback in fallbacks_for(config, pin, dialect)[0]
                if fallback.connection.provider.models != ()
            ),
            str(active.fallback) if active else None,
            returning=chosen and session.active_fallback is not None and active is None,
            return_after=60.0,
            kept_key=session.kept_key if own else None,
            limits=Limits(),
            chosen=chosen,
            bound=refers is not None,
            owner=owner,
        )
        sim.first_owner = next(iter(self.made), None)
        before, may_be_asked = sim.now, self._may_be_asked(call)
        outcome = sim.run(call, [*answers, *[w.BROKEN] * 12])
        self.sends, self.outcome = self.sends + len(sim.sends), outcome
        for send in sim.sends:
            assert self.permits(send, dialect, pin), f"{send.connection} for {pin} of {session.pin}"
            assert 0 <= send.after <= 60
        assert sim.now - before <= 60 + 3.5 + 0.1 * len(sim.steps)
        assert len([send for send in sim.sends if not send.probe]) <= 3
        assert len({(send.connection.provider.name, send.connection.key) for send in sim.sends}) <= 3
        if refers is not None:
            self._stays_at_one_account(call, owner)
            may_be_asked = False
        assert not (outcome.from_memory and may_be_asked), "memory alone ended a turn that a route could take"
        assert sum(attempt.was_sent for attempt in outcome.attempts) == len(sim.sends) == outcome.sends
        assert (outcome.fault is None) == (bool(outcome.attempts) and outcome.attempts[-1].fault is None)
        for change in sim.changes:
            self._learn(change)
        if outcome.fault is None:
            self.made.append(self._owner(outcome.connection))
        assert self.session.pin == session.pin, "only the user changes the choice"
        assert self.session.key == session.key

    def _owner(self, connection: Connection) -> Owner:
        generation = self.sim.generation.get(connection.label, 0)
        return Owner(connection.provider.name, connection.label, f"{connection.label}{generation}")

    def _stays_at_one_account(self, call: Call, owner: Owner | None) -> None:
        """All sends of a request that is bound have one account: the owner's, if a route has its key."""
        sent = {_account(send.connection) for send in self.sim.sends}
        assert len(sent) <= 1, f"a bound request left for {sent}"
        there = {
            _account(connection)
            for route in (call.route, *call.fallbacks)
            for connection in route.connections
            if owner is not None and self._owner(connection) == owner
        }
        assert not there or sent <= there, f"what {owner} made was asked of {sent}"

    def _may_be_asked(self, call: Call) -> bool:
        """Whether a key of the choice may be asked now, or one of a fallback: these not where the choice was
        refused for good."""
        routes = [call.route, *call.fallbacks]
        verdicts = [self._verdict(connection) for connection in call.route.connections]
        if all(verdict is not None and verdict.until == inf for verdict in verdicts):
            routes = []
        return any(
            self._verdict(connection) is None and connection.label not in self.sim.missing
            for route in routes
            for connection in route.connections
        )

    def _verdict(self, connection: Connection) -> Cooldown | None:
        """The verdict by which a connection is not asked now; its key counts as read."""
        fingerprint = f"{connection.label}{self.sim.generation.get(connection.label, 0)}"
        cooldown = self.sim.health.cooldown(fingerprint, connection)
        if cooldown is None or not cooldown.hard or cooldown.over(self.sim.now):
            return None
        return cooldown

    def _learn(self, change: object) -> None:
        match change:
            case FallbackStarted(_, fallback, reason, until):
                assert Pin.parse(fallback) in self.config.fallbacks[self.session.pin].then
                self.session = replace(
                    self.session, active_fallback=ActiveFallback(Pin.parse(fallback), reason, until)
                )
            case FallbackEnded():
                self.session = replace(self.session, active_fallback=None)
            case KeyKept(_, label):
                self.session = replace(self.session, kept_key=label)
            case KeySucceeded() | KeyFailed() | CooldownStarted():
                self.stored.append(change)

    def says(self, asked: str | None, pin: Pin) -> bool:
        """Whether a request that asks for this can mean another pin than the session's: it must say so, and
        not with a name of the choice that the user left."""
        left = () if self.left is None else (self.left.model, str(self.left))
        return asked in (pin.model, str(pin)) and asked not in left

    def permits(self, send: Send, dialect: Dialect, asked: Pin) -> bool:
        """Whether the user's own words allow this send for a request that means `asked`: written from the
        contract, not from the code under test."""
        connection = send.connection
        fallback_chain = self.config.fallbacks.get(asked)
        pin = f"{connection.provider.name}/{connection.model}"
        on_its_own = pin == str(asked)
        owner = self.config.providers[connection.provider.name]
        label = None
        if asked.provider == self.session.pin.provider:
            label = self.session.key
        if connection.key is None or (on_its_own and label not in (None, connection.key.label)):
            return False
        mine = [
            key for key in owner.keys if (key.label, key.ref) == (connection.key.label, connection.key.ref)
        ]
        named = on_its_own or pin in map(str, fallback_chain.then if fallback_chain else ())
        right_dialect = {connection.endpoint.dialect, connection.dialect} == {dialect}
        return (
            named
            and right_dialect
            and bool(mine)
            and connection.endpoint.url == self._address(owner, mine[0], dialect)
        )

    def _address(self, owner: Provider, key: Key, dialect: Dialect) -> str | None:
        """Where a key may go in a dialect by the configuration that was written; None for nowhere."""
        if owner.name == TRIAL:
            record = self.record
            usable = record.state in p.USABLE and key.ref == record.key
            return record.url if usable else None
        if key.endpoints:
            return {Dialect.OPENAI_CHAT: OWN}.get(dialect)
        return means(self.written[owner.name]).get(dialect)


def _urls(provider: Provider) -> set[str]:
    return {
        endpoint.url
        for endpoint in (*provider.endpoints, *(own for key in provider.keys for own in key.endpoints))
    }


def born(jitter: Random) -> Life:
    """A new life."""
    life = Life(Config(), Session("s1", a_pin(jitter)))
    for name in jitter.sample(NAMES, jitter.randint(1, 3)):
        a_provider(life, jitter, name)
    return life


def a_provider(life: Life, jitter: Random, name: str) -> None:
    strategy = jitter.choice(list(Strategy))
    life.write(name, an_address(jitter), jitter.randint(1, 4), jitter.random() < 0.5, strategy)


def _account(connection: Connection) -> tuple[str, str]:
    """The account of a connection: its key's name where none is configured."""
    key = connection.key
    account = "" if key is None else key.account or f"key {key.label}"
    return connection.provider.name, account


def a_pin(jitter: Random) -> Pin:
    return Pin(ProviderName(jitter.choice((*NAMES, TRIAL))), jitter.choice(MODELS))


def a_wish(life: Life, jitter: Random) -> tuple[Pin, str | None]:
    """What users choose: most of them something that is there."""
    there = list(life.config.providers.values())
    if not there or jitter.random() < 0.15:
        return a_pin(jitter), jitter.choice((None, a_label(jitter)))
    provider = jitter.choice(there)
    return Pin(provider.name, jitter.choice(MODELS)), jitter.choice(
        (None, None, None, *(key.label for key in provider.keys))
    )


def a_name(life: Life, jitter: Random) -> str:
    """What a client asks for: a choice of now or before, a model alone, or any pin."""
    pin = jitter.choice((life.session.pin, *life.past[-3:], *life.past[-1:], a_wish(life, jitter)[0]))
    return jitter.choice((pin.model, str(pin)))


def a_label(jitter: Random) -> str:
    return f"{jitter.choice(NAMES)}{jitter.randrange(4)}"


EVENTS: tuple[tuple[int, Callable[[Life, Random], None]], ...] = (
    (
        24,
        lambda life, jitter: life.ask(
            jitter.choices(ANSWERS, k=jitter.randint(1, 8)), jitter.choice(DIALECTS)
        ),
    ),
    (6, lambda life, jitter: life.ask([None], Dialect.OPENAI_CHAT)),
    (
        8,
        lambda life, jitter: life.ask(
            jitter.choices((*ANSWERS, NOT_FOUND), k=jitter.randint(1, 8)),
            jitter.choice(DIALECTS),
            refers=jitter.randint(1, 9),
        ),
    ),
    (
        8,
        lambda life, jitter: life.ask(
            jitter.choices(ANSWERS, k=jitter.randint(1, 8)),
            jitter.choice(DIALECTS),
            a_name(life, jitter),
        ),
    ),
    (5, lambda life, jitter: life.switch(*a_wish(life, jitter))),
    (3, lambda life, jitter: a_provider(life, jitter, jitter.choice(NAMES))),
    (2, lambda life, jitter: life.move(jitter.choice(NAMES), an_address(jitter))),
    (
        2,
        lambda life, jitter: life.rekey(
            jitter.choice(NAMES), jitter.randrange(4), jitter.choice(("team", "other", ""))
        ),
    ),
    (1, lambda life, jitter: life.remove(jitter.choice(NAMES))),
    (1, lambda life, jitter: life.rename(jitter.choice(NAMES), jitter.choice(NAMES))),
    (
        3,
        lambda life, jitter: life.fallback_chain(
            jitter.choice((life.session.pin, a_pin(jitter))),
            [a_wish(life, jitter)[0] for _ in range(jitter.randint(0, 2))],
        ),
    ),
    (2, lambda life, _: life.restart()),
    (2, lambda life, _: life.reset()),
    (6, lambda life, jitter: life.later(jitter.choice((1, 5, 61, 301, 1801, 90_000)))),
    (2, lambda life, jitter: life.replaced(a_label(jitter), noticed=jitter.random() < 0.5)),
    (1, lambda life, jitter: life.lost(a_label(jitter))),
    (2, lambda life, jitter: life.heal(jitter.choice(URLS), jitter.choice(MODELS))),
    (3, lambda life, jitter: life.provision(jitter.choice(URLS), jitter.randrange(3))),
)
"""What may happen, and how often one happens among the others."""


def step(life: Life, jitter: Random) -> None:
    """One event."""
    ((_, happen),) = jitter.choices(EVENTS, [weight for weight, _ in EVENTS])
    happen(life, jitter)
