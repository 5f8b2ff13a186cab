"""Keys that a program obtains for its user: one file per kind of provider, and the runner that takes their steps (story 3)."""

from __future__ import annotations

from .base import Ask, Provisioner, Question, Tools
from .litellm import LiteLLM
from .runner import House, Runner
from .words import obstacle

KINDS: dict[str, Provisioner] = {one.kind: one for one in (LiteLLM(),)}

__all__ = ["KINDS", "Ask", "House", "Provisioner", "Question", "Runner", "Tools", "obstacle"]
