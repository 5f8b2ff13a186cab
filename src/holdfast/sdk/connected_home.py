"""An opened home with the connections that its sessions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ..engine.opening import OpenHome
from .threads import in_thread

if TYPE_CHECKING:
    from types import TracebackType

    from ..engine.state import Engine
    from .connection_pools import ConnectionPools
    from .pool_limits import Limits


class ConnectedHome(OpenHome):
    """An opened home, and its connections to providers, of the sizes `limits`."""

    def __init__(self, engine: Engine, limits: Limits | None = None) -> None:
        super().__init__(engine)
        self._limits = limits
        self._pools: dict[None, ConnectionPools] = {}

    @property
    def pools(self) -> ConnectionPools:
        """Return the connections. The modules for them are loaded when they are needed."""
        try:
            return self._pools[None]
        except KeyError:
            from .connection_pools import ConnectionPools

            return self._pools.setdefault(None, ConnectionPools(self.engine.network, self._limits))

    def close(self) -> None:
        """Close the connections, end the background work, write the journal and close the store."""
        for pools in self._pools.values():
            pools.close()
        super().close()

    async def aclose(self) -> None:
        """Close what `close` closes, without holding up the event loop."""
        for pools in self._pools.values():
            await pools.aclose()
        await in_thread(self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
