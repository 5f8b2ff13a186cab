"""The property that rules them all: for any script of answers, switches, restarts and edits, every request that
leaves has an (origin, key, model, dialect) that the session's pin, or a rung of its ladder, permits at that instant."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

import world as w
from holdfast.core.config import Config, Limits
from holdfast.core.errors import HoldfastError
from holdfast.core.evidence import Board, Cooled, Failed, KeyKept, StandInBegan, StandInEnded, Worked
from holdfast.core.identity import Dialect, Endpoint, Key, Ladder, Pin, Provider, ProviderName
from holdfast.core.resolve import lane_for, rungs_for
from holdfast.core.session import Session, StandIn
from holdfast.core.steps import Call, Send

ANSWERS = (None, None, w.BAD_KEY, w.THROTTLED, w.BROKE, w.OVERLOADED, w.BROKEN, w.NO_MODEL, w.NO_PAGE, w.WRONG, w.TOO_LONG, w.REFUSED_LINE, w.DELETED)
NAMES = ("mimo", "router", "twin")
URLS = ("https://one.example/v1", "https://two.example/v1", "https://one.example/plan/v1")


def entry(name: str, url: str, keys: int, own: bool) -> Provider:
    made = tuple(
        Key(
            ProviderName(name),
            f"{name}{n}",
            f"env:{name.upper()}{n}",
            "team" if n < 2 else None,
            (Endpoint("https://own.example/v1"),) if own and n == 1 else (),
        )
        for n in range(keys)
    )
    return Provider(ProviderName(name), (Endpoint(url), Endpoint(url, Dialect.OPENAI_RESPONSES)), made)


entries = st.builds(entry, st.sampled_from(NAMES), st.sampled_from(URLS), st.integers(1, 4), st.booleans())
pins = st.builds(lambda name, model: Pin(ProviderName(name), model), st.sampled_from(NAMES), st.sampled_from(("m1", "x/m2")))
dialects = st.sampled_from((Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES))
events = st.one_of(
    st.tuples(st.just("ask"), st.lists(st.sampled_from(ANSWERS), min_size=8, max_size=8), dialects),
    st.tuples(st.just("switch"), pins, st.none()),
    st.tuples(st.just("edit"), entries, st.none()),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("ladder"), pins, st.lists(pins, min_size=1, max_size=2, unique=True)),
    st.tuples(st.just("restart"), st.none(), st.none()),
    st.tuples(st.just("later"), st.integers(1, 90_000), st.none()),
    st.tuples(st.just("rekey"), st.sampled_from(NAMES), st.none()),
)


def permitted(config: Config, session: Session, send: Send, dialect: Dialect) -> bool:
    """Whether the user's own words allow this send: written from the contract, not from the code under test."""
    connection = send.connection
    ladder = config.ladders.get(session.pin)
    allowed = (session.pin, *(ladder.then if ladder else ()))
    pin = f"{connection.provider.name}/{connection.model}"
    owner = config.providers[connection.provider.name]
    assert connection.key is not None
    mine = [key for key in owner.keys if key.label == connection.key.label and key.ref == connection.key.ref]
    urls = {e.url for e in (mine[0].endpoints or owner.endpoints)} if mine else set()
    return pin in map(str, allowed) and connection.endpoint.url in urls and connection.endpoint.dialect is dialect and connection.dialect is dialect


@settings(max_examples=300)
@given(st.lists(entries, min_size=1, max_size=3), pins, st.lists(events, min_size=3, max_size=14))
def test_every_request_that_leaves_is_permitted_by_the_users_own_words(start: list[Provider], pin: Pin, script: list[tuple[str, object, object]]) -> None:
    config = Config(providers={p.name: p for p in start})
    session = Session("s1", pin)
    sim = w.Sim()
    stored: list[object] = []
    for what, one, two in script:
        match what:
            case "switch":
                session = session.choose(one, sim.now)  # type: ignore[arg-type]
            case "edit":
                assert isinstance(one, Provider)
                config = replace(config, providers={**config.providers, one.name: one})
            case "remove":
                config = replace(config, providers={name: p for name, p in config.providers.items() if name != one})
            case "ladder":
                assert isinstance(one, Pin)
                rungs = tuple(rung for rung in two if rung != one)  # type: ignore[attr-defined]
                config = replace(config, ladders={**config.ladders, one: Ladder(one, rungs, 60.0)} if rungs else {})
            case "restart":
                sim.board = Board()
                for change in stored:
                    sim.board.apply(change)  # type: ignore[arg-type]
            case "later":
                sim.now += one  # type: ignore[operator]
            case "rekey":
                sim.generation = {**sim.generation, f"{one}0": sim.generation.get(f"{one}0", 0) + 1}
            case _:
                session = ask(config, session, sim, one, two, stored)  # type: ignore[arg-type]


def ask(config: Config, session: Session, sim: w.Sim, answers: list[object], dialect: Dialect, stored: list[object]) -> Session:
    try:
        lane = lane_for(config, session.pin, dialect)
    except HoldfastError:
        return session
    sim.steps.clear()
    sim.changes.clear()
    active = session.standing_in(sim.now)
    call = Call(
        "r",
        session.id,
        lane,
        rungs_for(config, session.pin, dialect),
        str(active.rung) if active else None,
        returning=session.stand_in is not None and active is None,
        return_after=60.0,
        kept_key=session.kept_key,
        limits=Limits(),
    )
    before = sim.now
    outcome = sim.run(call, answers)  # type: ignore[arg-type]
    for send in sim.sends:
        assert permitted(config, session, send, dialect)
        assert 0 <= send.after <= 60
    assert sim.now - before <= 60 + 3.5 + 0.1 * len(sim.steps)
    assert len([send for send in sim.sends if not send.probe]) <= 3
    assert len({(s.connection.provider.name, s.connection.key) for s in sim.sends}) <= 3
    assert (outcome.fault is None) == (bool(outcome.attempts) and outcome.attempts[-1].fault is None)
    chosen = session.pin
    for change in sim.changes:
        match change:
            case StandInBegan(_, rung, reason, until):
                session = replace(session, stand_in=StandIn(Pin.parse(rung), reason, until))
                assert Pin.parse(rung) in config.ladders[chosen].then
            case StandInEnded():
                session = replace(session, stand_in=None)
            case KeyKept(_, label):
                session = replace(session, kept_key=label)
            case Worked() | Failed() | Cooled():
                stored.append(change)
    assert session.pin == chosen, "only the user changes the choice"
    return session
