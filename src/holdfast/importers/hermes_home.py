"""A Hermes home as values: the entries in the order in which hermes-agent 0.19.0 looks them up, its default,
its fall-backs and keys.

The rules are those of its `hermes_cli.runtime_provider`, `hermes_cli.config` and `agent.credential_pool`;
where two of these disagree about one entry (`api` or `base_url` first), the resolver's order counts, because
requests go where it says. Reads only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..core.errors import ConfigError
from ..core.identity import Dialect
from .base import DIALECTS, FoundKey, literal, own_names, variable
from .read_files import mapping, table_of, variables_of, word, words

_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}", re.ASCII)
_CAMEL = {
    "apiKey": "api_key", "baseUrl": "base_url", "apiMode": "api_mode", "keyEnv": "key_env", "apiKeyEnv": "key_env", "api_key_env": "key_env",
    "defaultModel": "default_model",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HermesEntry:
    """A named entry. `name` is what follows `custom:` in the form that hermes resolves; `called` are all
    names that lead to it."""

    name: str
    called: frozenset[str]
    url: str
    dialect: Dialect
    keys: tuple[FoundKey, ...] = ()
    models: tuple[str, ...] = ()
    has_headers: bool = False
    place: str = ""

    @property
    def key(self) -> str:
        """Whose key goes out, in words."""
        if not self.keys:
            return f"no key of '{self.name}' (a placeholder)"
        return f"the key of '{self.name}'" + (
            f" ({self.keys[0].ref.partition(':')[2]})" if self.keys[0].ref else ""
        )


@dataclass(frozen=True, slots=True)
class HermesHome:
    """What stands in config.yaml, .env and auth.json. `provider`, `model` and `url` are the block `model:`,
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
        """Where the sessions stand."""
        return self.path / "state.db"

    def named(self, requested: str) -> HermesEntry | None:
        """The entry that hermes resolves a name to: the first that answers to it."""
        return next((one for one in self.entries if normal(requested) in one.called), None)

    def first_at(self, url: str) -> HermesEntry | None:
        """The entry that hermes takes for a bare URL: the first, whoever else is there."""
        return next((one for one in self.entries if url and plain(one.url) == plain(url)), None)


def normal(name: str) -> str:
    """Hermes's one rule for names: lower case, spaces become hyphens."""
    return name.strip().lower().replace(" ", "-")


def plain(url: str) -> str:
    """A URL as hermes compares it."""
    return url.strip().rstrip("/").lower()


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """HERMES_HOME, else ~/.hermes."""
    return Path(environ.get("HERMES_HOME") or "~/.hermes").expanduser()


def read_home(path: Path, environ: Mapping[str, str] = os.environ) -> HermesHome:
    """The home at `path`. Raises ConfigError when there is none, or when a file of it cannot be
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
    block = mapping(config.get("model")) or {"default": config.get("model")}
    default = {_CAMEL.get(name, name): one for name, one in block.items()}
    return HermesHome(
        path,
        entries,
        provider=word(default.get("provider")).lower(),
        model=word(default.get("default")) or word(default.get("model")),
        url=reader.expanded(word(default.get("base_url"))),
        default_keys=reader.keys(
            {**default, "api_key": default.get("api_key") or default.get("api")}, "model", env_first=False
        ),
        fallbacks=tuple(_fallbacks(config)),
        variables=variables,
        pool=mapping(mapping(table_of(path / "auth.json")).get("credential_pool")),
        ignored=tuple(reader.ignored),
        own=own_names("hermes")
        | {one.parent.name.lower() for one in path.glob("plugins/model-providers/*/__init__.py")},
    )


def _fallbacks(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for field_name in ("fallback_providers", "fallback_model"):
        rows = config.get(field_name)
        for row in rows if isinstance(rows, list) else [rows]:
            if word(mapping(row).get("provider")) and word(mapping(row).get("model")):
                yield mapping(row)


class _Reader:
    def __init__(
        self, environ: Mapping[str, str], variables: Mapping[str, str], config: str, dotenv: str
    ) -> None:
        self._environ, self._variables, self._config, self._dotenv = environ, variables, config, dotenv
        self.ignored: list[tuple[str, str]] = []

    def expanded(self, text: str) -> str:
        """`${NAME}` replaced by what .env or the environment says; what is unset stays as it is."""
        return _REFERENCE.sub(
            lambda one: self._variables.get(one[1]) or self._environ.get(one[1]) or one[0], text
        )

    def entries(self, config: Mapping[str, Any]) -> Iterator[HermesEntry]:
        """The dict `providers` first, then the list `custom_providers`; a name that is taken leads to the
        earlier one."""
        taken: set[str] = set()
        listed = config.get("custom_providers")
        if listed is not None and not isinstance(listed, list):
            self.ignored.append(("custom_providers", "it is no list, so hermes ignores all of it"))
        rows = [(f"providers.{key}", str(key), one) for key, one in mapping(config.get("providers")).items()]
        rows += [
            (f"custom_providers[{at}]", "", one)
            for at, one in enumerate(listed if isinstance(listed, list) else [])
        ]
        for place, key, raw in rows:
            entry = self.entry(
                place, key, {_CAMEL.get(name, name): one for name, one in mapping(raw).items()}
            )
            if entry is None:
                continue
            if f"custom:{entry.name}" in taken:
                self.ignored.append((f"'{entry.name}' ({place})", "an earlier entry has its name"))
                continue
            taken |= entry.called
            yield entry

    def entry(self, place: str, key: str, raw: Mapping[str, Any]) -> HermesEntry | None:
        """One entry; None and a line in `ignored` when hermes would not use it."""
        shown = normal(key or word(raw.get("name")))
        order = ("api", "url", "base_url") if key else ("base_url", "url", "api")
        url = next((found for name in order if (found := self.expanded(word(raw.get(name))))), "")
        lacks = (
            "it has no name"
            if not shown
            else "it has no URL"
            if not _is_url(url)
            else "enabled: false"
            if raw.get("enabled") is False
            else ""
        )
        if lacks and not (
            key and shown in own_names("hermes") and lacks == "it has no URL"
        ):  # settings of a provider that hermes knows itself
            self.ignored.append((f"'{shown}' ({place})" if shown else place, lacks))
        if lacks:
            return None
        names = {shown, f"custom:{shown}"} | (
            {normal(word(raw.get("name"))), f"custom:{normal(word(raw.get('name')))}"}
            if word(raw.get("name"))
            else set()
        )
        mode = word(raw.get("api_mode")) or word(raw.get("transport"))
        models = (word(raw.get("model")) or word(raw.get("default_model")), *words(raw.get("models")))
        keys = self.keys(raw, shown, env_first=bool(key))
        headers = bool(mapping(raw.get("extra_headers")))
        dialect = dialect_of(mode, url) or Dialect.OPENAI_CHAT
        return HermesEntry(
            shown,
            frozenset(names),
            url,
            dialect,
            keys,
            tuple(dict.fromkeys(one for one in models if one)),
            headers,
            place,
        )

    def keys(self, raw: Mapping[str, Any], label: str, *, env_first: bool) -> tuple[FoundKey, ...]:
        """The key that hermes would use: a dict entry prefers its variable, a list entry its inline value."""
        named = variable(word(raw.get("key_env")), self._environ, self._variables, self._dotenv)
        inline = word(raw.get("api_key"))
        reference = _REFERENCE.fullmatch(inline)
        own = (
            variable(reference[1], self._environ, self._variables, self._dotenv)
            if reference
            else literal(inline, self._config, label)
        )
        found = [one for one in ((named, own) if env_first else (own, named)) if one is not None]
        return tuple(found[:1])


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def dialect_of(mode: str, url: str = "") -> Dialect | None:
    """The dialect of an `api_mode`; else what hermes reads off the URL; None where neither says."""
    if mode in DIALECTS:
        return Dialect(DIALECTS[mode])
    try:
        parts = urlsplit(url.lower())
    except ValueError:
        return None
    host, path = parts.hostname or "", parts.path.rstrip("/")
    if host in ("api.openai.com", "api.x.ai"):
        return Dialect.OPENAI_RESPONSES
    if (
        host == "api.anthropic.com"
        or path.endswith(("/anthropic", "/anthropic/v1"))
        or (host == "api.kimi.com" and "/coding" in path)
    ):
        return Dialect.ANTHROPIC_MESSAGES
    return None
