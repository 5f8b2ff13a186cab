"""`holdfast check`: test a provider step by step, up to one small call. The key's evidence is stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..core.steps import Refused
from . import complete, siblings
from .check_calls import Step, calls
from .context import CliContext
from .endpoints import misplaced
from .output import if_any, json_option, say, show_json
from .pins import pins_of
from .progress import waiting
from .references import dotenv_step, in_this_shell, oddity_of

if TYPE_CHECKING:
    from ..core.identity import Dialect, Key, Pin, Provider

_NOTHING_THERE = (404, 405)
"""The statuses of a path that a server does not have."""


@click.command()
@click.argument("pin", metavar="PIN|PROVIDER", shell_complete=complete.pins_and_providers)
@click.option("--no-probe", is_flag=True, help="Do not ask the host which other dialects it speaks.")
@click.option(
    "--caps", is_flag=True, help="Find out, by some ten small calls of the model, what its endpoint takes."
)
@click.option("--yes", is_flag=True, help="Write what is found into holdfast.toml: endpoints, and caps.")
@json_option
@click.pass_context
def command(ctx: click.Context, pin: str, as_json: bool, no_probe: bool, caps: bool, yes: bool) -> None:
    """Test a provider/model with a small call in each of its dialects.

    Reads the keys, lists the models and makes the calls. Without a model there is none. A model that is
    served in one dialect may be missing in another: that is noted. If all is well, the host is asked at known
    paths for the dialects that the provider lacks, and if nothing is at the address, for the right one: these
    requests ask for no answer and cost nothing. A host that cannot be reached is asked once.

    Exit 1: a step failed. 3: the pin names no provider of yours. 4: the provider refused the call.

    \b
    Example:
      holdfast check mimo-plan/mimo-v2.5-pro
    """
    steps, good = list[Step](), False

    def tell(step: Step) -> None:
        steps.append(step)
        if not as_json:
            say(step.line)

    try:
        for step in steps_of(ctx.obj, pin):
            tell(step)
        if _passed(steps) and not no_probe:
            probe_dialects(ctx.obj, pin, tell, yes=yes, as_json=as_json)
        if _passed(steps) and caps:
            _caps(ctx.obj, pin, tell, yes=yes, as_json=as_json)
        good = _passed(steps)
    except Refused as refused:
        if no_probe:
            raise
        raise with_other_address(ctx.obj, pin, refused, tell) from None
    finally:
        if as_json:
            show_json({"subject": pin, "ok": good, "steps": [asdict(step) for step in steps]})
    ctx.exit(int(not good))


def _passed(steps: list[Step]) -> bool:
    return all(step.ok for step in steps)


def steps_of(context: CliContext, text: str) -> Iterator[Step]:
    """Yield the steps as they are done. Raises ConnectionLost, SecretMissing or Refused when one fails."""
    from ..core.identity import Pin

    pin = Pin.parse(text) if "/" in text else None
    provider = _resolved(context, pin, text)
    yield Step("resolve", ok=True, what=f"provider '{provider.name}', {', '.join(_places(provider))}")
    readable, reading = _read_keys(context, provider)
    yield from reading
    dialects = _asked(provider, readable)
    unreachable: dict[str, str] = {}
    for dialect in dialects:
        yield _listing(context, provider, dialect, readable=readable, pin=pin, unreachable=unreachable)
    if pin is None:
        yield Step(
            "call", ok=True, what=f"not made: a call needs a model (holdfast check {provider.name}/MODEL)"
        )
    else:
        yield from calls(context, provider, dialects, pin.model)


def probe_dialects(
    context: CliContext, text: str, tell: Callable[[Step], None], *, yes: bool, as_json: bool
) -> None:
    """Ask the host for the dialects that the provider lacks, and offer those that are found."""
    from ..core.identity import Pin

    pin = Pin.parse(text) if "/" in text else None
    provider = _resolved(context, pin, text)
    with waiting("asking the host for other dialects"):
        asked = [*siblings.asks(context, provider, provider.keys, pin.model if pin else "")]
    for line in siblings.summary_of(asked):
        tell(Step("probe", ok=True, what=line, note=True))
    for line in siblings.offer(context, provider, asked, yes=yes, ask=not as_json):
        tell(Step("probe", ok=True, what=line, note=True))


def with_other_address(
    context: CliContext, text: str, refused: Refused, tell: Callable[[Step], None]
) -> Refused:
    """Return the refusal of a call; where nothing of its dialect is at the address, and another address of
    the host speaks it, with the command that takes that one."""
    from ..core.faults import FaultClass
    from ..core.identity import Pin

    if refused.fault.kind is not FaultClass.ENDPOINT_MISMATCH or refused.fault.status not in _NOTHING_THERE:
        return refused
    pin = Pin.parse(text)
    provider = _resolved(context, pin, text)
    with waiting("asking the host for the right address"):
        asked = [*siblings.asks_instead(context, provider, provider.keys, pin.model)]
    command = siblings.command_instead(provider, asked)
    if not command:
        return refused
    for line in siblings.summary_of(asked):
        tell(Step("probe", ok=True, what=line, note=True))
    what = re.sub(r"Next: [^\n]*\Z", "Next: Give it the address that answers:", refused.what)
    return type(refused)(what, fault=refused.fault, attempts=refused.attempts, next_step=command)


def _caps(context: CliContext, text: str, tell: Callable[[Step], None], *, yes: bool, as_json: bool) -> None:
    """Find out what the endpoint takes. Raises ConfigError without a model."""
    from ..core.errors import ConfigError
    from ..core.identity import Pin
    from .check_caps import caps_steps

    if "/" not in text:
        step = f"holdfast check {text}/MODEL --caps"
        raise ConfigError("what an endpoint takes is found out with a model", next_step=step)
    pin = Pin.parse(text)
    provider = _resolved(context, pin, text)
    for ok, line in caps_steps(context, provider, pin, yes=yes, ask=not as_json):
        tell(Step("caps", ok=ok, what=line, note=ok))


def _asked(provider: Provider, readable: list[Key]) -> list[Dialect]:
    """Return the dialects that the provider serves with a key that can be read, or without any."""
    return [
        dialect
        for dialect in provider.served()
        if provider.takes_no_key(dialect) or any(key in readable for key in provider.keys_for(dialect))
    ]


def _places(provider: Provider) -> Iterator[str]:
    """Yield the address of each dialect, and those where single keys are used instead."""
    unbound = any(not key.endpoints for key in provider.keys)
    for endpoint in provider.endpoints:
        if unbound or provider.takes_no_key(endpoint.dialect) or not provider.served():
            yield f"{endpoint.dialect} at {endpoint.url}"
        else:
            yield f"{endpoint.dialect} at {endpoint.url} (without a key)"
    for key in provider.keys:
        for endpoint in key.endpoints:
            yield f"{endpoint.dialect} with key '{key.label}' at {endpoint.url}"


def _resolved(context: CliContext, pin: Pin | None, text: str) -> Provider:
    """Return the provider that a pin or a name means. Raises ConnectionLost with the nearest name."""
    from ..core.config import near
    from ..core.errors import ConnectionLost
    from ..core.identity import ProviderName
    from ..core.routing import provider_of
    from ..engine.candidates import with_candidates

    if pin is not None:
        try:
            return provider_of(context.config, pin)
        except ConnectionLost as lost:
            raise with_candidates(context.config, lost, pin, context.existing_store) from None
    provider = context.config.providers.get(ProviderName(text))
    if provider is None:
        raise ConnectionLost(
            f"no provider is called '{text}': {near(text, context.config.providers)}",
            candidates=pins_of(context, text),
            next_step="holdfast provider list",
        )
    return provider


def _read_keys(context: CliContext, provider: Provider) -> tuple[list[Key], list[Step]]:
    """Return the keys that can be read, and a step for each. Raises SecretMissing when no key can be read."""
    from ..core.errors import ConfigError, SecretMissing

    readable, steps, missing = [], [], []
    for key in provider.keys:
        try:
            secret = context.vault.secret(key)
        except SecretMissing as error:
            missing.append(error)
            steps.append(_key_step(key, f"cannot be read: {'; '.join(error.tried)}", ok=False))
            continue
        readable.append(key)
        origin = key.ref.partition(":")[0]
        steps.append(_key_step(key, f"{secret} from {origin}:{in_this_shell(key.ref)}"))
        odd = oddity_of(secret)
        if odd:
            steps.append(_key_step(key, odd, note=True))
        wrong = misplaced(context, provider, key)
        if wrong is not None:
            step = ""
            if wrong.owners:
                step = f" ({wrong.command(key.ref)})"
            steps.append(_key_step(key, f"may be in the wrong place: {wrong.what}{step}", note=True))
    if missing and not readable:
        raise SecretMissing(
            missing[0].what,
            tried=missing[0].tried,
            next_step=dotenv_step(provider.keys) or missing[0].next_step,
        )
    if not provider.served():
        raise ConfigError(
            f"provider '{provider.name}' has no key",
            next_step=f"holdfast key add {provider.name} --from env:VARIABLE",
        )
    return readable, steps


def _key_step(key: Key, text: str, *, ok: bool = True, note: bool = False) -> Step:
    return Step("key", ok=ok, what=f"'{key.label}' {text}", note=note)


def _listing(
    context: CliContext,
    provider: Provider,
    dialect: Dialect,
    *,
    readable: list[Key],
    pin: Pin | None,
    unreachable: dict[str, str],
) -> Step:
    """List the models of one dialect, and look for the pin's among them. A host that cannot be reached is
    asked once: `unreachable` has the origins of those, and why."""
    from ..core.errors import HoldfastError
    from ..engine import model_lists

    endpoint = model_lists.listing_connection(provider, dialect, readable).endpoint
    if endpoint.origin in unreachable:
        what = f"{dialect}: not asked: {endpoint.host}: {unreachable[endpoint.origin]}"
        return Step("models", ok=pin is not None, what=what, note=pin is not None)
    try:
        with waiting(f"listing the models of {provider.name} in {dialect}"):
            listed = model_lists.refresh(
                context.vault,
                lambda: context.store,
                provider,
                dialect,
                readable=readable,
                own_profiles=context.home.profiles,
                unreachable=lambda why: unreachable.setdefault(endpoint.origin, why),
            )
    except HoldfastError as error:
        # Many endpoints have no list. That says nothing about a key, and for a pin the call decides.
        return Step("models", ok=pin is not None, what=f"{dialect}: {error.what}", note=pin is not None)
    what = f"{dialect}: {len(listed)} listed"
    if pin is not None:
        what += _about_model(pin.model, tuple(listed))
    return Step("models", ok=True, what=what)


def _about_model(model: str, listed: tuple[str, ...]) -> str:
    """Return the words about a model of which a list was asked for."""
    from difflib import get_close_matches

    if model in listed:
        return f", '{model}' is one of them"
    near = ", ".join(get_close_matches(model, listed, n=3))
    return f", '{model}' is not one of them{if_any('; similar: {}', near)}"
