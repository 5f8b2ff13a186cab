"""`holdfast import openclaw`: `models.providers` of openclaw.json, and the keys of its main agent (2026: its
documents `config-tools/custom-providers`, `config-secrets-env`)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.model_tables import written
from .addresses import DIALECTS, Unresolved, Where, where_is
from .base import ResultBuilder
from .entries import ImportResult
from .headers import carried
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .names import preset_for
from .placeholders import is_placeholder
from .read_files import json5_of, mapping, table_of, variables_of, word, words
from .rows import (
    PIN,
    SIGN_IN,
    refuse_api,
    rows_in,
    with_header_key,
)

_FILE = "openclaw.json"
_HOMES = ("~/.openclaw", "~/.clawdbot")
_NATIVE = {
    "google-generative-ai": "Google's own API",
    "google-vertex": "the API of Google Vertex AI",
    "bedrock-converse-stream": "the API of Amazon Bedrock",
    "azure-openai-responses": "the API of Azure, whose addresses name a version and a deployment",
    "github-copilot": "an API with a sign-in",
    "openai-codex-responses": "an API with a sign-in",
    "openai-chatgpt-responses": "an API with a sign-in",
    "ollama": "Ollama's own API",
}
_USUAL = {"anthropic": "anthropic-messages"}
"""The API of a provider that OpenClaw knows, where nothing names another."""
_BARE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", re.ASCII)
_DEFAULT = re.compile(r"(?<!\$)\$\{([A-Z_][A-Z0-9_]*):-([^}${]*)\}", re.ASCII)
_SIGN_INS = ("oauth", "token", "aws-sdk")
_INCLUDE, _LIVE = "$include", "OPENCLAW_LIVE_"
_ROLES = ("model", "imageModel", "pdfModel")
_PARTS = ("heartbeat", "subagents", "compaction")
"""Kinds of work for which a model may be chosen."""


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return OPENCLAW_CONFIG_PATH, else the file of the state directory."""
    chosen = environ.get("OPENCLAW_CONFIG_PATH")
    if chosen:
        return Path(chosen).expanduser()
    homes = [environ.get("OPENCLAW_STATE_DIR") or "", *_HOMES]
    directories = [Path(home).expanduser() for home in homes if home]
    return next((file for file in map(_file_in, directories) if file.exists()), directories[0] / _FILE)


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the file, and those of the main agent beside it, define. Raises ConfigError when a file
    cannot be read."""
    path = path or default_path(environ)
    if path.is_dir():
        path = _file_in(path)
    config = json5_of(path)
    agent = path.parent / "agents" / "main" / "agent"
    own = {**dict(_variables(mapping(config))), **variables_of(path.with_name(".env"))}
    reader = KeyReader(environ, own, path.name)
    builder = ResultBuilder("openclaw", reader, honours_base_urls=False)
    if config is None:
        builder.leave_out(str(path), "there is no such file")
    own_models = mapping(mapping(table_of(agent / "models.json")).get("providers"))
    profiles = mapping(mapping(table_of(agent / "auth-profiles.json")).get("profiles"))
    openclaw = _OpenClaw(
        mapping(config), own_models=own_models, profiles=profiles, file=path.name, reader=reader
    )
    openclaw.add_to(builder)
    return builder.result()


def _file_in(directory: Path) -> Path:
    older = directory / "clawdbot.json"
    if older.exists() and not (directory / _FILE).exists():
        return older
    return directory / _FILE


def _variables(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    env = mapping(config.get("env"))
    for name, value in {**env, **mapping(env.get("vars"))}.items():
        if isinstance(value, str):
            yield name, value


@dataclass(frozen=True, slots=True)
class _OpenClaw:
    """OpenClaw's configuration, the models.json and the keys of its main agent, and the name of its file."""

    config: Mapping[str, Any]
    own_models: Mapping[str, Any]
    profiles: Mapping[str, Any]
    file: str
    reader: KeyReader

    def add_to(self, builder: ResultBuilder) -> None:
        """Add the providers of the files, then those that only a key is stored for; and the fallbacks."""
        tables = mapping(mapping(self.config.get("models")).get("providers"))
        names: dict[str, str] = {}
        stored = self._stored(builder)
        for called in dict.fromkeys((*tables, *self.own_models, *stored)):
            raw = {**mapping(tables.get(called)), **_set_in(mapping(self.own_models.get(called)))}
            at = f"{self.file}: models.providers.{called}"
            if not raw:
                at = f"auth-profiles.json: {called}"
            keys = stored.get(called, [])
            name = _Provider(called, raw, at=at, stored=keys, reader=self.reader).add_to(builder)
            if name:
                names[called] = name
        if _INCLUDE in self.config or _INCLUDE in mapping(self.config.get("models")):
            builder.leave_out(
                f"{_INCLUDE} ({self.file})", "further files are not read: import each by its path"
            )
        self._add_choices(builder, names)
        for variable in sorted(self.reader.set_by):
            if variable.startswith(_LIVE):
                why = "OpenClaw prefers it to its provider's other keys: holdfast key add NAME --from"
                builder.leave_out(f"{variable} ({self.file})", f"{why} env:{variable}")

    def _stored(self, builder: ResultBuilder) -> dict[str, list[FoundKey | NoKey]]:
        """Return the keys of the main agent, by provider; note the sign-ins."""
        stored: dict[str, list[FoundKey | NoKey]] = {}
        for label, raw in self.profiles.items():
            profile = mapping(raw)
            owner, at = word(profile.get("provider")), f"auth-profiles.json: {label}"
            if word(profile.get("type")) not in ("", "api_key") or word(profile.get("mode")) in _SIGN_INS:
                builder.leave_out(
                    f"the sign-in '{label}' (auth-profiles.json)", SIGN_IN.format(title="OpenClaw")
                )
                continue
            value = profile.get("key") or profile.get("keyRef") or profile.get("apiKey")
            stored.setdefault(owner, []).append(read_key(self.reader, value, at, label))
        return stored

    def _add_choices(self, builder: ResultBuilder, names: Mapping[str, str]) -> None:
        """Note the models that are chosen for each kind of work and each agent, and add their fallbacks."""
        for at, chosen in self._choices():
            primary = word(chosen) or word(mapping(chosen).get("primary"))
            if not primary:
                continue
            pin, what = _pin(primary, names), f"{at} = {primary} ({self.file})"
            if pin is None:
                builder.leave_out(what, "its provider was not imported")
                continue
            builder.leave_out(what, PIN.format(pin=pin))
            then = words(mapping(chosen).get("fallbacks"))
            pins = [_pin(text, names) for text in then]
            for text in [text for text, known in zip(then, pins, strict=True) if known is None]:
                builder.leave_out(f"{text} as a fallback ({self.file})", "its provider was not imported")
            if any(pins) and builder.fallbacks.setdefault(pin, tuple(filter(None, pins))) != tuple(pins):
                builder.leave_out(f"the fallbacks of {what}", f"others are written for {pin}, and used")

    def _choices(self) -> Iterator[tuple[str, object]]:
        """Yield where a model is chosen, and what is written there."""
        agents = mapping(self.config.get("agents"))
        defaults = mapping(agents.get("defaults"))
        for role in _ROLES:
            yield f"agents.defaults.{role}", defaults.get(role)
        for role in _PARTS:
            yield f"agents.defaults.{role}.model", mapping(defaults.get(role)).get("model")
        for position, agent in enumerate(rows_in(agents.get("list"))):
            yield f"agents.list.{word(agent.get('id')) or position}.model", agent.get("model")


def _pin(text: str, names: Mapping[str, str]) -> str | None:
    owner, _, name = text.partition("/")
    if owner not in names or not name:
        return None
    return f"{names[owner]}/{name}"


def _set_in(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the agent's own models.json has a value for; it wins over the configuration."""
    return {name: value for name, value in own.items() if value not in (None, "", [], {})}


def read_key(reader: KeyReader, value: object, at: str, label: str) -> FoundKey | NoKey:
    """Return the key that OpenClaw reads from a text (`${NAME}`, the bare name of a variable, or the key) or
    from the table of a reference."""
    table = mapping(value)
    if table:
        if word(table.get("source")) == "env":
            return reader.variable(word(table.get("id")))
        source = word(table.get("source"))
        return NoKey(f"OpenClaw reads it from a source of its own ({source})")
    text = word(value)
    if _BARE.fullmatch(text) and not is_placeholder(text):
        return reader.variable(text)
    return reader.text(text, Syntax.BRACES, at=at, label=label)


@dataclass(frozen=True, slots=True)
class _Provider:
    """A provider: its table, and the keys that are stored for it."""

    called: str
    raw: Mapping[str, Any]
    at: str
    stored: list[FoundKey | NoKey]
    reader: KeyReader

    def add_to(self, builder: ResultBuilder) -> str | None:
        """Add the provider; return the name that it gets, None when it is left out."""
        shown, keys = f"{self.called} ({self.at})", self.all_keys()
        apis = {word(row.get("api")) for row in rows_in(self.raw.get("models"))} - {""}
        api = word(self.raw.get("api"))
        if not api and len(apis) == 1:
            api = apis.pop()
        url = self._url()
        if apis - {api}:
            why = "its models speak different APIs: holdfast provider add NAME --endpoint DIALECT=URL"
            builder.refuse(shown, why, keys, url=url)
            return None
        dialect = DIALECTS.get(api or _USUAL.get(self.called, "openai-completions"))
        if dialect is None:
            refuse_api(builder, shown, _NATIVE.get(api, f"'{api}'"), keys, url=url)
            return None
        if word(self.raw.get("auth")) in _SIGN_INS:
            builder.refuse(shown, SIGN_IN.format(title="OpenClaw"), keys, url=url)
            return None
        builder.tell_fields(self.raw, "openclaw.provider", at=self.at)
        for row in rows_in(self.raw.get("models")):
            builder.tell_fields(row, "openclaw.model", at=f"{self.at}.models: {word(row.get('id'))}")
        headers = mapping(self.raw.get("headers"))
        at = f"'{self.called}' ({self.at})"
        given = (self._where(url, dialect), keys)
        where, used = with_header_key(builder, headers, self._read, given=given, at=at)
        return builder.add(
            self.called,
            where,
            used,
            location=self.at,
            models=list(self._models()) or None,
            headers=carried(builder, headers, at=at),
        )

    def _url(self) -> str:
        text = _DEFAULT.sub(
            lambda match: self.reader.value(match[1]) or match[2], word(self.raw.get("baseUrl"))
        )
        return self.reader.expand(text, Syntax.BRACES).text

    def _where(self, url: str, dialect: str) -> Where:
        if "${" in url:
            return Unresolved(self.reader.expand(url, Syntax.BRACES).why_not)
        auth = ""
        if self.raw.get("authHeader") is True:
            auth = "bearer"
        return where_is(url, dialect, preset_for("openclaw", self.called), auth=auth)

    def all_keys(self) -> list[FoundKey | NoKey]:
        """Return the key of the configuration, and those that are stored."""
        own = self.raw.get("apiKey")
        if own:
            return [read_key(self.reader, own, f"{self.at}.apiKey", self.called), *self.stored]
        return self.stored or [NoKey()]

    def _read(self, text: str) -> FoundKey | NoKey:
        return read_key(self.reader, text, f"{self.at}.headers", self.called)

    def _models(self) -> Iterator[object]:
        rows = self.raw.get("models")
        for name in words(rows):
            row = next((row for row in rows_in(rows) if word(row.get("id")) == name), {})
            if name:
                yield written(
                    name,
                    context=row.get("contextWindow"),
                    output=row.get("maxTokens"),
                    input=row.get("input"),
                    reasoning=row.get("reasoning"),
                )
