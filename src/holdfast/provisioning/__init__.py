"""Keys that Holdfast obtains for its user: one file for each kind of provider, and the runner that takes
their steps (story 3)."""

from __future__ import annotations

from .amazee import AmazeeAccount, AmazeeTrial
from .base import Ask, Fate, Provisioner, Question, Tools
from .derived import GitHubModels, Token
from .litellm import LiteLLM
from .openrouter import OpenRouterKey, OpenRouterSignIn
from .ports import ProvisioningPorts
from .readiness import obstacle
from .runner import Runner

_ALL: tuple[Provisioner, ...] = (
    LiteLLM(),
    AmazeeTrial(),
    AmazeeAccount(),
    OpenRouterKey(),
    OpenRouterSignIn(),
    GitHubModels(),
    Token(),
)
KINDS: dict[str, Provisioner] = {provisioner.kind: provisioner for provisioner in _ALL}

__all__ = [
    "KINDS",
    "Ask",
    "Fate",
    "Provisioner",
    "ProvisioningPorts",
    "Question",
    "Runner",
    "Tools",
    "obstacle",
]
