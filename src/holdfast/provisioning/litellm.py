"""LiteLLM proxies: a virtual key whose value we choose, so that asking again makes no second one
(docs.litellm.ai/docs/proxy/virtual_keys).

Sending the same `key` again, also twice at once, is answered 200 and leaves one key (1.81 and 1.106 alike).
An alias would spoil that: the second time it is refused with 400, because it is taken."""

from __future__ import annotations

from collections.abc import Mapping

from ..core import times
from ..core.identity import ProviderName
from ..core.model_roles import Listing
from ..core.provisioning_state import Capability, Record
from ..core.secret import Secret
from .base import (
    MalformedAnswer,
    ProvisionedKey,
    Question,
    Tools,
    document_of,
    endpoint,
    key_at,
    key_of,
    text_of,
)
from .model_lists import merged

_CALLS = ("/v1/chat/completions", "/chat/completions", "/v1/messages", "/v1")
_OPTIONS = {
    "budget": "max_budget",
    "budget_period": "budget_duration",
    "expires_in": "duration",
    "models": "models",
    "rpm": "rpm_limit",
    "tpm": "tpm_limit",
}


def root_of(url: str) -> str:
    """A proxy's address without what people paste behind it. Raises IdentityError."""
    url = endpoint(url).url
    return url.removesuffix(next((call for call in _CALLS if url.endswith(call)), ""))


def endpoints_of(url: str) -> Mapping[str, object]:
    """What a LiteLLM proxy at `url` speaks, as holdfast.toml says it."""
    spoken = {"openai-chat": f"{url}/v1", "openai-responses": f"{url}/v1", "anthropic-messages": url}
    return {"endpoints": spoken, "profile": "litellm"}


def models_at(record: Record, tools: Tools) -> Listing:
    """Both lists of a proxy: either may be closed to a key, and only the second says which model chats."""
    names = tools.listing(Question(endpoint(f"{record.url}/v1"), "GET", "/models", key=key_of(record)))
    return merged(
        [names, tools.listing(Question(endpoint(record.url), "GET", "/model/info", key=key_of(record)))]
    )


class LiteLLM:
    """Settings: `url`; `admin`, a reference to a key that may make keys; and of `_OPTIONS` what the new key
    is limited to."""

    kind, profile, capability, window = "litellm", "litellm", Capability.REPLAYABLE, 0.0

    def offer(self, record: Record) -> str:
        limits = ", ".join(
            f"{name} {record.settings[name]}" for name in _OPTIONS if record.settings.get(name)
        )
        root, admin = root_of(record.settings["url"]), record.settings["admin"]
        return f"one virtual key at {root} ({limits or 'without a limit of its own'}), made with {admin}"

    def mint(self, record: Record, tools: Tools) -> Question:
        limits = {
            theirs: record.settings[ours] for ours, theirs in _OPTIONS.items() if record.settings.get(ours)
        }
        named = {"key": _value(record, tools), "metadata": {"holdfast": f"{record.name} {record.intent}"}}
        return self._admin(record, "POST", "/key/generate", named | limits)

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:
        answer = document_of(text)
        value = text_of(answer, "key")
        if value != _value(record, tools):
            raise MalformedAnswer("the answer holds another key than the one that was asked for")
        return ProvisionedKey(
            root_of(record.settings["url"]), Secret(value), expires_at=times.moment(answer.get("expires"))
        )

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:  # noqa: ARG002 - asking again is enough
        return None

    def models(self, record: Record, tools: Tools) -> Listing:
        return models_at(record, tools)

    def revoke(self, record: Record, tools: Tools) -> bool:
        return tools.ask(
            self._admin(record, "POST", "/key/delete", {"keys": [_value(record, tools)]})
        ).status in (200, 404)

    def address(self, record: Record) -> Mapping[str, object]:
        return endpoints_of(record.url)

    def _admin(self, record: Record, method: str, path: str, body: object) -> Question:
        return Question(
            endpoint(root_of(record.settings["url"])),
            method,
            path,
            body,
            key_at(ProviderName(record.name), record.settings["admin"]),
        )


def _value(record: Record, tools: Tools) -> str:
    return f"sk-{tools.derive(record.intent)}"
