"""The destination of a session in hermes-agent 0.19.0 when it is resumed today; of newer versions, what is
known to be different."""

from __future__ import annotations

from dataclasses import dataclass

from .hermes_builtin import BuiltIn, host_of
from .hermes_entries import HermesEntry, normal
from .hermes_home import HermesHome
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


def goes_to(home: HermesHome, row: Row) -> Destination:
    """Return the destination of a session that is resumed in hermes's TUI or desktop program, or
    over ACP if it began there. (`hermes --resume` on the plain command line takes the default of the day
    whatever the row says.)"""
    if row.source == "acp":
        return _resolved(home, row.provider or row.billed_provider, row.url or row.billed_url, over_acp=True)
    if row.follows and home.is_newer:
        return _resolved(home, "", "")
    provider, url = row.provider, row.url
    if home.is_newer and row.live_provider:
        provider, url = row.live_provider, row.live_url
    if not provider and normal(row.billed_provider) not in _dropped(home):
        provider = row.billed_provider
    if normal(provider) == "custom" or (home.is_newer and _is_gone(home, provider)):
        provider, url = _found_again(home, row, url)
    if not row.model:
        url = ""
    return _resolved(home, provider, url)


def is_local_kind(name: str) -> bool:
    """Return whether hermes takes a name for the kind of a server that the user runs."""
    return name in _LOCAL_CLASSES


def _dropped(home: HermesHome) -> frozenset[str]:
    """Return the billing classes that are not taken for a provider. Newer versions take `openrouter` for one
    (NousResearch/hermes-agent#85558)."""
    if home.is_newer:
        return BARE
    return BARE | {"openrouter"}


def _found_again(home: HermesHome, row: Row, url: str) -> tuple[str, str]:
    """Return the provider and URL for a row whose own name of a provider is a kind, or is gone. Newer
    versions look at the model, too, and ask at the entry's own URL."""
    entry = home.first_at(url)
    if home.is_newer:
        declared = (other for other in home.entries if row.model in other.models)
        entry = entry or next(declared, None) or home.named(home.provider)
        if entry is None:
            return "", url
        return f"custom:{entry.name}", ""
    entry = entry or home.named(home.provider)
    if entry is not None:
        return f"custom:{entry.name}", url
    if url:
        return "custom", url
    return "", ""


def _is_gone(home: HermesHome, called: str) -> bool:
    name = normal(called)
    known = name in BARE or is_local_kind(name) or home.own(name) is not None
    return not known and home.named(name) is None


def _resolved(home: HermesHome, asked: str, url: str, *, over_acp: bool = False) -> Destination:
    """Resolve a provider's name and a URL, as `hermes_cli.runtime_provider` does."""
    requested = normal(asked) or home.provider or "auto"
    if requested in home.disabled:
        return Destination(None, f"nowhere: config.yaml switches '{requested}' off", "", "")
    entry = home.named(requested)
    if entry is not None:
        return Destination(entry, entry.name, url or entry.url, entry.key)
    own = home.own(requested)
    if own is None and requested not in _LOCAL_CLASSES | {"auto"}:
        what = f"nowhere: hermes refuses '{requested}', which is not an entry"
        return Destination(None, what, "", "")
    default_has_url = bool(home.url) and home.provider in _NO_PROVIDER
    if requested in _LOCAL_CLASSES or (requested == "auto" and default_has_url):
        if url and normal(asked) == "custom" and not over_acp:
            return Destination(None, "no entry", url, _PLACEHOLDER_KEY)
        return _default(home, url)
    if own is None:
        return Destination(None, "whatever provider a key is found for", url, "")
    return Destination(None, requested, url, key_of(home, own))


def key_of(home: HermesHome, own: BuiltIn) -> str:
    """Return in words which key hermes sends to a provider of its own."""
    if home.has_key(own):
        return f"hermes's key for {own.name}"
    return f"no key ({' or '.join(own.env)} is not set)"


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
