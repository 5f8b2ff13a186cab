"""How much one client or provider may cost the gateway."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..core.config import Config
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

    def for_files(self, most: int) -> Bounds:
        """Return the bounds for a process that may have up to `most` files open: connections without a token
        take half of them at most."""
        return replace(
            self,
            silent_connections=min(self.silent_connections, most // 4),
            unauthenticated_connections=min(self.unauthenticated_connections, most // 4),
        )

    def set_by(self, config: Config) -> Bounds:
        """Return the bounds with the user's own time limits in them."""
        settings, comment = config.settings, config.gateway.comment_after
        if comment is None:
            comment = self.comment
        return replace(
            self,
            connect=settings.connect_timeout or self.connect,
            answer=settings.answer_timeout or self.answer,
            stall=settings.stall_timeout or self.stall,
            comment=comment or math.inf,
        )
