"""Keys that another tool has: `cmd:gh auth token` for GitHub Models, or any reference of the user's.

No key is made and none is stored; the reference is read again when its value expires.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from ..core.model_roles import Listing
from ..core.provisioning_state import Capability, Record
from ..values.secret import Secret
from .base import Fate, ProvisionedKey, Question, Tools, endpoint, key_of
from .settings import setting

_GITHUB = "https://models.github.ai"


class _Derived(ABC):
    """Common parts of both kinds: no request makes a key, so that none has an unknown outcome or can be
    revoked."""

    capability, window = Capability.DERIVED, 0.0

    @abstractmethod
    def mint(self, record: Record, tools: Tools) -> ProvisionedKey:
        """Return the key; no request is needed."""

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:  # noqa: ARG002
        return self.mint(record, tools)

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:  # noqa: ARG002
        return None

    def revoke(self, record: Record, tools: Tools) -> Fate:  # noqa: ARG002
        return Fate.ONLY_HERE

    def derived(self, record: Record, tools: Tools) -> Secret | None:  # noqa: ARG002
        return None


class GitHubModels(_Derived):
    """GitHub Models. Settings: `ref`, a reference to the token (default: GitHub's own program), which needs
    the scope `models:read`."""

    kind, profile = "github-models", "github-models"

    def offer(self, record: Record) -> str:
        return f"the use of your GitHub token ({_ref(record)}) for models.github.ai; nothing is made there"

    def mint(self, record: Record, tools: Tools) -> ProvisionedKey:  # noqa: ARG002
        return ProvisionedKey(str(record.settings.get("url") or _GITHUB), None, _ref(record))

    def models(self, record: Record, tools: Tools) -> Listing:
        return tools.listing(Question(endpoint(record.url), "GET", "/catalog/models", key=key_of(record)))

    def address(self, record: Record) -> Mapping[str, object]:
        if record.url == _GITHUB:
            return {"preset": "github-models"}
        return {"url": f"{record.url}/inference", "profile": "github-models"}


class Token(_Derived):
    """Any endpoint whose key another tool has. Settings: `url`, `ref`, and perhaps `profile`."""

    kind, profile = "token", "generic"

    def offer(self, record: Record) -> str:
        host = endpoint(setting(record, "url")).host
        return f"the use of {setting(record, 'ref')} for {host}; nothing is made there"

    def mint(self, record: Record, tools: Tools) -> ProvisionedKey:  # noqa: ARG002
        return ProvisionedKey(endpoint(setting(record, "url")).url, None, setting(record, "ref"))

    def models(self, record: Record, tools: Tools) -> Listing:
        return tools.listing(Question(endpoint(record.url), "GET", "/models", key=key_of(record)))

    def address(self, record: Record) -> Mapping[str, object]:
        fields = {"url": record.url}
        if record.settings.get("profile"):
            fields["profile"] = record.settings["profile"]
        return fields


def _ref(record: Record) -> str:
    return str(record.settings.get("ref") or "cmd:gh auth token")
