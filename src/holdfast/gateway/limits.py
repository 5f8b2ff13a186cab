"""How much one client or provider may cost the gateway."""

from __future__ import annotations

from dataclasses import dataclass

from .http1.limits import HttpLimits


@dataclass(frozen=True, slots=True)
class Bounds(HttpLimits):
    """The limits of the connections, and those of requests. Times in seconds, each checked every
    `look_every`.

    `answer`, `stall`: until the head of a provider's answer, and between two pieces of it. `comment`: after
    so long without output a client that asked for a stream is sent comments.
    """

    answer: float = 600.0
    stall: float = 300.0
    comment: float = 15.0
    look_every: float = 0.5
