"""`holdfast check`: the way to a provider, step by step, up to one cheap real call. What it teaches about a key is remembered."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from . import complete
from .opened import Opened
from .output import json_option, say, show_json

if TYPE_CHECKING:
    from ..core.identity import Connection, Dialect, Key, Pin, Provider
    from ..core.steps import Outcome
    from ..engine import Engine
    from ..exchange import Exchange
    from ..http.probe import Checked

_ANY_MODEL = "any"
"""Stands in a connection that only lists models; it is never sent."""
_ASK_AGAIN = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way, in order."""

    step: str
    ok: bool
    what: str


@click.command()
@click.argument("pin", metavar="PIN|PROVIDER", shell_complete=complete.pins_and_providers)
@json_option
@click.pass_context
def command(ctx: click.Context, pin: str, as_json: bool) -> None:
    """Check a pin, step by step, up to one cheap real call.

    It is resolved, its keys are read, the models are listed, one is called. A provider alone is checked without the call.

    Exit 1: a step failed. 3: the pin names no provider of yours. 4: the provider refused the call.

    \b
    Example:
      holdfast check mimo-plan/mimo-v2.5-pro
    """
    steps: list[Step] = []
    try:
        for step in _steps(ctx.obj, pin):
            steps.append(step)
            if not as_json:
                say(f"{'ok   ' if step.ok else 'wrong'}  {step.step:<7}  {step.what}")
    finally:
        if as_json:
            show_json({"subject": pin, "ok": all(one.ok for one in steps), "steps": [asdict(one) for one in steps]})
    ctx.exit(0 if all(one.ok for one in steps) else 1)


def _steps(opened: Opened, text: str) -> Iterator[Step]:
    """The steps as they are done. Raises ConnectionLost, SecretMissing or Refused where the way ends."""
    from ..core.identity import Pin

    pin = Pin.parse(text) if "/" in text else None
    provider = _resolved(opened, pin, text)
    yield Step("resolve", ok=True, what=f"provider '{provider.name}'" + "".join(f", {one.dialect} at {one.url}" for one in provider.endpoints))
    readable, reading = _read_keys(opened, provider)
    yield from reading
    for dialect in provider.dialects:
        yield _listing(opened, provider, dialect, readable, pin)
    if pin is None:
        yield Step("call", ok=True, what=f"not made: a call needs a model (holdfast check {provider.name}/MODEL)")
    else:
        yield from _call(opened, provider, pin)


def _resolved(opened: Opened, pin: Pin | None, text: str) -> Provider:
    from ..core.config import near
    from ..core.errors import ConnectionLost
    from ..core.identity import ProviderName
    from ..core.resolve import provider_of

    if pin is not None:
        return provider_of(opened.config, pin)
    found = opened.config.providers.get(ProviderName(text))
    if found is None:
        raise ConnectionLost(f"no provider is called '{text}': {near(text, opened.config.providers)}", next_step="holdfast provider list")
    return found


def _read_keys(opened: Opened, provider: Provider) -> tuple[list[Key], list[Step]]:
    """The keys that can be read, and a step for each. Raises SecretMissing when there is none that can be."""
    from ..core.errors import ConfigError, SecretMissing

    readable, steps, missing = [], [], []
    for key in provider.keys:
        try:
            secret = opened.vault.secret(key)
        except SecretMissing as error:
            missing.append(error)
            steps.append(Step("key", ok=False, what=f"'{key.label}' cannot be read: {'; '.join(error.tried)}"))
        else:
            readable.append(key)
            steps.append(Step("key", ok=True, what=f"'{key.label}' {secret} from {key.ref.partition(':')[0]}:"))
    if missing and not readable:
        raise missing[0]
    if not provider.keys and not any(provider.takes_no_key(dialect) for dialect in provider.dialects):
        raise ConfigError(f"provider '{provider.name}' has no key", next_step=f"holdfast key add {provider.name} --from env:VARIABLE")
    return readable, steps


def _listing(opened: Opened, provider: Provider, dialect: Dialect, readable: list[Key], pin: Pin | None) -> Step:
    from difflib import get_close_matches

    from ..core.errors import HoldfastError

    try:
        listed = list_models(opened, provider, dialect, readable)
    except HoldfastError as error:
        # Many endpoints have no list. It says nothing about a key, and for a pin the call decides.
        return Step("models", ok=pin is not None, what=f"{dialect}: {error.what}")
    if pin is None or pin.model in listed:
        return Step("models", ok=True, what=f"{dialect}: {len(listed)} listed" + (f", '{pin.model}' is one of them" if pin is not None else ""))
    near = get_close_matches(pin.model, listed, n=3)
    return Step("models", ok=True, what=f"{dialect}: {len(listed)} listed, '{pin.model}' is not one of them" + (f"; near: {', '.join(near)}" if near else ""))


def list_models(opened: Opened, provider: Provider, dialect: Dialect, readable: list[Key] | None = None) -> tuple[str, ...]:
    """Ask an endpoint for its models, and remember them. Raises HoldfastError when it gives none; no key is blamed for that."""
    from ..core.errors import HoldfastError
    from ..core.faults import Reply, classify
    from ..core.identity import Connection
    from ..http import probe
    from ..profiles import load

    usable = provider.keys_for(dialect)
    keys: list[Key | None] = [None] if provider.takes_no_key(dialect) else [key for key in usable if readable is None or key in readable]
    connection = Connection(provider, dialect, keys[0] if keys else None, _ANY_MODEL)
    secret = opened.vault.secret(connection.key) if connection.key is not None else None
    listed = probe.list_models(connection, secret)
    if isinstance(listed, Reply):
        fault = classify(listed, load(provider.profile), now=time.time())
        status = f" (HTTP {fault.status})" if fault.status is not None else ""
        what = f"{connection.endpoint.host} listed no models: {fault.kind}{status} {fault.excerpt}"
        raise HoldfastError(what.rstrip(), next_step=f"holdfast check {provider.name}")
    opened.store.save_models(provider.name, connection.endpoint.url, listed, opened.store.now())
    return listed


def _call(opened: Opened, provider: Provider, pin: Pin) -> Iterator[Step]:
    """One real call, with the recovery that every request has, on this pin alone. Raises Refused."""
    from ..core.errors import Refused
    from ..core.handover import confirm_model
    from ..runtime import open as open_home

    with open_home(store=opened.store, vault=opened.vault) as holdfast:
        exchange, outcome, answer = _exchange(holdfast.engine, provider, pin)
        if outcome.fault is not None:
            told = exchange.explanation()
            yield Step("call", ok=False, what=f"{outcome.fault.kind}, request {exchange.call.request_id}")
            lines = (told.what, told.where, f"Tried: {told.tried}", told.said, f"Next: {told.advice}:")
            raise Refused("\n  ".join(line for line in lines if line), fault=outcome.fault, attempts=outcome.attempts, next_step=told.command)
    key = outcome.connection.key
    with_key = f" with key '{key.label}'" if key is not None else ""
    asked = f"after {len(outcome.attempts)} requests, " if len(outcome.attempts) > 1 else ""
    yield Step("call", ok=True, what=f"{asked}{outcome.connection.dialect} answered in {answer.seconds:.1f} s{with_key}, request {exchange.call.request_id}")
    if (dropped := confirm_model(outcome.connection, answer.model)) is not None:
        yield Step("model", ok=False, what=dropped.what)


def _exchange(engine: Engine, provider: Provider, pin: Pin) -> tuple[Exchange, Outcome, Checked]:
    """Drive one exchange without session and ladder: nothing may stand in for what is being checked."""
    from ..core.identity import Lane
    from ..core.steps import Call, Send
    from ..exchange import Exchange
    from ..http.probe import Checked

    engine.catch_up()
    call = Call(secrets.token_hex(8), "", Lane.build(provider, provider.dialects[0], pin.model), limits=engine.config().settings)
    exchange = Exchange(engine, call, pin, engine.store.now())
    answer = Checked("", 0.0)
    try:
        while (step := exchange.step) is not None:
            if isinstance(step, Send):
                time.sleep(step.after)
                answer = _send(exchange, step.connection) or answer
            elif not exchange.perform():
                time.sleep(_ASK_AGAIN)
    except BaseException:
        exchange.abandon()
        raise
    if exchange.outcome is None:
        raise RuntimeError("an exchange without a next step has no outcome")
    return exchange, exchange.outcome, answer


def _send(exchange: Exchange, connection: Connection) -> Checked | None:
    """Take a Send and report what came of it; the answer, if it was good."""
    from ..core.errors import SecretMissing
    from ..core.faults import Phase, Reply
    from ..core.steps import Answer
    from ..http.probe import check_call

    got: Checked | Reply
    sent_at = exchange.now()
    try:
        secret = exchange.secret(connection)
    except SecretMissing as missing:
        got = Reply(None, body=f"SecretMissing: {missing}".encode(), phase=Phase.UNSENT, request_written=False)
    else:
        got = check_call(connection, secret, exchange.engine.profile(connection))
    if isinstance(got, Reply):
        exchange.answer(Answer(exchange.now(), got, sent_at=sent_at))
        return None
    exchange.answer(Answer(exchange.now(), sent_at=sent_at))
    exchange.stream_ended(None, got.model)
    return got
