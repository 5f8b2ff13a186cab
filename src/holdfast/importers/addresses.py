"""Addresses as other programs write them: names of dialects, base URLs, and where a provider of theirs is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.errors import IdentityError
from ..core.identity import Dialect
from ..providers import presets
from ..providers.known_addresses import address_of
from ..values.secret import redact, without_user

DIALECTS: Mapping[str, str] = {
    "chat": "openai-chat",
    "openai": "openai-chat",
    "openai-chat": "openai-chat",
    "openai_chat": "openai-chat",
    "openai-compat": "openai-chat",
    "openai-compatible": "openai-chat",
    "openai-completions": "openai-chat",
    "chat_completions": "openai-chat",
    "responses": "openai-responses",
    "openai-responses": "openai-responses",
    "openai_responses": "openai-responses",
    "codex_responses": "openai-responses",
    "anthropic": "anthropic-messages",
    "anthropic-messages": "anthropic-messages",
    "anthropic_messages": "anthropic-messages",
}
"""Names that other programs give to the dialects that we speak. Each importer says what its program means
where it names none."""
_CALLS = {
    "openai-chat": ("/chat/completions",),
    "openai-responses": ("/responses",),
    "anthropic-messages": ("/messages", "/v1"),
}
"""Ends of a URL, by dialect, that our base URLs do without."""


@dataclass(frozen=True, slots=True)
class OwnUrl:
    """The files, the environment or the program's own table give this URL. `auth` is how the key is sent, ""
    for the dialect's usual way."""

    url: str
    dialect: str = "openai-chat"
    auth: str = ""

    @property
    def shown(self) -> str:
        """Return the URL for a message."""
        return redact(without_user(self.url))

    def has(self, url: str) -> bool:
        """Return whether a URL is this one."""
        return is_same_url(url, self.url, self.dialect)

    def fields(self) -> dict[str, Any]:
        """Return the fields of an entry of ours."""
        fields = address(self.url, self.dialect)
        if self.auth:
            fields["auth"] = self.auth
        if fields.get("auth") == "bearer":
            del fields["auth"]
        return fields


@dataclass(frozen=True, slots=True)
class OfPreset:
    """Nothing that the importer read gives the provider a URL, so it is where its maker serves it: our preset
    `name`. `dialect` is what the program speaks to it, which counts if something else gives a URL after
    all."""

    name: str
    dialect: str = ""

    @property
    def shown(self) -> str:
        """Return the preset for a message."""
        return f"preset '{self.name}'"

    def fields(self) -> dict[str, Any]:
        """Return the fields of an entry of ours."""
        return {"preset": self.name}

    def has(self, url: str) -> bool:
        """Return whether a URL is one of the preset's own."""
        return any(is_same_url(url, own, dialect) for dialect, own in self.endpoints().items())

    def moved_to(self, url: str) -> OwnUrl:
        """Return this provider at another URL, in the dialect that the program speaks to it."""
        dialects = list(self.endpoints())
        return OwnUrl(url, self.dialect or dialects[0])

    def endpoints(self) -> Mapping[str, str]:
        """Return the preset's URLs by dialect."""
        endpoints: Mapping[str, str] = presets.find(self.name)["endpoints"]
        return endpoints


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The files give the provider a URL which is not known here, for example by a variable that is not set.
    `why` is the end of a sentence about the URL."""

    why: str


Where = OwnUrl | OfPreset | Unresolved
"""Where a provider of another program is."""


def where_is(url: str, dialect: str, preset: str | None, *, auth: str = "") -> Where:
    """Return a provider's own URL, else its preset; Unresolved where it has neither."""
    if url:
        return OwnUrl(url, dialect, auth)
    if preset:
        return OfPreset(preset, dialect)
    return Unresolved("the files give none, and no preset has its name")


def base_of(url: str, dialect: str) -> str:
    """Return a base URL as our endpoints write it: without the call, and for Anthropic's dialect (also taken
    for an unknown one) without the version."""
    url = url.strip().rstrip("/")
    for tail in _CALLS.get(dialect, _CALLS["anthropic-messages"]):
        url = url.removesuffix(tail).rstrip("/")
    return url


def address(url: str, dialect: str, **more: Any) -> dict[str, Any]:
    """Return the fields of an entry at a URL, without those that have their usual value. Anthropic's SDK,
    which these programs use, sends its key as x-api-key, unless a preset says otherwise for this very URL."""
    base = base_of(url, dialect)
    fields: dict[str, Any] = {"url": base}
    if dialect != "openai-chat":
        fields["dialect"] = str(dialect)
    if dialect == "anthropic-messages":
        known = (row for row in presets.rows().values() if row["endpoints"].get(dialect) == base)
        auth = next((row.get("auth", "bearer") for row in known), "x-api-key")
        if auth != "bearer":
            fields["auth"] = auth
    return {**fields, **more}


def is_same_url(url: str, other: str, dialect: str) -> bool:
    """Return whether two texts are one address, however they are written, for a dialect."""
    return canonical(url, dialect) == canonical(other, dialect)


def canonical(url: str, dialect: str = Dialect.OPENAI_CHAT) -> tuple[str, str]:
    """Return host and path as they are compared: the `/v1` that some programs append makes no difference."""
    host, path = place(url, dialect)
    return host, path.removesuffix("/v1").removesuffix("v1").rstrip("/")


def place(url: str, dialect: str) -> tuple[str, str]:
    """Return host and path of a base URL, equal for all its spellings. The text itself, and no path, for what
    is no URL."""
    base = base_of(url, dialect)
    try:
        return address_of(base)
    except IdentityError:
        return base, ""
