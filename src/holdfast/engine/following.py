"""What the engine has in memory of the store's rows, and how it keeps up with what other processes write."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..core.changes import Change
from ..core.errors import StoreError
from ..store.base import Store
from ..store.feed import Changes, Follower
from .account_objects import AccountObjects
from .background import BackgroundWorker
from .change_writer import ChangeWriter, take_again
from .known_sessions import KnownSessions
from .shared_health import SharedHealth

_LOOK_EVERY = 0.005
"""Seconds between two looks where they wait for no network. A look costs a fifth of all that we add to a
request."""
FAR_LOOK_EVERY = 0.05
"""The same where they wait for a network."""
_AT_LEAST = 0.005
"""Seconds from one look to the next where word of a change comes at once."""
_FORGET_EVERY = 3600.0
"""Seconds between two times at which what ended long ago leaves memory."""


class Following:
    """The sessions, the health and the objects of one process, kept up with the store. Thread-safe.

    `provisions_changed` is another number whenever provisioning records have changed. `warn` is called with
    errors of the store: what is known already stays in use. A request is to look when it is `due` (monotonic
    seconds), unless a thread `polls`. `changes` that are not
    stored yet count all the same.
    """

    def __init__(
        self, store: Store, objects: AccountObjects, changes: ChangeWriter, warn: Callable[[Exception], None]
    ) -> None:
        self._store, self._objects, self._changes, self._warn = store, objects, changes, warn
        self.sessions, self.health = KnownSessions(store, changes), SharedHealth()
        self.provisions_changed = 0
        self._unsaved: Sequence[Change] = ()
        self.follower = Follower(store, self._take)
        self._every = FAR_LOOK_EVERY if store.far else _LOOK_EVERY
        pause = _AT_LEAST if store.tells else FAR_LOOK_EVERY
        self._poll: BackgroundWorker[None] = BackgroundWorker(
            "holdfast-feed", self._look_and_wait, most=1, gather=pause, failed=warn
        )
        self.due = self._forgot_at = 0.0
        self.polls = False

    def look(self) -> None:
        """Take over what other processes wrote since the last look."""
        # What waits now may be missing in what is read now.
        self._unsaved = self._changes.waiting
        try:
            self.follower.look()
        except StoreError as error:
            self._warn(error)
        self.due = time.monotonic() + self._every

    def start(self) -> None:
        """Look on a thread of its own from now on, where a look waits for a network."""
        if self._store.far and not self.polls:
            self.polls = True
            self._poll.submit(None)

    def is_current(self, session_id: str) -> bool:
        """Return whether what a request of this session needs is in memory, as far as is seen without
        waiting."""
        if time.monotonic() >= self.due and not self.polls:
            if not self.sees_all():
                return False
            self.due = time.monotonic() + self._every
        if not self.sessions.knows(session_id):
            return False
        return self._store.far or self._objects.knows(session_id)

    def sees_all(self) -> bool:
        """Return whether all that others wrote is taken over, as far as is seen without waiting."""
        if self._store.far and self.follower.revision is not None:
            self.start()
        if self.polls:
            return True
        seen = self._store.glance()
        return seen is not None and seen == self.follower.revision

    def close(self) -> None:
        """End the thread, unless the store holds it up."""
        self.polls = False
        self._poll.close(0.0)

    def renew(self) -> None:
        """Replace the locks, in a forked child."""
        self.polls = False
        self.sessions.renew()
        self.follower.renew()

    def _look_and_wait(self, _: Sequence[None]) -> None:
        if self.polls:
            try:
                if self._store.tells:
                    self._store.wait(FAR_LOOK_EVERY)
                if self.polls:
                    self.look()
            finally:  # whatever a look meets, the next one follows: else nobody would see a revoked token
                self._poll.submit(None)

    def _take(self, changes: Changes | None) -> None:
        """Take over what changed, everything for None. Raises StoreError."""
        # Users' choices first: they are read again even if the rest cannot be read.
        names = None if changes is None else changes.sessions
        self.sessions.read_again(names)
        self._objects.forget(names)
        if changes is None:
            self.health.load(self._store.evidence(), self._store.cooldowns())
        else:
            self.health.learn(changes.evidence, changes.cooldowns)
        take_again(self.health, self._unsaved)
        if changes is None or changes.provisions:
            self.provisions_changed += 1
        if not 0.0 <= time.monotonic() - self._forgot_at < _FORGET_EVERY:
            self._forgot_at = time.monotonic()
            self.health.forget()
