"""The checks of `doctor` about gateways: the ones that run, the address where one would, and the programs
that are connected to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from .._files import quoted
from ..core.config import Config
from ..core.errors import ConfigError, HoldfastError
from .context import CliContext
from .doctor_files import Finding

if TYPE_CHECKING:
    from ..gateway.on_database import DatabaseGateway
    from ..gateway.registry import RunningGateway


def check_gateways(context: CliContext, config: Config | None, edit: str) -> Iterator[Finding]:
    """Check the gateways that run, and what `holdfast serve` would refuse. `edit` is the command that edits
    the configuration; `config` is None while it cannot be read."""
    from ..config.listen import Listen
    from ..gateway.on_database import gateways_on
    from ..gateway.registry import SERVE, listed

    gateways, killed = listed(context.home.state)
    for gateway in gateways:
        yield from _running(context, gateway)
    for gateway in killed:
        if gateway.kind == SERVE:
            name = f"holdfast serve at {gateway.url} (process {gateway.pid})"
            what = f"{name} was killed, or its machine was restarted"
            yield Finding("gateway", "note", what, "holdfast serve")
    if config is None:
        return
    if config.gateway.store.startswith("postgresql:"):
        with suppress(HoldfastError):  # `check_store` reports it
            others = [*gateways_on(context.existing_store)]
            here = {gateway.instance for gateway in gateways}
            yield from (on_database(other) for other in others if other.instance not in here)
    settings = config.gateway
    try:
        listen = Listen.parse(settings.listen)
        listen.check(public=settings.public)
    except ConfigError as error:
        yield Finding("gateway", "wrong", error.what, edit)
        return
    if listen.url not in [gateway.url for gateway in gateways if not gateway.draining]:
        yield _configured(context, listen.url, settings.listen)


def on_database(gateway: DatabaseGateway) -> Finding:
    """Check a gateway of another home that uses the same database: its clock, and its version."""
    from ..distribution import version
    from ..gateway.on_database import MOST_SKEW

    host = gateway.address.rpartition(":")[0]
    name = f"the gateway at {gateway.address} (process {gateway.pid}, version {gateway.version})"
    if abs(gateway.ahead) > MOST_SKEW:
        side = "behind"
        if gateway.ahead > 0:
            side = "ahead of"
        what = f"{name}: its clock is {abs(gateway.ahead):.0f} s {side} the database's"
        step = f"date   (on {host}; keep the clocks of all machines together: cooldowns are dated)"
        return Finding("gateway", "wrong", what, step)
    if gateway.version != version():
        what = f"{name} uses this database, and is of another version than this command, {version()}"
        return Finding("gateway", "note", what, f"holdfast serve --replace   (on {host}, once it is updated)")
    return Finding("gateway", "ok", f"{name} uses this database")


def _running(context: CliContext, gateway: RunningGateway) -> Iterator[Finding]:
    """Check a gateway that runs: whether it answers as ours, and is of this version."""
    from ..distribution import version
    from ..gateway.listener import Listener
    from ..gateway.registry import SERVE

    name = f"holdfast {gateway.kind} at {gateway.url} (process {gateway.pid}, version {gateway.version})"
    if gateway.draining:
        yield Finding("gateway", "ok", f"{name} ends when its running answers have")
        return
    if context.listener_at(gateway.url) is not Listener.OURS:
        what = f"{name} runs and does not answer at its address"
        yield Finding("gateway", "wrong", what, f"kill {gateway.pid}   (then: holdfast serve)")
        return
    if gateway.kind == SERVE and gateway.version != version():
        what = f"{name} is of another version than this command, {version()}"
        yield Finding("gateway", "note", what, f"holdfast serve --replace   (ends process {gateway.pid})")
        return
    yield Finding("gateway", "ok", f"{name} runs")


def _configured(context: CliContext, url: str, listen: str) -> Finding:
    """Check the address where `holdfast serve` would listen."""
    from ..gateway.listener import Listener

    listener = context.listener_at(url)
    if listener is Listener.NOBODY:
        return Finding("gateway", "ok", f"holdfast serve would listen on {listen}")
    if listener is Listener.OURS:  # a home that cannot be written does not list it
        return Finding("gateway", "ok", f"a gateway of this home answers at {url}")
    what = f"another program listens at {url}, where holdfast serve would: it is not the gateway of this home"
    return Finding("gateway", "wrong", what, "holdfast serve --listen 127.0.0.1:0   (any free port)")


def check_connected(context: CliContext) -> Iterator[Finding]:
    """Compare the programs that `connect` pointed to the gateway with what it wrote, and with what of their
    user's own settings wins over it."""
    from ..harness.own_settings import Effect
    from .connect import connected_programs

    for name, drifted, ways in connected_programs(context):
        wrong = [way for way in ways if way.effect is Effect.REFUSE]
        if drifted:
            step = f"holdfast connect {name}   (writes it again; holdfast disconnect {name} removes it)"
            yield Finding("connect", "wrong", drifted, step)
        elif not wrong:
            yield Finding("connect", "ok", f"{name} is connected to the gateway")
        for way in wrong:
            step = f"${{EDITOR:-vi}} {quoted(way.path or '')}"
            yield Finding("connect", "wrong", f"{name} does not use the gateway: {way.text}", step)
        for way in ways:
            if way not in wrong:
                yield Finding("connect", "note", f"{name}: {way.text}")
