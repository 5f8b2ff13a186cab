"""Story 4: the last results of a key are stored; a 401 on a good key is probed once for all requests, a key
that never worked is asked once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ..fake_provider import fails_for, ok, only_keys, status
from ..store.journal_events import Attempted, of_type
from .stage import PROBES, Stage, counted, key_of, many

_CROWD, _OUTAGE = 30, 2.0
_MORE = 20
_WORDS = "Incorrect API key provided"
_REFUSED = status(
    401,
    {"error": {"message": _WORDS, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}},
)


def play(stage: Stage) -> None:
    """Refuse a good key for two seconds, then use a key that never worked, and a key that was revoked."""
    show = stage.show
    waits = ", ".join(f"{seconds:g}" for seconds in PROBES)
    intro = (
        "Elsewhere, one 401 from a busy gateway made a good key invalid. Here, a key that worked is "
        f"asked again after {waits} s, by one request for all; a key that never worked is asked once."
    )
    show.scene(4, "A 401 on a good key is not the end of it", intro)
    _overload(stage)
    _never_worked(stage)
    _revoked(stage)


def _overload(stage: Stage) -> None:
    """Send thirty requests at once into two seconds of 401."""
    show = stage.show
    gateway = stage.provider(ok())
    stage.entry("busy", gateway, ["busy"], ["north-1"])
    session = stage.restart().session("crowd", "busy/north-1")
    known = stage.ask(session).ok
    began = len(gateway.calls)
    gateway.follow(fails_for(_OUTAGE, _REFUSED))
    with ThreadPoolExecutor(_CROWD) as pool:
        answers = list(pool.map(lambda _: stage.ask(session), range(_CROWD)))
    good = sum(answer.ok for answer in answers)
    calls = gateway.calls[began:]
    refused = len(calls) - good
    probing = [event for event in of_type(session.attempts(), Attempted) if event.detail.probe]
    slowest = max(answer.seconds for answer in answers)
    show.step("provider", f"{stage.last_refusal(session)}, for {_OUTAGE:g} s; it had just worked")
    show.step(
        "holdfast",
        "The key worked here before, so one request asks again for all: "
        f"{many(len(probing), 'probe')} until it is accepted.",
    )
    show.step(
        "program",
        f"{good} of {_CROWD} requests answered; the slowest waited {slowest:.1f} s",
    )
    # Requests that were sent before the first refusal may be refused once each; later only the probes.
    askers = len({event.request for event in probing})
    shared = askers == 1 and len(probing) <= 1 + len(PROBES) and refused <= _CROWD + len(PROBES)
    probes = f"{many(len(probing), 'probe')} by {many(askers, 'request')}"
    evidence = f"{many(refused, 'refusal')}, then {many(good, 'answer')}; {probes}"
    show.promise(
        f"{_CROWD} requests at once survive {_OUTAGE:g} s of 401",
        known and good == _CROWD and shared,
        evidence,
    )


def _never_worked(stage: Stage) -> None:
    """Use a wrong key: one request, then the answer is known."""
    show = stage.show
    strict = stage.provider(only_keys({key_of("right")}))
    stage.entry("strict", strict, ["wrong"], ["north-1"])
    session = stage.restart().session("mistake", "strict/north-1")
    first = stage.ask(session)
    show.step("provider", stage.last_refusal(session))
    session = stage.restart().session("mistake")
    later = [stage.ask(session) for _ in range(_MORE)]
    fastest = min(reply.seconds for reply in later)
    show.step(
        "holdfast",
        f"after a restart, the next {_MORE} requests are answered from memory, "
        f"in {fastest * 1000:.1f} ms:\n{later[-1].text}",
    )
    remembered = first.status == 401 and all(
        reply.status == 401 and "never worked" in reply.text for reply in later
    )
    show.promise(
        "A key that never worked is asked once",
        remembered and len(strict.calls) == 1,
        f"{counted(strict.calls, 'strict')}, {1 + _MORE} asked for",
    )


def _revoked(stage: Stage) -> None:
    """Use a key that worked and is then revoked for good."""
    show = stage.show
    closing = stage.provider(ok())
    stage.entry("closing", closing, ["closing"], ["north-1"])
    session = stage.restart().session("revoked", "closing/north-1")
    known = stage.ask(session).ok
    before = len(closing.calls)
    closing.follow(_REFUSED)
    first = stage.ask(session)
    asked = len(closing.calls) - before
    show.step("provider", f"{stage.last_refusal(session)}, and this time for good")
    show.step("holdfast", str(stage.explained(session)))
    later = [stage.ask(session) for _ in range(_MORE)]
    more = len(closing.calls) - before - asked
    fair = known and not first.ok and all(reply.status == 401 for reply in later)
    show.promise(
        "A revoked key is asked at most four times",
        fair and asked <= 1 + len(PROBES) and more == 0,
        f"{asked} requests, then {more} for the next {_MORE}",
    )
