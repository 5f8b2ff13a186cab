"""The gateways of a home that run now: the one owner of that fact, which every command asks.

Each gateway has a file in the home, which it keeps locked as long as it lives. The system ends the lock
with the process, however that ends: a file without a lock is what a killed gateway left, whoever has its
process id now. It stays, to be told of, until the next gateway of its kind starts.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from .._files import make_private_directory, open_lock, take_lock
from ..core.errors import ConfigError
from ..distribution import version

_ID_BYTES = 8
_LONGEST_ENTRY = 4096
_TRIES, _PAUSE = 100, 0.01
SERVE, RUN = "serve", "run"
"""The kinds of gateways: of `holdfast serve`, and of `holdfast run`."""


@dataclass(frozen=True, slots=True)
class RunningGateway:
    """A gateway that runs: its id, its root URL, the process that answers for it, its version, its kind and
    when it began (epoch seconds). `draining`: it accepts nothing more and lets running answers end.
    `workers`: its processes that serve."""

    instance: str
    url: str
    pid: int
    version: str
    kind: str
    since: float
    draining: bool = False
    workers: int = 1


class Publish(Protocol):
    """Lists a gateway as one of the process that calls it."""

    def __call__(self, *, draining: bool = False) -> None: ...


def new_instance() -> str:
    """Return the id of a new gateway."""
    return secrets.token_hex(_ID_BYTES)


def directory_of(state: Path) -> Path:
    """Return the directory of the files, below a home's directory of state."""
    return state / "gateways"


def handover_socket(state: Path, instance: str) -> Path:
    """Return the Unix socket at which a gateway waits for its replacement."""
    return directory_of(state) / f"{instance}.sock"


@contextmanager
def registered(state: Path, instance: str, url: str, kind: str) -> Iterator[None]:
    """List a gateway of this process as long as the block runs. Where the home cannot be written, it serves
    without being listed."""
    with prepared(state, instance, url, kind) as publish:
        publish()
        yield


@contextmanager
def prepared(state: Path, instance: str, url: str, kind: str, *, workers: int = 1) -> Iterator[Publish]:
    """Prepare to list a gateway, until the end of the block, and forget those of its kind that were killed.
    The function that it gives lists it, as the gateway of the process that calls it.

    Where this process is killed, the gateway is listed as long as a process lives that was forked meanwhile.
    """
    handle, since = -1, time.time()
    path = directory_of(state) / f"{instance}.json"
    with suppress(OSError, ConfigError):
        make_private_directory(path.parent)
        _forget_killed(state, kind)
        handle = _locked(path)

    def publish(*, draining: bool = False) -> None:
        entry = RunningGateway(
            instance=instance,
            url=url,
            pid=os.getpid(),
            version=version(),
            kind=kind,
            since=since,
            draining=draining,
            workers=workers,
        )
        if handle >= 0:
            with suppress(OSError):
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps(asdict(entry)).encode(), 0)

    try:
        yield publish
    finally:
        if handle >= 0:
            with suppress(OSError):
                path.unlink()
            os.close(handle)


def running(state: Path) -> list[RunningGateway]:
    """Return the gateways of a home that run now, the oldest first."""
    return listed(state)[0]


def listed(state: Path) -> tuple[list[RunningGateway], list[RunningGateway]]:
    """Return the gateways of a home that run now, and those that were killed; the oldest first."""
    run, killed = list[RunningGateway](), list[RunningGateway]()
    for path in directory_of(state).glob("*.json"):
        with suppress(OSError):
            entry, lives = _read(path)
            if entry is not None:
                (run if lives else killed).append(entry)
    return sorted(run, key=_age), sorted(killed, key=_age)


def _age(entry: RunningGateway) -> float:
    return entry.since


def standing(state: Path) -> list[RunningGateway]:
    """Return the gateways that `holdfast serve` started and that run now, the oldest first."""
    return [entry for entry in running(state) if entry.kind == SERVE]


def root_url(gateways: Sequence[RunningGateway], configured: str) -> str:
    """Return the root URL for clients: of the gateway at the configured address, else of the only one that
    runs; the configured one where none runs. Raises ConfigError where several run elsewhere."""
    urls = list(dict.fromkeys(entry.url for entry in gateways))
    if configured in urls or not urls:
        return configured
    if len(urls) == 1:
        return urls[0]
    raise ConfigError(
        f"several gateways run, and none at {configured}, where the configuration says",
        details=[f"it could be {url}" for url in urls],
        next_step="holdfast status   (lists them; stop all but one, or set [gateway] listen)",
    )


def _locked(path: Path) -> int:
    """Open and lock a new file. Another gateway that starts may take it for a dead one's and remove it, and a
    reader has its lock for a moment."""
    for _ in range(_TRIES):
        handle = open_lock(path)
        with suppress(OSError):
            if take_lock(handle) and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        os.close(handle)
        time.sleep(_PAUSE)
    raise ConfigError(f"cannot lock {path}")


def _read(path: Path) -> tuple[RunningGateway | None, bool]:
    """Return the gateway of a file, None where it is not written yet or not ours, and whether it lives.
    Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        lives, entry = not take_lock(handle, shared=True), None
        with suppress(ValueError, TypeError):
            entry = RunningGateway(**json.loads(os.pread(handle, _LONGEST_ENTRY, 0)))
        return entry, lives
    finally:
        os.close(handle)


def _forget_killed(state: Path, kind: str) -> None:
    """Remove the files of the gateways that were killed: of this kind, and before they could say theirs."""
    for path in directory_of(state).glob("*.json"):
        with suppress(OSError):
            entry, lives = _read(path)
            if not lives and (entry is None or entry.kind == kind):
                path.unlink()
                path.with_suffix(".sock").unlink(missing_ok=True)
