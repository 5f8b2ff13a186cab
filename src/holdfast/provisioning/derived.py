"""Keys that need not be made because another tool has them: `cmd:gh auth token` for GitHub Models, or any
reference of the user's.

Nothing is spent and nothing stored; the reference is read anew when its value runs out.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.model_roles import Listing
from ..core.provisioning_state import Capability, Record
from .base import ProvisionedKey, Question, Tools, endpoint, key_of

_GITHUB = "https://models.github.ai"


class GitHubModels:
    """Settings: `ref`, where the token is (by default what GitHub's own program says); it needs the scope
    `models:read`."""

    kind, profile, capability, window = "github-models", "github-models", Capability.DERIVED, 0.0

    def offer(self, record: Record) -> str:
        return f"the use of your GitHub token ({_ref(record)}) for models.github.ai; nothing is made there"

    def mint(self, record: Record, tools: Tools) -> ProvisionedKey:  # noqa: ARG002 - the protocol's
        return ProvisionedKey(str(record.settings.get("url") or _GITHUB), None, _ref(record))

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:  # noqa: ARG002 - nothing is ever asked
        return self.mint(record, tools)

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:  # noqa: ARG002 - nothing is ever made
        return None

    def models(self, record: Record, tools: Tools) -> Listing:
        return tools.listing(Question(endpoint(record.url), "GET", "/catalog/models", key=key_of(record)))

    def revoke(self, record: Record, tools: Tools) -> bool:  # noqa: ARG002 - it is the user's own
        return False

    def address(self, record: Record) -> Mapping[str, object]:
        return (
            {"preset": "github-models"}
            if record.url == _GITHUB
            else {"url": f"{record.url}/inference", "profile": "github-models"}
        )


class Token:
    """Any endpoint whose key another tool gives. Settings: `url`, `ref`, and perhaps `profile`."""

    kind, profile, capability, window = "token", "generic", Capability.DERIVED, 0.0

    def offer(self, record: Record) -> str:
        host = endpoint(record.settings["url"]).host
        return f"the use of {record.settings['ref']} for {host}; nothing is made there"

    def mint(self, record: Record, tools: Tools) -> ProvisionedKey:  # noqa: ARG002 - the protocol's
        return ProvisionedKey(endpoint(record.settings["url"]).url, None, record.settings["ref"])

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:  # noqa: ARG002 - nothing is ever asked
        return self.mint(record, tools)

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:  # noqa: ARG002 - nothing is ever made
        return None

    def models(self, record: Record, tools: Tools) -> Listing:
        return tools.listing(Question(endpoint(record.url), "GET", "/models", key=key_of(record)))

    def revoke(self, record: Record, tools: Tools) -> bool:  # noqa: ARG002 - it is the user's own
        return False

    def address(self, record: Record) -> Mapping[str, object]:
        named = record.settings.get("profile")
        return {"url": record.url, **({"profile": named} if named else {})}


def _ref(record: Record) -> str:
    return str(record.settings.get("ref") or "cmd:gh auth token")
