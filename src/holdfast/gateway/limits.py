"""How much one client or provider may cost the gateway."""

from __future__ import annotations

from dataclasses import dataclass

from .http1.limits import HttpLimits


@dataclass(frozen=True, slots=True)
class Bounds(HttpLimits):
    """The limits of connections and of requests. Times are in seconds, checked every `look_every`.

    `answer`: until the head of a provider's answer. `stall`: between two pieces of it. `comment`: until a
    client that waits for a stream is sent a comment.
    """

    answer: float = 600.0
    stall: float = 300.0
    comment: float = 15.0
    look_every: float = 0.5
