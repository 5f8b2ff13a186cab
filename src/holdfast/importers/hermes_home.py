"""A Hermes home as values: the entries in the order in which hermes-agent 0.19.0 looks them up, its default,
its fallbacks and keys.

The rules are those of its `hermes_cli.runtime_provider`, `hermes_cli.config` and `agent.credential_pool`;
where two of these disagree about one entry (`api` or `base_url` first), the resolver's order counts, because
requests go where it says. This module only reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .._files import quoted
from ..core.errors import ConfigError
from ..core.identity import Dialect
from .addresses import DIALECTS
from .keys import FoundKey, KeyReader, NoKey
from .names import own_names
from .read_files import mapping, table_of, variables_of, word, words

_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}", re.ASCII)
_CAMEL = {
    "apiKey": "api_key",
    "baseUrl": "base_url",
    "apiMode": "api_mode",
    "keyEnv": "key_env",
    "apiKeyEnv": "key_env",
    "api_key_env": "key_env",
    "defaultModel": "default_model",
}
_NO_URL = "it has no URL"
_RESPONSES_HOSTS = ("api.openai.com", "api.x.ai")


@dataclass(frozen=True, slots=True)
class HermesEntry:
    """A named entry. `name` follows `custom:` in the form that hermes resolves; `called` are all names that
    resolve to it."""

    name: str
    called: frozenset[str]
    url: str
    dialect: Dialect
    keys: tuple[FoundKey, ...] = ()
    models: tuple[str, ...] = ()
    has_headers: bool = False
    location: str = ""

    @property
    def key(self) -> str:
        """Return in words which key hermes sends."""
        if not self.keys:
            return f"no key of '{self.name}' (a placeholder)"
        text = f"the key of '{self.name}'"
        reference = self.keys[0].ref
        if reference:
            text += f" ({reference.partition(':')[2]})"
        return text


@dataclass(frozen=True, slots=True)
class HermesHome:
    """The contents of config.yaml, .env and auth.json. `provider`, `model` and `url` are the block `model:`,
    the default of new sessions; `ignored` are entries that hermes does not use, with the reason; `own` are
    the providers that it knows without an entry."""

    path: Path
    entries: tuple[HermesEntry, ...] = ()
    provider: str = ""
    model: str = ""
    url: str = ""
    default_keys: tuple[FoundKey, ...] = ()
    fallbacks: tuple[Mapping[str, Any], ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    pool: Mapping[str, Any] = field(default_factory=dict, repr=False)
    ignored: tuple[tuple[str, str], ...] = ()
    own: frozenset[str] = frozenset()

    @property
    def database(self) -> Path:
        """Return the path of the file with the sessions."""
        return self.path / "state.db"

    def named(self, requested: str) -> HermesEntry | None:
        """Return the entry that hermes resolves a name to: the first that has it."""
        name = normal(requested)
        return next((entry for entry in self.entries if name in entry.called), None)

    def first_at(self, url: str) -> HermesEntry | None:
        """Return the entry that hermes takes for a bare URL: the first, whatever others are there."""
        if not url:
            return None
        return next((entry for entry in self.entries if plain(entry.url) == plain(url)), None)


def normal(name: str) -> str:
    """Return a name as hermes compares it: in lower case, with hyphens for spaces."""
    return name.strip().lower().replace(" ", "-")


def plain(url: str) -> str:
    """Return a URL as hermes compares it."""
    return url.strip().rstrip("/").lower()


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return HERMES_HOME, else ~/.hermes."""
    return Path(environ.get("HERMES_HOME") or "~/.hermes").expanduser()


def heal_command(path: Path) -> str:
    """Return the command that looks at this home again."""
    if path == default_path():
        return "holdfast heal hermes"
    return f"holdfast heal hermes --home {quoted(path)}"


def read_home(path: Path, environ: Mapping[str, str] = os.environ) -> HermesHome:
    """Return the home at `path`. Raises ConfigError when there is none, or when a file of it cannot be
    understood."""
    if not path.is_dir():
        raise ConfigError(
            f"there is no Hermes home at {path}",
            next_step="holdfast heal hermes --home DIR   (what HERMES_HOME says, else ~/.hermes)",
        )
    config = table_of(path / "config.yaml") or {}
    variables = variables_of(path / ".env")
    reader = _Reader(environ, variables, str(path / "config.yaml"), str(path / ".env"))
    entries = tuple(reader.entries(config))
    default = _snake_case(mapping(config.get("model")) or {"default": config.get("model")})
    default_key = {**default, "api_key": default.get("api_key") or default.get("api")}
    plugins = path.glob("plugins/model-providers/*/__init__.py")
    return HermesHome(
        path,
        entries,
        provider=word(default.get("provider")).lower(),
        model=word(default.get("default")) or word(default.get("model")),
        url=reader.expanded(word(default.get("base_url"))),
        default_keys=reader.keys(default_key, "model", env_first=False),
        fallbacks=tuple(_fallbacks(config)),
        variables=variables,
        pool=mapping(mapping(table_of(path / "auth.json")).get("credential_pool")),
        ignored=tuple(reader.ignored),
        own=own_names("hermes") | {plugin.parent.name.lower() for plugin in plugins},
    )


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
    if host in _RESPONSES_HOSTS:
        return Dialect.OPENAI_RESPONSES
    if host == "api.anthropic.com" or path.endswith(("/anthropic", "/anthropic/v1")):
        return Dialect.ANTHROPIC_MESSAGES
    if host == "api.kimi.com" and "/coding" in path:
        return Dialect.ANTHROPIC_MESSAGES
    return None


class _Reader:
    """Reads the entries of a config.yaml, as hermes resolves them; notes those that it ignores."""

    def __init__(
        self, environ: Mapping[str, str], variables: Mapping[str, str], config: str, dotenv: str
    ) -> None:
        self._environ = environ
        self._variables = variables
        self._config = config
        self._reader = KeyReader(environ, variables, dotenv)
        self.ignored: list[tuple[str, str]] = []

    def expanded(self, text: str) -> str:
        """Replace each `${NAME}` by its value in .env or the environment; leave those that are not set."""
        return _REFERENCE.sub(
            lambda match: self._variables.get(match[1]) or self._environ.get(match[1]) or match[0], text
        )

    def entries(self, config: Mapping[str, Any]) -> Iterator[HermesEntry]:
        """Yield the entries of the dict `providers`, then those of the list `custom_providers`; of two with
        the same name the earlier one counts."""
        taken: set[str] = set()
        for location, key, raw in self._rows(config):
            entry = self._entry(location, key, _snake_case(mapping(raw)))
            if entry is None:
                continue
            if f"custom:{entry.name}" in taken:
                self.ignored.append((f"'{entry.name}' ({location})", "an earlier entry has its name"))
                continue
            taken |= entry.called
            yield entry

    def keys(self, raw: Mapping[str, Any], label: str, *, env_first: bool) -> tuple[FoundKey, ...]:
        """Return the key that hermes would use: a dict entry prefers its variable, a list entry its inline
        value."""
        named = self._variable(word(raw.get("key_env")))
        inline = word(raw.get("api_key"))
        reference = _REFERENCE.fullmatch(inline)
        if reference is not None:
            own = self._variable(reference[1])
        else:
            own = self._reader.literal(inline, at=self._config, label=label)
        by_preference = [own, named]
        if env_first:
            by_preference.reverse()
        return tuple(key for key in by_preference if isinstance(key, FoundKey))[:1]

    def _rows(self, config: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
        """Yield location, key ("" in the list) and value of all entries."""
        for key, raw in mapping(config.get("providers")).items():
            yield f"providers.{key}", key, raw
        listed = config.get("custom_providers")
        if isinstance(listed, list):
            for at, raw in enumerate(listed):
                yield f"custom_providers[{at}]", "", raw
        elif listed is not None:
            self.ignored.append(("custom_providers", "it is not a list, so hermes ignores all of it"))

    def _entry(self, location: str, key: str, raw: Mapping[str, Any]) -> HermesEntry | None:
        """Return one entry; None, with a line in `ignored`, when hermes would not use it."""
        called = word(raw.get("name"))
        name = normal(key or called)
        order = ("api", "url", "base_url") if key else ("base_url", "url", "api")
        urls = (self.expanded(word(raw.get(field_name))) for field_name in order)
        url = next(filter(None, urls), "")
        why = _why_ignored(name, url, raw)
        if why:
            # An entry without a URL may be settings of a provider that hermes knows by itself.
            if not (key and why == _NO_URL and name in own_names("hermes")):
                what = location
                if name:
                    what = f"'{name}' ({location})"
                self.ignored.append((what, why))
            return None
        names = {name, f"custom:{name}"}
        if called:
            names |= {normal(called), f"custom:{normal(called)}"}
        mode = word(raw.get("api_mode")) or word(raw.get("transport"))
        models = (word(raw.get("model")) or word(raw.get("default_model")), *words(raw.get("models")))
        return HermesEntry(
            name,
            frozenset(names),
            url,
            dialect_of(mode, url) or Dialect.OPENAI_CHAT,
            keys=self.keys(raw, name, env_first=bool(key)),
            models=tuple(dict.fromkeys(filter(None, models))),
            has_headers=bool(mapping(raw.get("extra_headers"))),
            location=location,
        )

    def _variable(self, name: str) -> FoundKey | NoKey:
        return self._reader.variable(name)


def _fallbacks(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for field_name in ("fallback_providers", "fallback_model"):
        rows = config.get(field_name)
        if not isinstance(rows, list):
            rows = [rows]
        for row in rows:
            if word(mapping(row).get("provider")) and word(mapping(row).get("model")):
                yield mapping(row)


def _snake_case(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {_CAMEL.get(name, name): value for name, value in fields.items()}


def _why_ignored(name: str, url: str, raw: Mapping[str, Any]) -> str:
    """Return why hermes does not use an entry; "" when it does."""
    if not name:
        return "it has no name"
    if not _is_url(url):
        return _NO_URL
    if raw.get("enabled") is False:
        return "enabled: false"
    return ""


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)
