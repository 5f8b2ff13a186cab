"""The destination of a session in hermes-agent 0.19.0 when it is resumed today."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..core.secret import without_user
from .hermes_home import HermesEntry, HermesHome, normal
from .hermes_rows import BARE, Row

_LOCAL_CLASSES = frozenset({"custom", "ollama", "vllm", "llamacpp", "llama.cpp", "llama-cpp", "local"})
_NO_PROVIDER = ("", "auto")
_PLACEHOLDER_KEY = "no key (a placeholder)"
_OPENROUTER = "https://openrouter.ai/api/v1"


@dataclass(frozen=True, slots=True)
class Destination:
    """The target of a request: the user's entry, if it is one; the provider in words; the URL; and the key in
    words."""

    entry: HermesEntry | None
    provider: str
    url: str
    key: str

    @property
    def host(self) -> str:
        """Return host[:port] of the URL."""
        return host_of(self.url)

    def __str__(self) -> str:
        text = self.provider
        if self.host:
            text += f" at {self.host}"
        if self.key:
            text += f" with {self.key}"
        return text


def host_of(url: str) -> str:
    """Return host[:port] of a URL in lower case; "" when it is not one."""
    try:
        return urlsplit(without_user(url)).netloc.lower()
    except ValueError:
        return ""


def goes_to(home: HermesHome, row: Row) -> Destination:
    """Return the destination of a session that is resumed in hermes's TUI or desktop program, or
    over ACP if it began there. (`hermes --resume` on the plain command line takes the default of the day
    whatever the row says.)"""
    if row.source == "acp":
        return _resolved(home, row.provider or row.billed_provider, row.url or row.billed_url, over_acp=True)
    provider, url = row.provider, row.url
    if not provider and normal(row.billed_provider) not in BARE:
        provider = row.billed_provider
    if normal(provider) == "custom":
        entry = home.first_at(url) or home.named(home.provider)
        if entry is not None:
            provider = f"custom:{entry.name}"
        elif not url:
            provider = ""
    if not row.model:
        url = ""
    return _resolved(home, provider, url)


def _resolved(home: HermesHome, asked: str, url: str, *, over_acp: bool = False) -> Destination:
    """Resolve a provider's name and a URL, as `hermes_cli.runtime_provider` does."""
    requested = normal(asked) or home.provider or "auto"
    entry = home.named(requested)
    if entry is not None:
        return Destination(entry, entry.name, url or entry.url, entry.key)
    if requested not in home.own | _LOCAL_CLASSES | {"auto"}:
        what = f"nowhere: hermes refuses '{requested}', which is not an entry any more"
        return Destination(None, what, "", "")
    default_has_url = bool(home.url) and home.provider in _NO_PROVIDER
    if requested in _LOCAL_CLASSES or (requested == "auto" and default_has_url):
        if url and normal(asked) == "custom" and not over_acp:
            return Destination(None, "no entry", url, _PLACEHOLDER_KEY)
        return _default(home, url)
    if requested == "auto":
        return Destination(None, "whatever provider a key is found for", url, "")
    return Destination(None, requested, url, f"hermes's key for {requested}")


def _default(home: HermesHome, url: str) -> Destination:
    """Return the block `model:` as a destination if it has a URL, else OpenRouter."""
    if not home.url or home.provider not in (*_LOCAL_CLASSES, *_NO_PROVIDER):
        return Destination(
            None,
            "OpenRouter, as there is no entry",
            url or _OPENROUTER,
            "the OpenRouter key, if there is one",
        )
    entry = home.first_at(home.url)
    if entry is not None:
        return Destination(entry, entry.name, url or home.url, entry.key)
    key = "its key" if home.default_keys else _PLACEHOLDER_KEY
    return Destination(None, "the block 'model:'", url or home.url, key)
