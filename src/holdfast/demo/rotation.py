"""Story 1: a rotation changes the key and nothing else; a switch, a fallback and its end move the whole
connection.

Reported as hermes-agent#44070.
"""

from __future__ import annotations

import time

from ..config import set_fallback
from ..core.identity import Pin
from ..fake_provider import ScriptedProvider, only_keys, status, wrong_door
from ..sdk.api import Session
from .resume import SESSION
from .stage import Stage, counted, hosts, key_of, keys, many

_PIN = Pin.parse("mimo-plan/mimo-v2.5-pro")
_FALLBACK = Pin.parse("standby/north-mini")
_HEADER = "holdfast-fallback"
_RETURN_AFTER = 1.2
_LOOKS = 20
_NO_MONEY = "You exceeded your current quota, please check your plan and billing details."
_QUOTA = status(
    429,
    {
        "error": {
            "message": _NO_MONEY,
            "type": "insufficient_quota",
            "param": None,
            "code": "insufficient_quota",
        }
    },
)
_DOWN = status(
    500,
    {
        "error": {
            "message": "The server had an error while processing your request",
            "type": "server_error",
            "param": None,
            "code": None,
        }
    },
)


def play(stage: Stage) -> None:
    """Spend one key, switch, break the provider for a moment, and mistype its address."""
    show = stage.show
    intro = (
        "mimo-plan has two keys, and an address of its own: a plan's, not the maker's usual one. The "
        "usual one listens here too, as mimo-usual. Elsewhere, the first rotation moved the session "
        "there for ever: 404 page not found."
    )
    show.scene(1, "A rotation changes the key and nothing else", intro)
    plan = stage.provider(only_keys({key_of("second")}, otherwise=_QUOTA))
    usual = stage.provider(wrong_door())
    standby = stage.provider(only_keys({key_of("standby")}))
    stage.entry("mimo-plan", plan, ["first", "second"], [_PIN.model])
    stage.entry("mimo-usual", usual, ["usual"], [_PIN.model])
    stage.entry("standby", standby, ["standby"], [_FALLBACK.model])
    set_fallback(stage.home, _PIN, [_FALLBACK], f"{_RETURN_AFTER}s")
    before = stage.providers[0]
    visits = len(before.requests)

    session = stage.restart().session(SESSION)
    session.switch(_PIN)
    show.step("you", f"session.switch('{_PIN}')")
    reply = stage.ask(session)
    show.step("provider", stage.last_refusal(session))
    show.step("holdfast", f"{stage.explained(session, 0).what} The next key of mimo-plan is asked.")
    show.step(
        "stayed", f"provider, {plan.url}, model {reply.model}; answered after {reply.seconds * 1000:.0f} ms"
    )
    again = stage.ask(session)
    rotated = keys(plan.calls) == ["first", "second"]
    unmoved = reply.ok and again.ok and rotated and hosts(plan.calls) == {f"127.0.0.1:{plan.port}"}
    same = {(call.path, call.model) for call in plan.calls} == {("/v1/chat/completions", _PIN.model)}
    show.promise(
        "A spent key is replaced, and the address stays",
        unmoved and same and not usual.requests,
        f"{counted(plan.calls, 'mimo-plan')}, {len(usual.requests)} at the usual host",
    )
    foreign = set(keys(plan.calls)) - {"first", "second"}
    clean = len(before.requests) == visits and not foreign
    show.promise(
        "After a switch nothing of the old provider is left",
        clean,
        f"{many(len(before.requests) - visits, 'request')} at team-b's gateway, "
        f"{len(foreign)} of its keys at mimo-plan",
    )
    _fallback_answers(stage, session, plan, standby)
    _wrong_address(stage, plan, usual)


def _fallback_answers(
    stage: Stage, session: Session, plan: ScriptedProvider, standby: ScriptedProvider
) -> None:
    """Break the provider; the fallback that the user listed answers, labelled, and ends by itself."""
    show, before = stage.show, len(plan.calls)
    plan.follow(_DOWN)
    reply = stage.ask(session)
    tried = len(plan.calls) - before
    show.step("provider", f"{stage.last_refusal(session)}, {tried} times")
    show.step("holdfast", f"{stage.explained(session, 0).what} The user listed {_FALLBACK} as a fallback.")
    show.step("program", f"answered by {reply.model}, with the header {_HEADER}: {reply.labels.get(_HEADER)}")
    during = stage.ask(session)
    calm = len(plan.calls) - before == tried
    plan.follow(only_keys({key_of("second")}, otherwise=_QUOTA))
    time.sleep(_RETURN_AFTER)
    back = stage.ask(session)
    for _ in range(_LOOKS):
        if _HEADER not in back.labels:
            break
        time.sleep(0.1)
        back = stage.ask(session)
    show.step(
        "holdfast",
        f"after {_RETURN_AFTER} s (return_after) the choice is tested in the background, "
        f"and the next one is back on {back.labels.get('holdfast-pin')}",
    )
    last = plan.calls[-1]
    show.step(
        "stayed",
        f"the choice, all the time: {session.pin}; now again {plan.url}, "
        f"key '{back.labels.get('holdfast-key')}', model {back.model}",
    )
    labelled = reply.ok and during.ok and reply.labels.get(_HEADER) == str(_FALLBACK)
    separate = keys(standby.calls) == ["standby"] and {call.model for call in standby.calls} == {
        _FALLBACK.model
    }
    at_home = (last.key, last.model) == (key_of("second"), _PIN.model)
    whole = back.ok and _HEADER not in back.labels and at_home
    show.promise(
        "A fallback is the user's, labelled, and ends by itself",
        labelled and separate and whole and calm and tried <= 3,
        f"{many(tried, 'request')} at mimo-plan, {counted(standby.calls, 'standby')}, "
        "then key second at mimo-plan",
    )


def _wrong_address(stage: Stage, plan: ScriptedProvider, usual: ScriptedProvider) -> None:
    """Mistype the address: one request, an explanation with the right one, and no key is blamed."""
    show, before = stage.show, len(plan.calls)
    stage.move(plan, usual, ["first", "second"])
    session = stage.restart().session(SESSION)
    show.step("you", f"an editor puts the usual host into holdfast.toml: {usual.url}")
    reply = stage.ask(session)
    show.step("provider", stage.last_refusal(session))
    explanation = str(stage.explained(session))
    show.step("holdfast", explanation)
    stage.move(usual, plan, [])
    back = stage.ask(stage.restart().session(SESSION))
    show.step(
        "you",
        f"the address is corrected; the next request is answered by {back.model} "
        f"with key '{back.labels.get('holdfast-key')}'",
    )
    knew = plan.url in explanation and "holdfast.toml:" in explanation
    once = len(usual.calls) == 1 and len(plan.calls) - before == 1
    show.promise(
        "A wrong address is explained, not hammered",
        reply.status == 400 and knew and once and back.ok,
        f"{many(len(usual.calls), 'request')} at the wrong address, "
        f"{len(plan.calls) - before} at the right one after",
    )
