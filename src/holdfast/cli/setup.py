"""`holdfast setup`: from an address and a key to a provider that has answered, in one command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .check import probe_dialects, steps_of, with_other_address
from .context import CliContext
from .known_provider import Address, misplaced_keys, of_this_name, provider_at
from .model_limits import limit_options, with_limits
from .models import known_models
from .new_provider import check_given
from .output import command_of, note, say, some_of
from .setup_questions import asked_for_address, asked_for_key, asked_for_model

if TYPE_CHECKING:
    from ..core.identity import Provider


@click.command()
@click.option("--url", help="The provider's base URL.")
@click.option("--preset", help="A known provider.", shell_complete=complete.presets)
@click.option("--dialect", help="The dialect of --url: openai-chat is the default.")
@click.option("--auth", help="How a key is sent: bearer (the default), x-api-key, api-key, or none.")
@click.option("--name", help="What the provider is called. Default: the name of its preset or host.")
@click.option(
    "--key", "keys", multiple=True, metavar="REF", help="A key, such as env:MY_KEY; may be repeated."
)
@click.option("--model", help="The model to call, and to offer the agents.")
@limit_options
@click.pass_context
def command(ctx: click.Context, /, keys: Sequence[str], model: str | None, **given: Any) -> None:
    """Set up a provider, and make one call that proves it.

    In a terminal it asks for what is not given, with lists that typing filters, and the host for the dialects
    that the provider lacks; without one it never asks. A key that is typed is stored in secrets.toml (mode
    0600). A provider with this address, or of this --name where no address is given, is completed, not added
    twice.

    Exit 1: a step failed. 4: the provider refused the call. What was written stays.

    \b
    Example:
      holdfast setup
      holdfast setup --url https://token-plan-cn.xiaomimimo.com/v1 --key env:MIMO_KEY --model mimo-v2.5-pro
      holdfast setup --url http://127.0.0.1:8080/v1 --auth none --model big --context 131072 --output 16384
    """
    from ..config import schema_file

    context: CliContext = ctx.obj
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    models = with_limits([model] if model else (), given, "holdfast setup --model MODEL --context TOKENS")
    address = _address(context, Address(*(given[field] for field in Address.__slots__)), asks=asks)
    check_given("holdfast setup", "", keys, {**_given(address), "model": model})
    keys = keys or _usual_key(address)
    if not asks and of_this_name(context.config, address) is None:
        _check_key(address, keys, model)
    is_new = not context.home.config.exists()
    provider, lines = provider_at(context, address, keys, models)
    if is_new:
        schema_file.put(context.home)
    say(*lines)
    if not provider.served():
        provider = asked_for_key(context, provider)
    wrong = misplaced_keys(context, provider)
    if wrong:  # no key goes anywhere until its user has looked at this
        say(*wrong)
        ctx.exit(1)
    ctx.exit(_proved(context, provider, model, asks=asks))


def _address(context: CliContext, given: Address, *, asks: bool) -> Address:
    """Return the address that is given, perhaps by the name of a provider alone, else asked for. Raises
    ConfigError without a terminal."""
    from ..core.errors import ConfigError

    if given.url or given.preset or of_this_name(context.config, given) is not None:
        return given
    if not asks:
        step = "holdfast setup --url URL --key env:VARIABLE --model MODEL"
        raise ConfigError("no provider is given, and there is no terminal to ask on", next_step=step)
    return asked_for_address(given, os.environ)


def _usual_key(address: Address) -> tuple[str, ...]:
    """Return the reference of a preset's key where its variable is set. To a URL that the user gives, no key
    goes that is not named."""
    from ..providers import presets

    if address.preset is None or address.url is not None:
        return ()
    presets.find(address.preset)
    variable = presets.filled(os.environ).get(address.preset)
    return () if variable is None else (f"env:{variable}",)


def _given(address: Address) -> dict[str, str]:
    """Return the options that give this address."""
    return {**asdict(address)}


def _check_key(address: Address, keys: Sequence[str], model: str | None) -> None:
    """Raise ConfigError where a key is needed and none is given: there is no terminal to ask on."""
    from ..core.errors import ConfigError
    from ..providers import presets
    from ..values.addresses import is_loopback

    takes_none = address.auth == "none"
    if address.preset is not None:
        takes_none = presets.find(address.preset).get("auth") == "none"
    if keys or takes_none:
        return
    more, otherwise = {"key": "env:VARIABLE"}, "--auth none"
    if (
        address.url and address.preset is None and is_loopback(address.url)
    ):  # most servers on this machine take none
        more, otherwise = {"auth": "none"}, "--key env:VARIABLE"
    step = (
        f"{command_of('holdfast setup', '', {**_given(address), 'model': model, **more})}   (or {otherwise})"
    )
    raise ConfigError("no key is given, and there is no terminal to ask on", next_step=step)


def _proved(context: CliContext, provider: Provider, model: str | None, *, asks: bool) -> int:
    """Test the provider step by step, choosing a model that it lists. Return the exit code."""
    listed: list[str] = []
    if model is None:
        if not _checked(context, provider.name):
            say(f"  run: holdfast check {provider.name}   (once its server answers)")
            return 1
        listed = [*known_models(context, provider)]
        if asks:
            model = asked_for_model(provider, listed)
    if model is None:
        if listed:
            say(f"  its models: {some_of(listed)}")
        say(f"  then: holdfast run claude --pin {provider.name}/MODEL")
        return 0
    pin = f"{provider.name}/{model}"
    if not _checked(context, pin):
        return 1
    if asks:
        probe_dialects(context, pin, lambda step: say(step.line), yes=False, as_json=False)
    say("", *_next(pin))
    return 0


def _checked(context: CliContext, subject: str) -> bool:
    """Print the steps of a check as they are done. Return whether all went well; where one dialect answers,
    another that refused is told. Raises Refused where none answers."""
    from ..core.steps import Refused

    good, answered = True, False
    try:
        for step in steps_of(context, subject):
            say(step.line)
            answered |= step.ok and not step.note and step.step == "call"
            good &= step.ok or step.step == "call"
    except Refused as refused:
        if not answered:
            raise with_other_address(context, subject, refused, lambda step: say(step.line)) from None
        note(refused.message(f"holdfast check {subject}"))
    return good


def _next(pin: str) -> list[str]:
    """Return the lines that say how installed agents are run on a pin."""
    import shutil

    from ..harness import HARNESSES

    installed = [
        known for known in HARNESSES.values() if not known.no_plan and shutil.which(known.executable)
    ]
    lines = [f"  holdfast run {agent.name} --pin {pin}   ({agent.title})" for agent in installed]
    if not lines:
        once = "once Claude Code is installed; others: holdfast run --list"
        lines = [f"  holdfast run claude --pin {pin}   ({once})"]
    return ["Ready. An agent is run on it by:", *lines, f"  holdfast session pin SESSION {pin}"]
