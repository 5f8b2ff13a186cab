"""The listening sockets of a gateway that starts: passed on by systemd, taken over from the gateway that it
replaces, or bound here."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...config.listen import Listen
from ...core.config import GatewaySettings
from ...core.errors import ConfigError
from ..registry import standing
from .activation import address_of, passed_sockets
from .handover import Predecessor, find_predecessor
from .listen import allow_many, bind
from .worker import Options


class Listening(NamedTuple):
    """The address, its sockets, and the gateway from which they were taken over."""

    listen: Listen
    sockets: Sequence[socket.socket]
    predecessor: Predecessor | None = None

    def for_worker(self, number: int, workers: int) -> Sequence[socket.socket]:
        """Return the sockets of a worker. Each socket has one worker at least: what it queues is served."""
        if len(self.sockets) < workers:
            return [self.sockets[number % len(self.sockets)]]
        return self.sockets[number::workers]


def listening_sockets(options: Options, settings: GatewaySettings, state: Path) -> Listening:
    """Return the listening sockets of a gateway of the home whose directory of state is `state`. Raises
    ConfigError."""
    allow_many()
    public = options.public or settings.public
    passed = passed_sockets(os.environ)
    if passed:
        if options.listen or options.replace:
            raise ConfigError(
                "systemd passed on the sockets to listen on, so --listen and --replace mean nothing here",
                next_step="systemctl edit --full holdfast.service   (remove them from ExecStart=)",
            )
        for sock in passed:
            address_of(sock).check(public=public)
        return Listening(address_of(passed[0]), passed)
    listen = Listen.parse(options.listen or settings.listen)
    if options.replace:
        only = bool(options.listen and listen.port)
        predecessor = find_predecessor(state, listen.url, only=only)
        if predecessor is not None:
            predecessor.listen.check(public=public)
            return Listening(predecessor.listen, predecessor.sockets, predecessor)
    listen.check(public=public)
    try:
        sockets = bind(listen, options.workers)
    except ConfigError as error:
        raise _with_its_holder(error, listen, state) from None
    return Listening(listen._replace(port=sockets[0].getsockname()[1]), sockets)


def _with_its_holder(error: ConfigError, listen: Listen, state: Path) -> ConfigError:
    """Return the error about an address that cannot be listened on; where a gateway of this home has it, with
    the command that takes its place."""
    for gateway in standing(state):
        if gateway.url == listen.url:
            return ConfigError(
                f"cannot listen on {listen.host}:{listen.port}: the port is taken by a gateway of this home, "
                f"process {gateway.pid}",
                next_step="holdfast status   (shows it; holdfast serve --replace takes its place)",
            )
    return error
