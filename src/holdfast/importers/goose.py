"""`holdfast import goose`: the providers that Goose's config.yaml chooses, and those of
custom_providers/*.json (1.43: its documents `config-files`, `custom-providers`). Keys in the keyring stay
there."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..config.model_tables import written
from ..harness.own_entry import is_own_gateway
from .addresses import OwnUrl, Unresolved, Where
from .base import ResultBuilder
from .entries import ImportResult
from .headers import carried
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .kinds import kind_of, kinds
from .read_files import mapping, table_of, word
from .rows import (
    CHAT,
    HEADERS,
    MESSAGES,
    PIN,
    TIMEOUT,
    refuse_api,
    rows_in,
    tell,
    where_of,
    with_header_key,
)

_ENGINES = {"openai": CHAT, "ollama": CHAT, "anthropic": MESSAGES}
_CHOICES = ("GOOSE_PROVIDER", "GOOSE_LEAD_PROVIDER", "GOOSE_PLANNER_PROVIDER")
_OWN = "custom_"
"""How the names of providers of the user's own begin."""
_OLLAMA_PORT = 11434
_THIS_MACHINE = ("localhost", "127.", "0.0.0.0", "[::1]")  # noqa: S104
_VERSION = re.compile(r"v\d+")
_KEYRING = "is not in the environment: Goose keeps it in the keyring (service 'goose')"


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of Goose's configuration."""
    root = environ.get("GOOSE_PATH_ROOT")
    if root:
        return Path(root).expanduser() / "config"
    return Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "goose"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the directory, or the file at `path`, defines. Raises ConfigError when a file cannot be
    read."""
    path = path or default_path(environ)
    config_file, custom_files = path, []
    if path.is_dir():
        config_file = path / "config.yaml"
        custom_files = sorted((path / "custom_providers").glob("*.json"))
    elif path.suffix == ".json":
        config_file, custom_files = path.parent.parent / "config.yaml", [path]
    config = table_of(config_file)
    secrets = mapping(table_of(config_file.with_name("secrets.yaml")))
    settings = {**mapping(config), **_chosen_in(mapping(config)), **secrets}
    texts = {name: word(value) for name, value in settings.items() if word(value)}
    reader = KeyReader(environ, texts, config_file.name)
    builder = ResultBuilder("goose", reader, honours_base_urls=False)
    if config is None and not custom_files:
        builder.leave_out(str(path), "there is no such file")
    enabled = [
        kind
        for kind, row in mapping(mapping(config).get("providers")).items()
        if mapping(row).get("enabled") is True
    ]
    goose = _Goose(reader, config_file.name, set(secrets), enabled)
    names = {}
    for file in custom_files:
        raw = mapping(table_of(file))
        name = goose.add_custom(builder, raw, f"custom_providers/{file.name}")
        if name:
            names[word(raw.get("name")) or file.stem] = name
    goose.add_built_in(builder, names)
    return builder.result()


def _chosen_in(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the choice of provider and model in the form of version 1.43, by the older names of the
    settings."""
    active = word(config.get("active_provider"))
    model = word(mapping(mapping(config.get("providers")).get(active)).get("model"))
    chosen = {"GOOSE_PROVIDER": active, "GOOSE_MODEL": model}
    return {name: value for name, value in chosen.items() if value}


@dataclass(frozen=True, slots=True)
class _Goose:
    """Goose's configuration: settings by name (the environment's first), the name of its file, the names of
    the secrets that a file has, and the providers that it enables."""

    reader: KeyReader
    file: str
    secrets: set[str]
    enabled: list[str]

    def add_custom(self, builder: ResultBuilder, raw: Mapping[str, Any], at: str) -> str | None:
        """Add a provider of the user's own; return the name that it gets, None when it is left out."""
        called = word(raw.get("name"))
        engine = word(raw.get("engine")).lower().removesuffix("_compatible")
        needs_key = raw.get("requires_auth") is not False
        key: FoundKey | NoKey = NoKey()
        if word(raw.get("api_key_env")):
            key = self._key(word(raw.get("api_key_env")))
        dialect = _ENGINES.get(engine)
        if dialect is None:
            refuse_api(
                builder, f"{called} ({at})", f"the API of '{engine}'", [key], url=word(raw.get("base_url"))
            )
            return None
        builder.tell_fields(raw, "goose.provider", at=at)
        more: dict[str, object] = {}
        if not needs_key and not isinstance(key, FoundKey):
            more["auth"] = "none"
        models = [
            written(word(row.get("name")), context=row.get("context_limit"))
            for row in rows_in(raw.get("models"))
        ]

        def read(text: str) -> FoundKey | NoKey:
            return self.reader.text(text, Syntax.BRACES, at=f"{at}: headers", label=called)

        given = (self._where(raw, dialect), [key])
        where, keys = with_header_key(builder, mapping(raw.get("headers")), read, given=given, at=at)
        more["headers"] = carried(builder, mapping(raw.get("headers")), at=f"'{called}' ({at})")
        return builder.add(
            called, where, keys, location=at, models=list(filter(None, models)) or None, **more
        )

    def add_built_in(self, builder: ResultBuilder, custom: Mapping[str, str]) -> None:
        """Add the providers that Goose knows by itself and that the file chooses, or gives an address or a
        key; note the model that Goose starts with."""
        chosen = [*(self.reader.value(name) for name in _CHOICES), *self.enabled]
        names = dict(custom)
        for kind, known in kinds("goose").items():
            wanted = kind in chosen or {*known.addresses, known.key} & {*self.reader.set_by}
            if kind in names or not wanted:
                continue
            name = self._add_known(builder, kind)
            if name:
                names[kind] = name
        for kind in dict.fromkeys(filter(None, chosen)):
            if kind not in names and kind.startswith(_OWN):
                builder.leave_out(f"{kind} ({self.file})", "no file of custom_providers defines it")
            elif kind not in names and kind not in kinds("goose"):
                refuse_api(builder, f"{kind} ({self.file})", kind_of("goose", kind).api)
        main, called = self.reader.value("GOOSE_PROVIDER"), self.reader.value("GOOSE_MODEL")
        if main in names and called:
            builder.leave_out(
                f"GOOSE_MODEL = {called} ({self.file})", PIN.format(pin=f"{names[main]}/{called}")
            )

    def _add_known(self, builder: ResultBuilder, kind: str) -> str | None:
        known = kind_of("goose", kind)
        _, host = known.address(self.reader.value)
        key: FoundKey | NoKey = NoKey()
        if known.key:
            key = self._key(known.key)
        if known.api and (host or not known.url):
            refuse_api(builder, f"{kind} ({self.file})", known.api, [key], url=host)
            return None
        reasons = {f"{kind.upper()}_CUSTOM_HEADERS": HEADERS, f"{kind.upper()}_TIMEOUT": TIMEOUT}
        tell(builder, self.file, self.reader.set_by, reasons)
        where = where_of("", known.dialect, known.url)
        models: list[object] = []
        if host:
            path = self.reader.value(known.path) or known.below
            where = self._where({"base_url": _with_port(kind, host), "base_path": path}, known.dialect)
        if host and self.reader.value("GOOSE_PROVIDER") == kind:
            models = [written(self.reader.value("GOOSE_MODEL"))]
        return builder.add(kind, where, [key], location=self.file, models=models or None)

    def _key(self, name: str) -> FoundKey | NoKey:
        """Return the key in a variable of the environment or of secrets.yaml; others are in the keyring."""
        key = self.reader.variable(name)
        known = self.reader.environ.get(name) or name in self.secrets or is_own_gateway("", name)
        if isinstance(key, FoundKey) and not known:
            return NoKey(f"{name} {_KEYRING}")
        return key

    def _where(self, raw: Mapping[str, Any], dialect: str) -> Where:
        defaults = {word(row.get("name")): word(row.get("default")) for row in rows_in(raw.get("env_vars"))}
        reader = KeyReader({**defaults, **self.reader.environ}, self.reader.set_by)
        expanded = reader.expand(word(raw.get("base_url")), Syntax.BRACES)
        if expanded.missing or not expanded.text:
            return Unresolved(expanded.why_not or "the file gives none")
        url = expanded.text
        if "://" not in url:
            url = f"{_scheme_of(url)}://{url}"
        if dialect == MESSAGES:
            return OwnUrl(url, dialect)
        return _of_chat(url, word(raw.get("base_path")))


def _with_port(kind: str, host: str) -> str:
    """Return the address of an Ollama without a scheme as Goose completes it; any other as it is."""
    if kind != "ollama" or "://" in host:
        return host
    if re.search(r":\d+\Z", host):
        return f"http://{host}"
    return f"http://{host}:{_OLLAMA_PORT}"


def _scheme_of(host: str) -> str:
    """Return the scheme that Goose takes for an address without one."""
    if host.startswith(_THIS_MACHINE):
        return "http"
    return "https"


def _of_chat(url: str, base_path: str) -> Where:
    """Return where Goose asks for chat completions: at the path that is given, else at one that ends with a
    version."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return Unresolved("it is no URL")
    root = f"{parts.scheme}://{parts.netloc}"
    if base_path:
        path = base_path.strip("/")
        if not path.endswith("chat/completions"):
            return Unresolved(f"its path is {path}, which is none of chat completions")
        return OwnUrl(f"{root}/{path}", CHAT)
    path = parts.path.strip("/")
    if path.endswith("chat/completions"):
        return OwnUrl(f"{root}/{path}", CHAT)
    if not path or not _VERSION.fullmatch(path.rpartition("/")[2]):
        path = f"{path}/v1".strip("/")
    return OwnUrl(f"{root}/{path}", CHAT)
