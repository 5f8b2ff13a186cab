"""`holdfast disconnect`, which stands beside what it undoes."""

from __future__ import annotations

from .connect import disconnecting as command

__all__ = ["command"]
