"""Keys that a program obtains for its user: one file per kind of provider, and the runner that takes their
steps (story 3)."""

from __future__ import annotations

from .amazee import AmazeeAccount, AmazeeTrial
from .base import Ask, Provisioner, Question, Tools
from .derived import GitHubModels, Token
from .litellm import LiteLLM
from .openrouter import OpenRouterKey, OpenRouterSignIn
from .readiness import obstacle
from .runner import ProvisioningPorts, Runner

_ALL: tuple[Provisioner, ...] = (
    LiteLLM(),
    AmazeeTrial(),
    AmazeeAccount(),
    OpenRouterKey(),
    OpenRouterSignIn(),
    GitHubModels(),
    Token(),
)
KINDS: dict[str, Provisioner] = {one.kind: one for one in _ALL}

__all__ = ["KINDS", "Ask", "Provisioner", "ProvisioningPorts", "Question", "Runner", "Tools", "obstacle"]
