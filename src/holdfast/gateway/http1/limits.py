"""How much one connection may cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of the connections of clients and providers. Sizes in bytes, times in seconds.

    `high_water`: unsent bytes to a slow reader at which the other side is paused. `idle`: a connection
    without a request. `head`, `body`: until a request's head is complete, and between two pieces of its body.
    `linger`: how long the rest of a refused request is read and thrown away. `connect`: until a provider is
    reached. `pool_idle`, `pool_age`: how long a connection to a provider is kept without work, and at all.
    """

    head_bytes: int = 64 * 1024
    header_count: int = 128
    target_bytes: int = 8 * 1024
    body_bytes: int = 64 * 1024**2
    high_water: int = 256 * 1024
    idle: float = 120.0
    head: float = 20.0
    body: float = 30.0
    linger: float = 2.0
    connect: float = 10.0
    pool_idle: float = 30.0
    pool_age: float = 600.0
    pool_size: int = 512
