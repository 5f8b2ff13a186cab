"""The pool of connections to a provider, as one of these connections uses it."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from .framing import HeaderNames
from .limits import HttpLimits
from .turns import Turns


class Owner(Protocol):
    """The pool of a connection, as the connection uses it. `names` returns the action for each header."""

    limits: HttpLimits
    names: HeaderNames
    loop: asyncio.AbstractEventLoop
    turns: Turns

    def put(self, connection: Any) -> None:
        """Keep a connection that is free."""
        ...

    def forget(self, connection: Any) -> None:
        """Remove a connection that is closed."""
        ...
