"""Holdfast, the connection layer for LLM agents: a session stays on the provider, endpoint, key and model its
user chose.

    hf = holdfast.open()
    session = hf.session("issue-42", "mimo-plan/mimo-v2.5-pro")
    client = openai.OpenAI(**session.for_openai())

The names below are the contract; what is not listed is free to change.
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
    """The runtime is loaded when it is first asked for: `holdfast key list` needs none of it."""
    if name in ("Holdfast", "Session", "open"):
        from .sdk import api

        return getattr(api, name)
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
