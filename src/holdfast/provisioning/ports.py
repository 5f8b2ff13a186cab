"""The stores that a runner needs, as interfaces: its owner (`engine.provisioning`) supplies them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..core.provisioning_state import Record
from ..core.secret import Secret


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
    def fill(self, intent: str, text: str) -> None: ...
    def text(self, intent: str) -> str | None: ...
    def remove(self, intent: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ProvisioningPorts:
    """The stores of a runner. `keep` saves a key and returns its reference; `enter` writes the
    record's entry in holdfast.toml, unless it is there already; `done` is called after each step, when it is
    on the disk."""

    records: Records
    answers: SavedReplies
    keep: Callable[[Record, str, Secret], str]
    enter: Callable[[Record, Mapping[str, object]], None]
    done: Callable[[str, Record], None]
