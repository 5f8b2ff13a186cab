"""A session's life as the one property sees it: turns with any answers, switches, restarts, edits of any kind, sign-ins and provisioned keys,
told by hypothesis (which shrinks) or by seeds (which run long). After each event the user's own words are asked, not the code's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import world as w
from holdfast.core import provision as p
from holdfast.core.config import Config, Limits
from holdfast.core.errors import HoldfastError
from holdfast.core.evidence import Board, Cooled, Failed, KeyKept, StandInBegan, StandInEnded, Worked
from holdfast.core.identity import Dialect, Endpoint, Key, Ladder, Pin, Provider, ProviderName, Strategy
from holdfast.core.resolve import LegacyRow, lane_for, recover_pin, rungs_for
from holdfast.core.session import Session, StandIn
from holdfast.core.steps import Call, Outcome, Send

EXPIRED = w.reply(401, "token_expired", "The token has expired")
WINDOW = w.reply(429, "usage_limit_reached", "You have reached your usage limit", {"retry-after": "9000"})
AFFORD = w.reply(402, message="You requested up to 65536 tokens, but can only afford 8000")
ANSWERS = (
    *(None, None, None, None, None, None, w.BAD_KEY, w.BAD_KEY, w.THROTTLED, w.BROKE, w.OVERLOADED, w.BROKEN, w.NO_MODEL, w.NO_PAGE, w.WRONG, w.TOO_LONG),
    *(w.REFUSED_LINE, w.DELETED, EXPIRED, WINDOW, AFFORD),
)
NAMES = ("mimo", "router", "twin")
TRIAL = ProviderName("trial")
URLS = ("https://one.example/v1", "https://two.example/v1", "https://one.example/plan/v1")
DIALECTS = (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES)
MODELS = ("m1", "x/m2")


def entry(name: str, url: str, keys: int, own: bool, strategy: Strategy = Strategy.FILL_FIRST) -> Provider:
    """An entry with so many keys; with `own` the second has a URL of its own."""

    def key(n: int) -> Key:
        ends = (Endpoint("https://own.example/v1"),) if own and n == 1 else ()
        return Key(ProviderName(name), f"{name}{n}", f"env:{name.upper()}{n}", "team" if n < 2 else None, ends)

    return Provider(ProviderName(name), (Endpoint(url), Endpoint(url, Dialect.OPENAI_RESPONSES)), tuple(map(key, range(keys))), None, strategy)


@dataclass
class Life:
    """One session of one user, and everything that happens to it."""

    config: Config
    session: Session
    sim: w.Sim = field(default_factory=w.Sim)
    stored: list[Any] = field(default_factory=list)
    record: p.Record = field(default_factory=lambda: p.Record(TRIAL, "fake", next(iter(p.Capability))))
    sends: int = 0
    outcome: Outcome | None = None

    # What a user, a provisioner, the clock and other programs do.

    def switch(self, pin: Pin, key: str | None = None) -> None:
        self.session = self.session.choose(pin, self.sim.now, key)

    def edit(self, made: Provider) -> None:
        self.config = replace(self.config, providers={**self.config.providers, made.name: made})

    def move(self, name: str, url: str) -> None:
        """The endpoint of an entry is edited, and nothing else of it."""
        if (found := self.config.providers.get(ProviderName(name))) is not None:
            self.edit(replace(found, endpoints=(Endpoint(url), Endpoint(url, Dialect.OPENAI_RESPONSES))))

    def rekey(self, name: str, drop: int, account: str) -> None:
        """A key is taken out of an entry, the others change places, and one gets another account."""
        if (found := self.config.providers.get(ProviderName(name))) is not None and len(found.keys) > 1:
            kept = [key for n, key in enumerate(found.keys) if n != drop % len(found.keys)][::-1]
            self.edit(replace(found, keys=(replace(kept[0], account=account or None), *kept[1:])))

    def remove(self, name: str) -> None:
        self.config = replace(self.config, providers={one: found for one, found in self.config.providers.items() if one != name})

    def rename(self, old: str, new: str) -> None:
        """`holdfast provider rename`: the entry and its keys get the new name, and sessions and ladders follow."""
        found = self.config.providers.get(ProviderName(old))
        spoken = {pin.provider for one, ladder in self.config.ladders.items() for pin in (one, *ladder.then)}
        if found is None or new in {*self.config.providers, *spoken}:
            return
        name = ProviderName(new)
        self.remove(old)
        self.edit(replace(found, name=name, keys=tuple(replace(key, provider=name) for key in found.keys)))

        def moved(pin: Pin) -> Pin:
            return Pin(name, pin.model) if pin.provider == old else pin

        ladders = {moved(one): Ladder(moved(one), tuple(map(moved, ladder.then)), 60.0) for one, ladder in self.config.ladders.items()}
        self.config = replace(self.config, ladders=ladders)
        stand_in = self.session.stand_in
        self.session = replace(self.session, pin=moved(self.session.pin), stand_in=stand_in and replace(stand_in, rung=moved(stand_in.rung)))

    def ladder(self, pin: Pin, rungs: list[Pin]) -> None:
        then = tuple(dict.fromkeys(rung for rung in rungs if rung != pin))
        kept = {one: ladder for one, ladder in self.config.ladders.items() if one != pin}
        self.config = replace(self.config, ladders={**kept, pin: Ladder(pin, then, 60.0)} if then else kept)

    def restart(self) -> None:
        self.sim.board = Board()
        for change in self.stored:
            self.sim.board.apply(change)
        self.sim.unread |= {key.label for found in self.config.providers.values() for key in found.keys}

    def reset(self) -> None:
        """`holdfast key reset` for all keys: what was held against them is forgotten."""
        self.stored = [change for change in self.stored if isinstance(change, Worked)]
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
        """A key's reference leads to no value, or does again."""
        self.sim.missing ^= {label}

    def heal(self, url: str, model: str) -> None:
        """A row of another program's becomes a choice, where exactly one entry can be meant."""
        try:
            pin = recover_pin(self.config, LegacyRow("custom", url, model))
        except HoldfastError:
            return
        at_url = [found.name for found in self.config.providers.values() if url in _urls(found) and (found.models is None or model in found.models)]
        assert at_url == [pin.provider], "healed to what is not the only one"
        self.switch(pin)

    def provision(self, url: str, step: int) -> None:
        """One step of a provider that sets itself up: a key is asked for, comes with its URL, and is listed. Until it is usable it offers nothing."""
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

    def ask(self, answers: list[Any], dialect: Dialect) -> None:
        """One request: whatever is answered, all that leaves is permitted, bounded, and told as it was."""
        session, sim, config = self.session, self.sim, self.config
        chosen = config.providers.get(session.pin.provider)
        if chosen is not None and chosen.models == ():
            return  # the engine begins nothing where nothing is offered
        try:
            lane = lane_for(config, session.pin, dialect, session.key)
        except HoldfastError:
            return
        sim.steps.clear()
        sim.changes.clear()
        active = session.standing_in(sim.now)
        call = Call(
            "r",
            session.id,
            lane,
            tuple(rung for rung in rungs_for(config, session.pin, dialect) if rung.connection.provider.models != ()),
            str(active.rung) if active else None,
            returning=session.stand_in is not None and active is None,
            return_after=60.0,
            kept_key=session.kept_key,
            limits=Limits(),
        )
        before = sim.now
        outcome = sim.run(call, [*answers, *[w.BROKEN] * 12])
        self.sends, self.outcome = self.sends + len(sim.sends), outcome
        for send in sim.sends:
            assert self.permits(send, dialect), f"{send.connection} for {session.pin}"
            assert 0 <= send.after <= 60
        assert sim.now - before <= 60 + 3.5 + 0.1 * len(sim.steps)
        assert len([send for send in sim.sends if not send.probe]) <= 3
        assert len({(send.connection.provider.name, send.connection.key) for send in sim.sends}) <= 3
        assert (outcome.fault is None) == (bool(outcome.attempts) and outcome.attempts[-1].fault is None)
        for change in sim.changes:
            self._learn(change)
        assert self.session.pin == session.pin, "only the user changes the choice"
        assert self.session.key == session.key

    def _learn(self, change: object) -> None:
        match change:
            case StandInBegan(_, rung, reason, until):
                assert Pin.parse(rung) in self.config.ladders[self.session.pin].then
                self.session = replace(self.session, stand_in=StandIn(Pin.parse(rung), reason, until))
            case StandInEnded():
                self.session = replace(self.session, stand_in=None)
            case KeyKept(_, label):
                self.session = replace(self.session, kept_key=label)
            case Worked() | Failed() | Cooled():
                self.stored.append(change)

    def permits(self, send: Send, dialect: Dialect) -> bool:
        """Whether the user's own words allow this send: written from the contract, not from the code under test."""
        connection = send.connection
        ladder = self.config.ladders.get(self.session.pin)
        pin = f"{connection.provider.name}/{connection.model}"
        on_its_own = pin == str(self.session.pin)
        owner = self.config.providers[connection.provider.name]
        if connection.key is None or (on_its_own and self.session.key not in (None, connection.key.label)):
            return False
        mine = [key for key in owner.keys if (key.label, key.ref) == (connection.key.label, connection.key.ref)]
        urls = {one.url for one in (mine[0].endpoints or owner.endpoints)} if mine else set()
        if owner.name == TRIAL:
            record = self.record
            urls &= {record.url} if record.state in p.USABLE and connection.key.ref == record.key else set()
        named = on_its_own or pin in map(str, ladder.then if ladder else ())
        return named and connection.endpoint.url in urls and {connection.endpoint.dialect, connection.dialect} == {dialect}


def _urls(found: Provider) -> set[str]:
    return {one.url for one in (*found.endpoints, *(own for key in found.keys for own in key.endpoints))}


def born(roll: Random) -> Life:
    """A new life."""
    made = [a_provider(roll, name) for name in roll.sample(NAMES, roll.randint(1, 3))]
    return Life(Config(providers={one.name: one for one in made}), Session("s1", a_pin(roll)))


def a_provider(roll: Random, name: str) -> Provider:
    return entry(name, roll.choice(URLS), roll.randint(1, 4), roll.random() < 0.5, roll.choice(list(Strategy)))


def a_pin(roll: Random) -> Pin:
    return Pin(ProviderName(roll.choice((*NAMES, TRIAL))), roll.choice(MODELS))


def a_wish(life: Life, roll: Random) -> tuple[Pin, str | None]:
    """What users choose: most of them something that is there."""
    there = list(life.config.providers.values())
    if not there or roll.random() < 0.15:
        return a_pin(roll), roll.choice((None, a_label(roll)))
    found = roll.choice(there)
    return Pin(found.name, roll.choice(MODELS)), roll.choice((None, None, None, *(key.label for key in found.keys)))


def a_label(roll: Random) -> str:
    return f"{roll.choice(NAMES)}{roll.randrange(4)}"


EVENTS: tuple[tuple[int, Callable[[Life, Random], None]], ...] = (
    (24, lambda life, roll: life.ask(roll.choices(ANSWERS, k=roll.randint(1, 8)), roll.choice(DIALECTS))),
    (6, lambda life, roll: life.ask([None], Dialect.OPENAI_CHAT)),
    (5, lambda life, roll: life.switch(*a_wish(life, roll))),
    (3, lambda life, roll: life.edit(a_provider(roll, roll.choice(NAMES)))),
    (2, lambda life, roll: life.move(roll.choice(NAMES), roll.choice(URLS))),
    (2, lambda life, roll: life.rekey(roll.choice(NAMES), roll.randrange(4), roll.choice(("team", "other", "")))),
    (1, lambda life, roll: life.remove(roll.choice(NAMES))),
    (1, lambda life, roll: life.rename(roll.choice(NAMES), roll.choice(NAMES))),
    (3, lambda life, roll: life.ladder(roll.choice((life.session.pin, a_pin(roll))), [a_wish(life, roll)[0] for _ in range(roll.randint(0, 2))])),
    (2, lambda life, _: life.restart()),
    (2, lambda life, _: life.reset()),
    (6, lambda life, roll: life.later(roll.choice((1, 5, 61, 301, 1801, 90_000)))),
    (2, lambda life, roll: life.replaced(a_label(roll), noticed=roll.random() < 0.5)),
    (1, lambda life, roll: life.lost(a_label(roll))),
    (2, lambda life, roll: life.heal(roll.choice(URLS), roll.choice(MODELS))),
    (3, lambda life, roll: life.provision(roll.choice(URLS), roll.randrange(3))),
)
"""What may happen, and how often one happens among the others."""


def step(life: Life, roll: Random) -> None:
    """One event."""
    ((_, happen),) = roll.choices(EVENTS, [weight for weight, _ in EVENTS])
    happen(life, roll)
