"""`holdfast status`: the gateways of this home, its keys and its store, as they are now."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import HoldfastError
from .context import CliContext
from .gateway_health import health_of
from .key_ends import ending
from .output import SETUP, clock, count, json_option, say, show_json, table
from .progress import waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..gateway.registry import RunningGateway

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@click.command()
@json_option
@click.pass_obj
def command(context: CliContext, as_json: bool) -> None:
    """Show the gateways of this home, its keys and its store.

    Each gateway is asked to prove that it is this home's, and whether it can serve; no token is shown to it.
    One that was killed is named until the next one starts. Keys are shown as they last worked: no provider is
    called.

    \b
    Example:
      holdfast status
    """
    from ..gateway.registry import listed

    gateways, killed = listed(context.home.state)
    now = time.time()
    keys, refusal = _keys(context)
    store = _store(context)
    with waiting("asking the gateways"):
        health = health_of(context, gateways, store["why"])
    if as_json:
        running = [
            asdict(gateway) | {"uptime": round(now - gateway.since, 1)} | asdict(answer)
            for gateway, answer in zip(gateways, health, strict=True)
        ]
        value: dict[str, Any] = {"gateways": running, "killed": [asdict(gateway) for gateway in killed]}
        ends = [{"what": soon.name, "at": soon.at, "run": soon.run} for soon in ending(context, now)]
        show_json(value | {"config": refusal, "keys": keys, "ends": ends, "store": store})
        return
    table(
        ("URL", "BY", "PROCESS", "VERSION", "WORKERS", "UP", "HEALTH", "WHY"),
        [
            (
                gateway.url,
                f"holdfast {gateway.kind}",
                str(gateway.pid),
                gateway.version,
                str(gateway.workers),
                _span(now - gateway.since),
                answer.health,
                answer.why,
            )
            for gateway, answer in zip(gateways, health, strict=True)
        ],
        empty="no gateway runs\n  run: holdfast serve",
    )
    _tell_killed(context, killed)
    say("")
    if refusal:
        say(f"wrong: {refusal}", "  run: holdfast doctor")
    else:
        table(
            ("PROVIDER", "KEY", "STATE", "WHY"),
            [(key["provider"], key["label"], key["state"], key["why"]) for key in keys],
            empty=f"no provider yet\n  run: {SETUP}",
        )
    say("")
    _tell_store(store)
    for soon in ending(context, now):
        say(f"note: {soon.what(now)}", f"  run: {soon.run}")


def _tell_killed(context: CliContext, killed: Sequence[RunningGateway]) -> None:
    """Name the gateways that were killed."""
    from ..gateway.process.log_file import default_log

    for gateway in killed:
        began = (
            f"{gateway.url} (process {gateway.pid}, version {gateway.version}), begun {clock(gateway.since)}"
        )
        say(f"note: holdfast {gateway.kind} at {began}, was killed, or its machine was restarted")
        if gateway.kind == "serve":
            say("  run: holdfast serve")
            if default_log(context.home.state).exists():
                say("  its last lines: holdfast logs")


def _keys(context: CliContext) -> tuple[list[dict[str, Any]], str]:
    """Return the state of every key, and why none is known: the configuration cannot be read."""
    from .key_history import History, standing

    try:
        providers = context.providers(None)
    except HoldfastError as error:
        return [], error.what.removesuffix(":")
    try:
        history = History.of(context)
    except HoldfastError:  # `_store` says why
        history = History.empty(context)
    keys: list[dict[str, Any]] = []
    for provider in providers:
        state = {"state": "not needed", "why": "", "until": None}
        if not provider.served():
            state |= {"state": "missing", "why": f"holdfast key add {provider.name}"}
        if not provider.keys:
            keys.append({"provider": provider.name, "label": ""} | state)
        keys += [
            {"provider": provider.name, "label": key.label}
            | standing(
                history.view(provider, key),
                [endpoint.url for endpoint in key.endpoints or provider.endpoints],
            )
            for key in provider.keys
        ]
    return keys, ""


def _store(context: CliContext) -> dict[str, Any]:
    """Return where the store is, how many sessions it holds, and why it cannot be read."""
    from ..store.opening import database
    from ..values.secret import without_user

    setting = context.setting
    file = database(setting, context.home.state)
    value: dict[str, Any] = {"at": str(file or without_user(setting)), "sessions": None, "why": "", "run": ""}
    try:
        value["sessions"] = sum(choice.sessions for choice in context.existing_store.choices())
    except HoldfastError as error:
        value["why"], value["run"] = error.what, error.next_step
    return value


def _tell_store(store: dict[str, Any]) -> None:
    """Say where the store is, and what is wrong with it."""
    if not store["why"]:
        say(f"store {store['at']}: {count(store['sessions'], 'session')}")
        return
    say(f"wrong: the store cannot be read: {store['why']}")
    if store["run"]:
        say(f"  run: {store['run']}")


def _span(seconds: float) -> str:
    """Return a time span for people, in its two largest units: `3 h 12 min`."""
    left, parts = max(0, int(seconds)), list[str]()
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        if number or (parts and len(parts) < 2) or (unit == "s" and not parts):
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2])
