"""`holdfast disconnect`. It is defined beside `connect`, which it undoes."""

from __future__ import annotations

from .connect import disconnecting as command

__all__ = ["command"]
