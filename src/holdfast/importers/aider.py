"""`holdfast import aider`: keys, addresses and models of .aider.conf.yml, .env, .aider.model.settings.yml and
.aider.model.metadata.json (aider 0.86: its documents `config`, `llms`).

They are read in the home directory: a project's files may redirect it. Aider sets variables of its process
from them, in this order: .env, `set-env`, `api-key`, and the options for OpenAI and Anthropic."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config.model_tables import written
from ..values.addresses import is_loopback
from .addresses import Unresolved, Where
from .aider_models import ALIASES, family_and_model
from .base import ResultBuilder
from .entries import ImportResult
from .headers import carried
from .keys import FoundKey, KeyReader, NoKey
from .kinds import Kind, kind_of, kinds
from .read_files import list_of, mapping, table_of, variables_of, word, words
from .rows import (
    PIN,
    TIMEOUT,
    name_at,
    refuse_api,
    rows_in,
    tell,
    where_of,
    with_header_key,
)

_CONFIG = ".aider.conf.yml"
_SETTINGS = ".aider.model.settings.yml"
_METADATA = ".aider.model.metadata.json"
_EVERY_MODEL = "aider/extra_params"
_ROLES = ("model", "weak-model", "editor-model")
_EXTRA_TOLD = {"extra_body": "requests pass as they are", "timeout": TIMEOUT}
_ADDRESS = "openai-api-base"
_KEYS = {"anthropic-api-key": "anthropic", "openai-api-key": "openai"}
"""Options that set the key of a provider."""
_TOLD = {
    "timeout": TIMEOUT,
    "openai-organization-id": 'it is a header here: headers = { OpenAI-Organization = "…" }',
    "openai-api-type": "an endpoint here has an address and a dialect only",
    "openai-api-version": "an endpoint here has an address and a dialect only",
    "openai-api-deployment-id": "an endpoint here has an address and a dialect only",
    "alias": "a model is called by its own name here",
    "verify-ssl": "the certificates of providers are always checked",
}


def default_path() -> Path:
    """Return the home directory, where aider's own files are."""
    return Path("~").expanduser()


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the files in a directory, or beside the file at `path`, define. Raises ConfigError when one
    of them cannot be read."""
    path = path or default_path()
    directory, config_file = path.parent, path
    if path.is_dir():
        directory, config_file = path, path / _CONFIG
    if path.name == ".env":
        config_file = path.with_name(_CONFIG)
    config = table_of(config_file)
    variables = variables_of(directory / ".env")
    variables |= variables_of(directory / ".aider" / "oauth-keys.env")
    named = _named_file(directory, mapping(config), environ)
    if named is not None:
        variables |= variables_of(named)
    options = {**mapping(config), **_options_in({**environ, **variables})}
    own = {**variables, **dict(_set_by(options))}
    set_at = ".env"
    if config:
        set_at = config_file.name
    reader = KeyReader(environ, own, set_at, own_first=True)
    builder = ResultBuilder("aider", reader, honours_base_urls=True)
    if named is not None and not named.is_file():
        builder.leave_out(f"env-file ({config_file.name})", f"there is no {named}")
    if config is None and not variables:
        builder.leave_out(str(directory), f"it has neither {_CONFIG} nor .env")
        return builder.result()
    limits = mapping(table_of(directory / _METADATA))
    settings = rows_in(list_of(directory / _SETTINGS))
    aider = _Aider(options, settings=settings, limits=limits, reader=reader, file=config_file.name)
    aider.add_to(builder, set(own))
    return builder.result()


def _named_file(directory: Path, config: Mapping[str, Any], environ: Mapping[str, str]) -> Path | None:
    """Return the further file of variables that the options name; None when they name none."""
    name = word(config.get("env-file")) or environ.get("AIDER_ENV_FILE", "")
    if not name:
        return None
    return directory / Path(name).expanduser()


def _options_in(variables: Mapping[str, str]) -> dict[str, object]:
    """Return the options that variables set (AIDER_OPENAI_API_BASE for openai-api-base)."""
    names = (*_KEYS, _ADDRESS, *_ROLES)
    given = {name: variables.get(f"AIDER_{name.replace('-', '_').upper()}", "") for name in names}
    return {name: value for name, value in given.items() if value}


def _set_by(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the variables that options set, the last of which counts."""
    for text in _texts(options.get("set-env")):
        name, equals, value = text.partition("=")
        if equals:
            yield name.strip(), value.strip()
    for text in _texts(options.get("api-key")):
        provider, equals, value = text.partition("=")
        if equals:
            yield f"{provider.strip().upper()}_API_KEY", value.strip()
    for option, provider in _KEYS.items():
        if word(options.get(option)):
            yield kind_of("aider", provider).key, word(options.get(option))
    if word(options.get(_ADDRESS)):
        yield kind_of("aider", "openai").addresses[0], word(options.get(_ADDRESS))


def _variables_of(known: Kind) -> set[str]:
    return {*filter(None, (known.key, *known.addresses))}


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return words(value)


@dataclass(frozen=True, slots=True)
class _Aider:
    """The content of aider's files: options, settings and limits of models, and variables."""

    options: Mapping[str, Any]
    settings: list[Mapping[str, Any]]
    limits: Mapping[str, Any]
    reader: KeyReader
    file: str

    def add_to(self, builder: ResultBuilder, own: set[str]) -> None:
        """Add an entry for each provider that a model needs, or that aider's own files have a key for."""
        wanted: dict[str, list[str]] = {}
        for role, text in self._chosen(builder):
            family, name = family_and_model(text)
            if family is None:
                builder.leave_out(
                    f"{role} = {text} ({self.file})", "its provider is not known: name it as PROVIDER/MODEL"
                )
            elif name not in wanted.setdefault(family, []):
                wanted[family].append(name)
        for prefix, known in kinds("aider").items():
            mine = _variables_of(known) & own
            if mine and not any(mine <= _variables_of(kind_of("aider", other)) for other in wanted):
                wanted[prefix] = []
        for prefix, names in wanted.items():
            self._add_family(builder, prefix, names)
        tell(builder, self.file, self.options, _TOLD)

    def _chosen(self, builder: ResultBuilder) -> Iterator[tuple[str, str]]:
        """Yield the models that the files name, by role; note aider's own aliases."""
        rows = [(_SETTINGS, word(row.get("name"))) for row in self.settings]
        named = [(role, word(self.options.get(role))) for role in _ROLES]
        for role, text in (*named, *rows):
            if text in ALIASES:
                builder.leave_out(
                    f"{role} = {text} ({self.file})", "it is an alias of aider's: name the model"
                )
            elif text and text != _EVERY_MODEL:
                yield role, text

    def _add_family(self, builder: ResultBuilder, prefix: str, names: list[str]) -> None:
        """Add the entries of a provider: one for the models with its address, one for each other address."""
        known = kind_of("aider", prefix)
        if not known.url:
            for name in names:
                refuse_api(builder, f"{prefix}/{name} ({self.file})", known.api)
            return
        key = self.reader.variable(known.key)
        if not names and isinstance(key, NoKey):
            builder.leave_out(f"{known.key} ({self.file})", key.why)
            return
        places: dict[tuple[str, str, str], list[str]] = {}
        for name in names or [""]:
            extra = self._extra(f"{prefix}/{name}", name)
            tell(builder, f"{_SETTINGS}: {prefix}/{name}", extra, _EXTRA_TOLD)
            url = word(extra.get("api_base")) or word(extra.get("base_url"))
            headers = repr(sorted(self._headers(prefix, [name]).items()))
            places.setdefault((url, word(extra.get("api_key")), headers), []).append(name)
        for (url, text, _), there in places.items():
            used = key
            if text:
                used = self.reader.literal(text, at=f"{_SETTINGS}: {prefix}/{there[0]}", label=prefix)
            self._add_place(builder, prefix, url, key=used, names=there)

    def _add_place(
        self, builder: ResultBuilder, prefix: str, url: str, *, key: FoundKey | NoKey, names: list[str]
    ) -> None:
        known = kind_of("aider", prefix)
        if prefix == "openai" and self._asks_azure():
            known = replace(known, api=kind_of("aider", "azure").api)
        variable, set_there = known.address(self.reader.value)
        address = url or set_there
        if address and is_loopback(address) and key == self.reader.variable(known.key):
            key = self.reader.found(known.key)  # a server on this machine need not have one
        if known.api and (address or known.serves):
            step = known.step(address)
            refuse_api(builder, f"{prefix} ({self.file})", known.api, [key], url=address, step=step)
            return
        where: Where = where_of(address, known.dialect, known.url)
        given = {name: self.reader.value(name) for name in known.addresses if self.reader.value(name)}
        if not url and len(set(given.values())) > 1:
            where = Unresolved(f"{' and '.join(given)} give it different ones")
        models = [self._model(prefix, name) for name in names if name]
        at = self.file
        if address and not url:
            at = f"{self.file}: {variable}"
        called = name_at(address, prefix)
        given_headers, there = self._headers(prefix, names), f"{prefix} ({_SETTINGS})"

        def read(text: str) -> FoundKey | NoKey:
            return self.reader.literal(text, at=there, label=prefix)

        headers = carried(builder, given_headers, at=there)
        where, keys = with_header_key(builder, given_headers, read, given=(where, [key]), at=there)
        name = builder.add(called, where, keys, location=at, models=models or None, headers=headers)
        main = word(self.options.get("model"))
        if name and family_and_model(main)[0] == prefix and family_and_model(main)[1] in names:
            builder.leave_out(
                f"model = {main} ({self.file})", PIN.format(pin=f"{name}/{family_and_model(main)[1]}")
            )

    def _asks_azure(self) -> bool:
        """Return whether what aider calls OpenAI is at Azure."""
        kind = word(self.options.get("openai-api-type")) or self.reader.value("OPENAI_API_TYPE")
        return kind.lower().startswith("azure")

    def _extra(self, full: str, name: str) -> Mapping[str, Any]:
        """Return what the settings add to the requests for a model; the part for every model wins."""
        extra: dict[str, Any] = {}
        for wanted in ((full, name), (_EVERY_MODEL,)):
            for row in self.settings:
                if word(row.get("name")) in wanted:
                    extra |= mapping(row.get("extra_params"))
        return extra

    def _headers(self, prefix: str, names: list[str]) -> dict[str, Any]:
        """Return the headers that the settings add to the requests for some models."""
        headers: dict[str, Any] = {}
        for name in names:
            extra = self._extra(f"{prefix}/{name}", name)
            headers |= {**mapping(extra.get("headers")), **mapping(extra.get("extra_headers"))}
        return headers

    def _model(self, prefix: str, name: str) -> object:
        facts = mapping(self.limits.get(f"{prefix}/{name}")) or mapping(self.limits.get(name))
        return written(name, context=facts.get("max_input_tokens"), output=facts.get("max_output_tokens"))
