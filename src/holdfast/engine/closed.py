"""The refusal of work for a home that was closed."""

from __future__ import annotations

from ..core.errors import HoldfastError


class Closed(HoldfastError):
    """The Holdfast was closed before, so nothing was sent."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__(
            "this Holdfast is closed, so nothing was done and nothing was sent",
            next_step="holdfast.open()   (keep it open for as long as its sessions and clients are used)",
        )
