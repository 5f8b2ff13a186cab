"""Whether a gateway that is listed serves, as it says itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..gateway.registry import RunningGateway
    from .context import CliContext

_AT_ONCE = 16
"""Gateways that are asked at the same time."""


@dataclass(frozen=True, slots=True)
class Health:
    """`health` is ready, not ready, ending, or no proof; `why` the reason where it is not ready. `proved`: it
    proved to be this home's gateway."""

    health: str
    why: str = ""
    proved: bool = False


def health_of(context: CliContext, gateways: Sequence[RunningGateway], store: str) -> list[Health]:
    """Ask each gateway, all at the same time. `store` says why the store cannot be read from here."""
    from concurrent.futures import ThreadPoolExecutor

    if not gateways:
        return []
    key = context.proof_key
    with ThreadPoolExecutor(min(len(gateways), _AT_ONCE)) as threads:
        return list(threads.map(lambda gateway: _asked(gateway, key, store), gateways))


def _asked(gateway: RunningGateway, key: bytes, store: str) -> Health:
    from ..gateway.listener import Listener, readiness_of, who_listens

    if gateway.draining:
        return Health("ending", "it lets its running answers end")
    listener = who_listens(gateway.url, key)
    if listener is Listener.NOBODY:
        return Health("no proof", "nobody listens at its address")
    if listener is Listener.STRANGER:
        return Health("no proof", f"process {gateway.pid} hangs, or another program has its address")
    status = readiness_of(gateway.url)
    if status == 200:
        return Health("ready", proved=True)
    if status:
        return Health("not ready", store or "its store is away", proved=True)
    return Health("not ready", "it does not answer in time", proved=True)
