"""The entries of a Hermes config.yaml as values, in the order in which hermes-agent 0.19.0 looks them up.

The rules are those of its `hermes_cli.runtime_provider`, `hermes_cli.config` and `agent.credential_pool`;
where two of these disagree about one entry (`api` or `base_url` first), the resolver's order counts, because
requests go where it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..core.identity import Dialect
from .addresses import DIALECTS
from .hermes_builtin import table
from .keys import Expanded, FoundKey, KeyReader, NoKey, Syntax
from .read_files import mapping, word, words

_CAMEL = {
    "apiKey": "api_key",
    "baseUrl": "base_url",
    "apiMode": "api_mode",
    "keyEnv": "key_env",
    "apiKeyEnv": "key_env",
    "api_key_env": "key_env",
    "defaultModel": "default_model",
    "contextLength": "context_length",
    "rateLimitDelay": "rate_limit_delay",
}
_KEY_FIELDS = ("api_key", "apiKey")
_NO_URL = "it has no URL"
ANY_MODEL = "*"
"""Stands for all models in a list of them."""
RESPONSES_HOSTS = ("api.openai.com", "api.x.ai")
"""Hosts that hermes asks by the Responses API."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something in config.yaml that hermes does not use, and why. `keys` are those in it, `url` is where they
    belong, "" for an unknown one."""

    what: str
    why: str
    keys: tuple[FoundKey | NoKey, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class HermesEntry:
    """A named entry. `name` follows `custom:` in the form that hermes resolves; `called` are all names that
    resolve to it; `raw` are its fields, in which keys may be."""

    name: str
    called: frozenset[str]
    url: str
    dialect: Dialect
    keys: tuple[FoundKey, ...] = ()
    models: tuple[str, ...] = ()
    location: str = ""
    no_keys: tuple[NoKey, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def key(self) -> str:
        """Return in words which key hermes sends."""
        if not self.keys and word(self.raw.get("key_cmd")):
            return f"the key that the key_cmd of '{self.name}' prints"
        if not self.keys:
            return f"no key of '{self.name}' (a placeholder)"
        variable = self.keys[0].ref.partition(":")[2]
        if not has_value(self.keys[0]):
            return f"no key of '{self.name}' ({variable} is not set)"
        return f"the key of '{self.name}'" + (variable and f" ({variable})")


def normal(name: str) -> str:
    """Return a name as hermes compares it: in lower case, with hyphens for spaces."""
    return name.strip().lower().replace(" ", "-")


def plain(url: str) -> str:
    """Return a URL as hermes compares it."""
    return url.strip().rstrip("/").lower()


def dialect_of(mode: str, url: str = "") -> Dialect | None:
    """Return the dialect of an `api_mode`, else the one that hermes infers from the URL; None when neither
    tells."""
    if mode in DIALECTS:
        return Dialect(DIALECTS[mode])
    try:
        parts = urlsplit(url.lower())
    except ValueError:
        return None
    host, path = parts.hostname or "", parts.path.rstrip("/")
    if host in RESPONSES_HOSTS:
        return Dialect.OPENAI_RESPONSES
    if host == "api.anthropic.com" or path.endswith(("/anthropic", "/anthropic/v1")):
        return Dialect.ANTHROPIC_MESSAGES
    if host == "api.kimi.com" and "/coding" in path:
        return Dialect.ANTHROPIC_MESSAGES
    return None


class Reader:
    """Reads the entries of a config.yaml, as hermes resolves them; notes those that it ignores."""

    def __init__(self, reader: KeyReader, config: str) -> None:
        self._reader = reader
        self._config = config
        self.ignored: list[Ignored] = []

    def expanded(self, value: object) -> object:
        """Replace each `${NAME}` in the texts of a table by its value in .env or the environment; leave those
        that are not set, and all in keys, whose variables are told apart."""
        if isinstance(value, str):
            return self._reader.expand(value, Syntax.BRACES).text
        if isinstance(value, Mapping):
            kept = {name: inner for name, inner in value.items() if name in _KEY_FIELDS}
            return {**{name: self.expanded(inner) for name, inner in value.items()}, **kept}
        if isinstance(value, list):
            return [self.expanded(inner) for inner in value]
        return value

    def entries(self, config: Mapping[str, Any]) -> Iterator[HermesEntry]:
        """Yield the entries of the dict `providers`, then those of the list `custom_providers`; of two with
        the same name the earlier one counts."""
        taken: set[str] = set()
        for location, key, raw in self._rows(config):
            entry = self._entry(location, key, snake_case(mapping(raw)))
            if entry is None:
                continue
            if f"custom:{entry.name}" in taken:
                what = f"'{entry.name}' ({location})"
                self.ignored.append(Ignored(what, "an earlier entry has its name", entry.keys, entry.url))
                continue
            taken |= entry.called
            yield entry

    def keys(
        self, raw: Mapping[str, Any], label: str, *, env_first: bool = False
    ) -> tuple[FoundKey | NoKey, ...]:
        """Return the key that hermes would use, and what is none in its place: a dict entry prefers its
        variable, a list entry its inline value, and both what is set."""
        named = self._reader.variable(word(raw.get("key_env")))
        inline = self._reader.text(word(raw.get("api_key")), Syntax.BRACES, at=self._config, label=label)
        by_preference = [inline, named]
        if env_first:
            by_preference.reverse()
        keys = [key for key in by_preference if isinstance(key, FoundKey)]
        if keys:
            return (min(keys, key=lambda key: not has_value(key)),)
        return tuple(by_preference)

    def _rows(self, config: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
        """Yield location, key ("" in the list) and value of all entries."""
        for key, raw in mapping(config.get("providers")).items():
            yield f"providers.{key}", key, raw
        listed = config.get("custom_providers")
        if isinstance(listed, list):
            for at, raw in enumerate(listed):
                yield f"custom_providers[{at}]", "", raw
        elif listed is not None:
            self.ignored.append(Ignored("custom_providers", "it is not a list, so hermes ignores all of it"))

    def _entry(self, location: str, key: str, raw: Mapping[str, Any]) -> HermesEntry | None:
        """Return one entry; None, with a line in `ignored`, when hermes would not use it."""
        called = word(raw.get("name"))
        name = normal(key or called)
        order = ("api", "url", "base_url") if key else ("base_url", "url", "api")
        url = next(filter(None, (word(raw.get(field_name)) for field_name in order)), "")
        keys = self.keys(raw, name, env_first=bool(key))
        expanded = self._reader.expand(url, Syntax.BRACES)
        why, url = _why_ignored(name, expanded, raw), expanded.text
        if why:
            # An entry without a URL may be settings of a provider that hermes knows by itself.
            if not (key and why == _NO_URL and name in table()):
                what = location
                if name:
                    what = f"'{name}' ({location})"
                if expanded.missing:
                    url = ""
                self.ignored.append(Ignored(what, why, keys, url))
            return None
        names = {name, f"custom:{name}"}
        if called:
            names |= {normal(called), f"custom:{normal(called)}"}
        mode = word(raw.get("api_mode")) or word(raw.get("transport"))
        models = (word(raw.get("model")) or word(raw.get("default_model")), *words(raw.get("models")))
        known = dict.fromkeys(model for model in models if model not in ("", ANY_MODEL))
        return HermesEntry(
            name,
            frozenset(names),
            url,
            dialect_of(mode, url) or Dialect.OPENAI_CHAT,
            keys=tuple(key for key in keys if isinstance(key, FoundKey)),
            models=tuple(known),
            location=location,
            no_keys=tuple(key for key in keys if isinstance(key, NoKey)),
            raw=raw,
        )


def has_value(key: FoundKey) -> bool:
    """Return whether the key's value is known here: in a file, or in a variable that is set."""
    return key.secret is not None or key.seen is not None


def is_enabled(raw: Mapping[str, Any]) -> bool:
    """Return whether an entry is not switched off."""
    flag = raw.get("enabled", True)
    if isinstance(flag, str):
        return flag.strip().lower() not in ("false", "0", "no", "off")
    return bool(flag)


def snake_case(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_CAMEL.get(name, name): value for name, value in fields.items()}


def _why_ignored(name: str, url: Expanded, raw: Mapping[str, Any]) -> str:
    """Return why hermes does not use an entry; "" when it does."""
    if not name:
        return "it has no name"
    if url.missing:
        return f"its URL is not known: {url.why_not}"
    if not _is_url(url.text):
        return _NO_URL
    if not is_enabled(raw):
        return "enabled: false"
    return ""


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)
