"""Opens the connections on which keys leave: those of the library and of our own calls.

A name is resolved once, and what it resolved to is judged and dialled: no second answer of a name server can
put another address in its place. `permitted` asks the rule; the gateway's own dial asks it through this too.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from ..values.addresses import is_this_machine, may_be_dialled
from ..wire.time_limits import within_deadline

_HEAD_START = 0.25
"""Seconds before the next address is tried as well."""


def permitted(host: str, resolved: Sequence[Any]) -> list[Any]:
    """Return those of a host's addresses, as rows of `getaddrinfo`, that may be dialled. Raises OSError where
    there is none."""
    rows = [row for row in resolved if may_be_dialled(host, row[4][0])]
    if rows:
        return rows
    if is_this_machine(host):
        raise OSError(f"address refused: {host} does not resolve to this machine")
    raise OSError(
        f"address refused: {host} is a link-local, metadata or unspecified address, which no provider has"
    )


def reach(host: str, port: int, seconds: float) -> socket.socket:
    """Return a connection to the first address of a host that takes one, each within `seconds`. Raises
    OSError."""
    last = OSError(f"{host} has no address")
    for address in _resolved(host, port):
        try:
            return socket.create_connection((address, port), seconds)
        except OSError as error:
            last = error
    raise last


def _resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host that may be dialled. Raises OSError."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host} is not the name of a host") from error
    return [row[4][0] for row in permitted(host, rows)]


class Dialler:
    """Opens blocking streams for a pool of the core library `core`."""

    def __init__(self, core: Any) -> None:
        self._core, self._backend = core, core.SyncBackend()

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        """Return a stream to the first address that takes a connection. Raises the core library's errors."""
        last: Exception = self._core.ConnectError(f"{host} has no address")
        try:
            addresses = _resolved(host, port)
        except OSError as error:
            raise self._core.ConnectError(str(error)) from error
        for address in addresses:
            try:
                return self._backend.connect_tcp(address, port, within_deadline(timeout), **options)
            except (self._core.ConnectError, self._core.ConnectTimeout) as error:
                last = error
        raise last


class AsyncDialler:
    """Opens streams on asyncio's loop or on trio's."""

    def __init__(self, core: Any) -> None:
        self._core, self._backend = core, core.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the pool calls it so
        **options: Any,
    ) -> Any:
        """Return a stream to the first address that takes a connection; each has a small start over the next
        one. Raises the core library's errors."""
        import anyio

        try:
            with anyio.fail_after(timeout):
                rows = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                addresses = [row[4][0] for row in permitted(host, rows)]
        except TimeoutError as error:
            raise self._core.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise self._core.ConnectError(str(error)) from error
        if len(addresses) == 1:
            return await self._backend.connect_tcp(addresses[0], port, timeout, **options)
        return await _Race(self._core, self._backend).run(addresses, port, timeout, options)


class _Race:
    """Connections to several addresses, of which the first that is made is kept (RFC 8305)."""

    def __init__(self, core: Any, backend: Any) -> None:
        self._core, self._backend = core, backend
        self._first: Any = None
        self._last: Exception = core.ConnectError("there is no address")

    async def run(
        self, addresses: Sequence[str], port: int, seconds: float | None, options: dict[str, Any]
    ) -> Any:
        """Return the first stream. Raises the core library's errors."""
        import anyio

        async with anyio.create_task_group() as group:
            for address in addresses:
                ended = anyio.Event()

                async def attempt(address: str = address, ended: anyio.Event = ended) -> None:
                    await self._attempt(address, port, seconds, options)
                    ended.set()
                    if self._first is not None:
                        group.cancel_scope.cancel()

                group.start_soon(attempt)
                with anyio.move_on_after(_HEAD_START):
                    await ended.wait()
        if self._first is None:
            raise self._last
        return self._first

    async def _attempt(self, address: str, port: int, seconds: float | None, options: dict[str, Any]) -> None:
        try:
            stream = await self._backend.connect_tcp(address, port, seconds, **options)
        except (self._core.ConnectError, self._core.ConnectTimeout) as error:
            self._last = error
            return
        if self._first is None:
            self._first = stream
        else:
            await stream.aclose()
