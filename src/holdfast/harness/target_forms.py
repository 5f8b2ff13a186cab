"""The forms in which many programs take a target's URL and headers."""

from __future__ import annotations

from ..core.identity import Dialect
from .base import Target


def usual_url(target: Target) -> str:
    """Return the URL as the vendors' SDKs take it: only Anthropic's adds the version by itself."""
    return target.bare_url if target.dialect is Dialect.ANTHROPIC_MESSAGES else target.url


def header_lines(target: Target) -> str:
    """Return the endpoint's own headers, each in a line of its own."""
    return "\n".join(f"{name}: {value}" for name, value in target.endpoint.headers)
