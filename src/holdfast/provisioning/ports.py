"""The stores that a runner needs, as interfaces: its owner (`engine.provisioning`) supplies them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..core.provisioning_state import Record
from ..values.secret import Secret


class Records(Protocol):
    """The part of the store that a runner needs."""

    def now(self) -> float: ...
    def provision(self, name: str) -> Record | None: ...
    def save_provision(self, record: Record, expect_version: int | None) -> bool: ...
    def lease(self, name: str, owner: str, ttl: float) -> Any: ...
    def release(self, lease: Any) -> None: ...


class SavedReplies(Protocol):
    """The store of responses that are not parsed yet (`sealed_replies`)."""

    def reserve(self, intent: str) -> None: ...
    def seal(self, intent: str, text: str) -> None: ...
    def text(self, intent: str) -> str | None: ...
    def remove(self, intent: str) -> None: ...
    def intents(self) -> list[str]: ...


class LeftOver(NamedTuple):
    """A key of a provider that is stored here, with the epoch in which it was obtained, and the URL that it
    is for: "" where that is not known."""

    ref: str
    epoch: int
    url: str


@dataclass(frozen=True, slots=True)
class ProvisioningPorts:
    """The stores of a runner. `keep` saves a key and returns its reference; `enter` writes the
    record's entry in holdfast.toml, unless it is there already; `withdraw` removes the record's key and
    models from both. `readable` says whether the record's key can be read on this machine, where it is
    computed again if that is possible. `left_over` returns a key that an older state of the store does not
    know, or None. `done` is called after each step, when it is on the disk."""

    records: Records
    answers: SavedReplies
    keep: Callable[[Record, str, Secret], str]
    enter: Callable[[Record, Mapping[str, object]], None]
    withdraw: Callable[[Record], None]
    readable: Callable[[Record], bool]
    left_over: Callable[[Record], LeftOver | None]
    done: Callable[[str, Record], None]

    def saved(self, before: Record, after: Record) -> None:
        """Call `done` for a record that was stored: with the name of its state, if that says anything new."""
        step = str(after.state)
        if (before.state, before.reason, before.detail) == (after.state, after.reason, after.detail):
            step = "saved"
        self.done(step, after)
