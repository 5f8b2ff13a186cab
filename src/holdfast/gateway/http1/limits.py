"""The limits of one connection: sizes, numbers and times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of the connections of clients and providers. Sizes in bytes, times in seconds.

    `high_water`: unsent bytes to a slow reader at which the other side is paused. `idle`: for a client's
    connection without a request, and `last_idle` while the server ends. `head`, `body`: until a request's
    head is complete, and between two pieces of its body. `slowest`: bytes a second below which a body's
    pieces, of a request or an answer, give it no more time. `linger`: for reading and dropping the rest of a
    refused request. `connect`: until a provider is reached. `pool_idle`, `pool_age`: for a connection to a
    provider without a request, and for its whole life.

    `upload_bytes`: the body of a file, which is passed on as it comes where it has more than `held_bytes`.
    `local_body_bytes`: the body of a request that is answered here, not by a provider. A request without a
    token has no body, and a head of at most `unauthenticated_head_bytes`. On a connection where no token was
    shown yet: `unauthenticated`, until it is ended; `unauthenticated_high_water`, as `high_water`.
    `unauthenticated_connections`: the number of those that sent bytes, each of which holds a head of
    `head_bytes` at most. `silent_connections`: of those that sent nothing yet, as many as the system lets
    wait before they are accepted.
    """

    head_bytes: int = 64 * 1024
    header_count: int = 128
    target_bytes: int = 8 * 1024
    body_bytes: int = 64 * 1024**2
    held_bytes: int = 1024**2
    upload_bytes: int = 1024**3
    local_body_bytes: int = 64 * 1024
    high_water: int = 256 * 1024
    idle: float = 120.0
    last_idle: float = 2.0
    head: float = 20.0
    body: float = 30.0
    slowest: float = 8 * 1024.0
    linger: float = 2.0
    connect: float = 10.0
    pool_idle: float = 30.0
    pool_age: float = 600.0
    pool_size: int = 512
    unauthenticated: float = 30.0
    unauthenticated_head_bytes: int = 8 * 1024
    unauthenticated_high_water: int = 16 * 1024
    unauthenticated_connections: int = 512
    silent_connections: int = 4096
