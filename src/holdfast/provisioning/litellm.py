"""LiteLLM proxies: a virtual key whose value we choose, so that a repeated request makes no second one
(docs.litellm.ai/docs/proxy/virtual_keys).

Sending the same `key` again, also twice at once, is answered with 200 and leaves one key (1.81 and 1.106
alike). No alias is sent: the second request would be refused with 400, because the alias is taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

from ..core.errors import NotReady
from ..core.identity import ProviderName
from ..core.model_roles import Listing
from ..core.provisioning_state import Capability, Record
from ..values import times
from ..values.secret import Secret
from .base import (
    Fate,
    ProvisionedKey,
    Question,
    Tools,
    digest_in_hand,
    document_of,
    endpoint,
    is_of_intent,
    key_at,
    key_of,
    made_here,
    not_given_back,
    secret_of,
    surely_made_here,
    text_of,
)
from .deletions import fate_of
from .model_lists import merged
from .settings import described_limits, limits_of, setting

_CALLS = ("/v1/chat/completions", "/chat/completions", "/v1/messages", "/v1")
_MASKED = re.compile(r"\.\.\.|\*\*|…")
_OPTIONS = {
    "budget": "max_budget",
    "budget_period": "budget_duration",
    "expires_in": "duration",
    "models": "models",
    "rpm": "rpm_limit",
    "tpm": "tpm_limit",
}


def root_of(url: str) -> str:
    """Return a proxy's base URL, without the path of a call. Raises IdentityError."""
    url = endpoint(url).url
    for call in _CALLS:
        if url.endswith(call):
            return url.removesuffix(call)
    return url


def endpoints_of(url: str) -> Mapping[str, object]:
    """Return the fields of a LiteLLM proxy at `url` for holdfast.toml."""
    endpoints = {"openai-chat": f"{url}/v1", "openai-responses": f"{url}/v1", "anthropic-messages": url}
    return {"endpoints": endpoints, "profile": "litellm"}


def models_at(record: Record, tools: Tools) -> Listing:
    """Return the two lists of a proxy, merged: a key may be allowed only one, and only the second has the
    mode of each model."""
    names = Question(endpoint(f"{record.url}/v1"), "GET", "/models", key=key_of(record))
    modes = Question(endpoint(record.url), "GET", "/model/info", key=key_of(record))
    return merged([tools.listing(names), tools.listing(modes)])


class LiteLLM:
    """A virtual key of a LiteLLM proxy. Settings: `url`; `admin`, a reference to a key that may make keys;
    and limits of the new key (`_OPTIONS`)."""

    kind, profile, capability, window = "litellm", "litellm", Capability.REPLAYABLE, 0.0

    def offer(self, record: Record) -> str:
        limits = described_limits(record, _OPTIONS) or "without a limit of its own"
        root, admin = root_of(setting(record, "url")), setting(record, "admin")
        return f"one virtual key at {root} ({limits}), made with {admin}"

    def mint(self, record: Record, tools: Tools) -> Question:
        if not made_here(record, tools):
            raise NotReady(
                f"the key of '{record.name}' was requested on another machine; its value is not known here",
                reason="mint_unknown",
                next_step=f"holdfast provision {record.name} --accept   (on that machine)",
            )
        body = {
            "key": _value(record, tools),
            "metadata": {"holdfast": f"{record.name} {record.intent}"},
            **limits_of(record, _OPTIONS),
        }
        return self._admin(record, "POST", "/key/generate", body)

    def read(self, record: Record, text: str, tools: Tools) -> ProvisionedKey:
        """Return the key in the response: the one that was asked for, also if it is shown in another form, or
        the one that a proxy chose which ignores what is asked for."""
        document = document_of(text)
        value = text_of(document, "key")
        own = _value(record, tools)
        if value == sha256(own.encode()).hexdigest() or _MASKED.search(value):
            value = own
        expires_at = times.moment(document.get("expires"))
        return ProvisionedKey(root_of(setting(record, "url")), secret_of(value), expires_at=expires_at)

    def reconcile(self, record: Record, tools: Tools) -> ProvisionedKey | None:  # noqa: ARG002
        """Return None: the same request is sent again."""
        return None

    def models(self, record: Record, tools: Tools) -> Listing:
        return models_at(record, tools)

    def revoke(self, record: Record, tools: Tools) -> Fate:
        """Delete the key in hand, which may be another than the intent's, and the intent's: by their digests,
        which the proxy knows them by."""
        if not {"url", "admin"} <= record.settings.keys():
            return Fate.ONLY_HERE
        digests = [digest_in_hand(record, tools)]
        if record.intent and not made_here(record, tools) and not digests[0]:
            raise not_given_back(record, "it was requested on another machine")
        if record.intent and made_here(record, tools):
            digests.append(sha256(_value(record, tools).encode()).hexdigest())
        deletions = dict.fromkeys(filter(None, digests))
        questions = [self._admin(record, "POST", "/key/delete", {"keys": [digest]}) for digest in deletions]
        return fate_of([*map(tools.ask, questions)], record, tools)

    def derived(self, record: Record, tools: Tools) -> Secret | None:
        if not is_of_intent(record) or not surely_made_here(record, tools):
            return None
        return Secret(_value(record, tools))

    def address(self, record: Record) -> Mapping[str, object]:
        return endpoints_of(record.url)

    def _admin(self, record: Record, method: str, path: str, body: object) -> Question:
        return Question(
            endpoint=endpoint(root_of(setting(record, "url"))),
            method=method,
            path=path,
            body=body,
            key=key_at(ProviderName(record.name), setting(record, "admin")),
        )


def _value(record: Record, tools: Tools) -> str:
    """Return the value of the intent's key, which is the same at each attempt."""
    return f"sk-{tools.derive(record.intent)}"
