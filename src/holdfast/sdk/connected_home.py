"""An opened home with the connections that its sessions share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.opening import OpenHome

if TYPE_CHECKING:
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
