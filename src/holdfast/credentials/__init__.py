"""Keys, read by their references when they are needed. A value leaves only as a `Secret`; nothing here knows
a URL."""

from __future__ import annotations

from .secrets_file import SecretsFile
from .vault import Vault

__all__ = ["SecretsFile", "Vault"]
