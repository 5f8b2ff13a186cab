"""Lists of sessions as every store gives them: by pages, by choice, and those that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..core.errors import StoreError
from ..core.identity import Pin
from ..core.session import Session


@dataclass(frozen=True, slots=True)
class BrokenSession:
    """A session's row that cannot be read (older software, edits by hand). `raw` is the row as it is stored,
    `why` the reason.

    Replace it with `save_session(..., expect_version=raw["version"])` or delete it with `remove_session`.
    """

    id: str
    raw: Mapping[str, object]
    why: str


class SessionPage(NamedTuple):
    """Some sessions, the last changed first. `after` is what the next page is asked for with; empty on the
    last one."""

    sessions: list[Session]
    after: str


class Choice(NamedTuple):
    """A pin and a chosen key's label (empty: none), and how many sessions are on both."""

    pin: Pin
    key: str
    sessions: int


class PartlyRenamed(StoreError):
    """The store failed while a provider was being renamed: some sessions have the new name, and the same
    command goes on with the others."""


class SessionLists(Protocol):
    """The part of `Store` for many sessions."""

    def newest(self) -> float:
        """Return the time (epoch seconds) by which things are old: when a session was changed or a line of
        the journal was written last, and never more than `now()`. After a jump of more than a week it is the
        time before, until a day of lines tells that no clock was ahead."""
        ...

    def stored_session(self, session_id: str) -> Session | BrokenSession | None:
        """Return the row of a session, readable or not; None when there is none."""
        ...

    def session_page(self, limit: int, after: str = "") -> SessionPage:
        """Return `limit` sessions that can be read, or those of them that follow `after`, which the page
        before gave. Raises IdentityError for another text."""
        ...

    def sessions_using(self, provider: str) -> list[Session]:
        """Return the sessions whose pin or active fallback is one of the provider's, the last changed
        first."""
        ...

    def sessions_on_fallback(self, pin: Pin) -> list[Session]:
        """Return the sessions on `pin` that a fallback answers for."""
        ...

    def sessions_on(self, choice: Choice, limit: int) -> list[Session]:
        """Return `limit` sessions of a choice, the last changed first."""
        ...

    def choices(self) -> list[Choice]:
        """Return the choices that sessions are on, each once, by pin. Rows that cannot be read are in none of
        them."""
        ...

    def broken_sessions(self) -> list[BrokenSession]:
        """Return the rows that cannot be read; they are never part of `sessions()` and never dropped."""
        ...

    def rename_provider(self, old: str, new: str) -> list[str]:
        """Rename provider `old` to `new` in every pin (also of tokens) and active fallback, with a
        `ProviderRenamed` event for each changed session. Return the ids of the changed sessions, sorted.

        Names and tokens change in one transaction; then the sessions, in portions. `new_name` knows the last
        hundred renames. Raises IdentityError if `new` cannot be a provider's name, and PartlyRenamed if the
        store failed later than in the first transaction."""
        ...

    def unused_sessions(self, before: float, limit: int, after: str = "") -> list[str]:
        """Return the ids of `limit` sessions, above `after`, that were not changed, have no line in the
        journal and no usage since `before` (epoch seconds)."""
        ...

    def forget_sessions(self, before: float) -> int:
        """Delete a portion of `unused_sessions`, each with a `SessionRemoved` event. Return how many were
        deleted; 0 when no more are to go."""
        ...
