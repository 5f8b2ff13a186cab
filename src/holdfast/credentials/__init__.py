"""References become secrets, late and by name. Values never leave except as `Secret`; nothing here knows a
URL."""

from __future__ import annotations

from .secrets_file import SecretsFile
from .vault import Vault

__all__ = ["SecretsFile", "Vault"]
