"""Holdfast, the connection layer for LLM agents: a session stays on the provider, endpoint, key and model its
user chose.

    hf = holdfast.open()
    session = hf.session("issue-42", "mimo-plan/mimo-v2.5-pro")
    client = openai.OpenAI(**session.for_openai())

The names in `__all__` are the public interface; anything else may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core.errors import (
    CannotHandOver,
    ConfigError,
    ConnectionLost,
    HoldfastError,
    IdentityError,
    ModelDropped,
    NotReady,
    SecretMissing,
    StoreError,
)
from .core.identity import Pin
from .core.steps import Refused

if TYPE_CHECKING:
    from .sdk.api import Holdfast, Session, open

__all__ = [
    "CannotHandOver",
    "ConfigError",
    "ConnectionLost",
    "Holdfast",
    "HoldfastError",
    "IdentityError",
    "ModelDropped",
    "NotReady",
    "Pin",
    "Refused",
    "SecretMissing",
    "Session",
    "StoreError",
    "open",
]


def __getattr__(name: str) -> object:
    """Load the runtime when it is first used: `holdfast key list` does without it."""
    if name in ("Holdfast", "Session", "open"):
        from .sdk import api

        return getattr(api, name)
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
