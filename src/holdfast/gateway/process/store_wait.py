"""Waiting for a store that cannot be opened yet: a gateway may start before its database does."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...core.errors import StoreError
from ...store.base import Store
from ...store.opening import may_pass

_PAUSE = 0.5
"""Seconds between two attempts."""
_SAY_EVERY = 10.0
"""Seconds between two lines of the log."""


def wait_for_store(
    open_store: Callable[[], Store],
    seconds: float,
    *,
    tell: Callable[[StoreError, float], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the store can be opened, at most `seconds`. `tell` is called with the reason and the seconds
    that are left: at once, then every `_SAY_EVERY` seconds.

    Raises StoreError when the time is over, and at once for what waiting does not change.
    """
    until, say_at = clock() + seconds, clock()
    while True:
        try:
            open_store().close()
        except StoreError as error:
            left = until - clock()
            if left <= 0 or not may_pass(error):
                raise
            if clock() >= say_at:
                tell(error, left)
                say_at += _SAY_EVERY
            sleep(min(_PAUSE, left))
        else:
            return
