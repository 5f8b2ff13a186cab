"""`holdfast import claude-code-router`: the providers of claude-code-router, of config.json (2.0) or of
config.sqlite (3.0, which reads config.json only once)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.model_tables import written
from .addresses import OwnUrl, Unresolved, Where
from .base import ResultBuilder
from .entries import ImportResult
from .headers import carried
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .read_files import json5_of, mapping, word, words
from .rows import (
    CHAT,
    MESSAGES,
    PIN,
    PROXY,
    RESPONSES,
    TIMEOUT,
    inputs,
    refuse_api,
    rows_in,
    tell,
    with_header_key,
)
from .sqlite_rows import json_of

_DATABASE = "config.sqlite"
_FORMS = {"anthropic": MESSAGES, "openai-responses": RESPONSES, "openai-response": RESPONSES}
"""Transformers that mean another API than chat completions."""
_NATIVE = {
    "gemini": "Google's own API",
    "vertex-gemini": "Google Vertex AI",
    "vertex-claude": "Google Vertex AI",
    "gemini-cli": "Google's own API with a sign-in",
    "qwen-cli": "an API with a sign-in",
    "rovo-cli": "an API with a sign-in",
}
_PROTOCOLS = {
    "openai_chat_completions": CHAT,
    "openai_responses": RESPONSES,
    "anthropic_messages": MESSAGES,
}
_NATIVE_PROTOCOLS = {"gemini_generate_content": "Google's own API", "gemini_interactions": "Google's own API"}
_CALLS = {CHAT: "/chat/completions", RESPONSES: "/responses", MESSAGES: "/messages"}
_TOLD = {
    "APIKEY": "our gateway has tokens of its own: holdfast token new",
    "PROXY_URL": PROXY,
    "API_TIMEOUT_MS": TIMEOUT,
    "CUSTOM_ROUTER_PATH": "a session here stays on the model that it is given",
    "transformers": "Holdfast runs no code of other programs",
}
_SCENARIOS = ("default", "background", "think", "longContext", "webSearch", "image")


def default_path() -> Path:
    """Return the program's directory."""
    return Path("~/.claude-code-router").expanduser()


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the program's directory, or the file at `path`, defines. Raises ConfigError when it cannot
    be read."""
    path = path or default_path()
    reader = KeyReader(environ)
    builder = ResultBuilder("claude-code-router", reader)
    if path.is_dir():
        database = path / _DATABASE
        path = path / "config.json"
        if database.exists() and path.exists():
            builder.leave_out(str(path), f"version 3 no longer reads it: {database} is read")
        if database.exists():
            path = database
    config = _config(path)
    if config is None:
        builder.leave_out(str(path), "there is no such file")
        return builder.result()
    _Router(config, path.name, reader).add_to(builder)
    return builder.result()


def _config(path: Path) -> Mapping[str, Any] | None:
    if path.suffix in (".sqlite", ".db"):
        return json_of(path, "app_config", "value_json", ("Providers", "Router"))
    return json5_of(path)


@dataclass(frozen=True, slots=True)
class _Router:
    """The configuration of claude-code-router, and the name of its file."""

    config: Mapping[str, Any]
    file: str
    reader: KeyReader

    def add_to(self, builder: ResultBuilder) -> None:
        """Add the providers, and the fallbacks of the models that its scenarios choose."""
        names: dict[str, str] = {}
        for index, raw in enumerate(rows_in(self.config.get("Providers") or self.config.get("providers"))):
            provider = _Provider(raw, f"{self.file}: Providers[{index}]", self.reader)
            name = provider.add_to(builder)
            if name:
                names[provider.name] = name
        tell(builder, self.file, self.config, _TOLD)
        if self.file != _DATABASE:
            builder.tell_fields(self.config, "claude-code-router.top", at=self.file)
        builder.tell_fields(
            mapping(self.config.get("Router")), "claude-code-router.router", at=f"{self.file}: Router"
        )
        self._add_scenarios(builder, names)

    def _add_scenarios(self, builder: ResultBuilder, names: Mapping[str, str]) -> None:
        router, fallbacks = mapping(self.config.get("Router")), mapping(self.config.get("fallback"))
        for scenario in _SCENARIOS:
            chosen = word(router.get(scenario))
            if not chosen:
                continue
            pin = self._pin(chosen, names)
            what = f"Router.{scenario} = {chosen} ({self.file})"
            if pin is None:
                builder.leave_out(what, "its provider was not imported")
                continue
            why = PIN.format(pin=pin)
            if scenario != "default":
                why = f"a session here has one model for everything: {why}"
            builder.leave_out(what, why)
            then = [self._pin(text, names) for text in words(fallbacks.get(scenario))]
            if pin not in builder.fallbacks and then:
                builder.fallbacks[pin] = tuple(filter(None, then))

    def _pin(self, text: str, names: Mapping[str, str]) -> str | None:
        """Return the pin that `provider,model` means; None when the provider was not imported."""
        provider, _, name = text.partition(",")
        if provider.strip() not in names or not name.strip():
            return None
        return f"{names[provider.strip()]}/{name.strip()}"


@dataclass(frozen=True, slots=True)
class _Provider:
    """A row of `Providers`."""

    raw: Mapping[str, Any]
    at: str
    reader: KeyReader

    @property
    def name(self) -> str:
        return word(self.raw.get("name"))

    def add_to(self, builder: ResultBuilder) -> str | None:
        """Add the provider; return the name that it gets, None when it is left out."""
        shown = f"{self.name} ({self.at})"
        if self.raw.get("enabled") is False:
            builder.refuse(shown, "it is disabled there", self._keys(), url=self._url())
            return None
        api, dialect = self._api()
        if api:
            refuse_api(builder, shown, api, self._keys(), url=self._url())
            return None
        builder.tell_fields(self.raw, "claude-code-router.provider", at=self.at)
        self._tell_transformers(builder, dialect)
        headers = mapping(self.raw.get("extraHeaders"))
        given = (self._where(builder, dialect), self._keys())
        where, keys = with_header_key(builder, headers, self._in_header, given=given, at=self.at)
        return builder.add(
            self.name,
            where,
            keys,
            location=self.at,
            models=list(self._models()) or None,
            headers=carried(builder, headers, at=self.at),
        )

    def _api(self) -> tuple[str, str]:
        """Return the name of the API if it is none of our dialects, and the dialect."""
        protocol = word(self.raw.get("type"))
        if protocol in _NATIVE_PROTOCOLS:
            return _NATIVE_PROTOCOLS[protocol], ""
        if protocol in _PROTOCOLS:
            return "", _PROTOCOLS[protocol]
        used = [name.lower() for name in self._transformers()]
        native = next((_NATIVE[name] for name in used if name in _NATIVE), "")
        if native or self._url().rstrip("/").endswith("/v1beta/models"):
            return native or "Google's own API", ""
        return "", next((_FORMS[name] for name in used if name in _FORMS), CHAT)

    def _transformers(self) -> list[str]:
        """Return the names of the transformers for all models, without their options."""
        names = []
        for row in self._used():
            head = row
            if isinstance(row, list) and row:
                head = row[0]
            names.append(word(head))
        return list(filter(None, names))

    def _used(self) -> list[Any]:
        use = mapping(self.raw.get("transformer")).get("use")
        if isinstance(use, list):
            return use
        return []

    def _tell_transformers(self, builder: ResultBuilder, dialect: str) -> None:
        names = [name for name in self._transformers() if name.lower() not in _FORMS]
        names += [name for name in mapping(self.raw.get("transformer")) if name != "use"]
        if names:
            why = (
                f"Holdfast sends requests of the dialect {dialect} as they are, and translates others into it"
            )
            builder.leave_out(f"transformer ({self.at}: {', '.join(names)})", why)

    def _first(self, *names: str) -> str:
        return next(filter(None, (word(self.raw.get(name)) for name in names)), "")

    def _url(self) -> str:
        text = self._first("api_base_url", "baseurl", "baseUrl")
        return self.reader.expand(text, Syntax.DOLLAR).text

    def _where(self, builder: ResultBuilder, dialect: str) -> Where:
        expanded = self.reader.expand(self._first("api_base_url", "baseurl", "baseUrl"), Syntax.DOLLAR)
        if expanded.missing or not expanded.text:
            return Unresolved(expanded.why_not or "none is written there")
        url = expanded.text.rstrip("/")
        if not self.raw.get("type") and not url.endswith(_CALLS[dialect]):
            why = f"claude-code-router asks exactly this URL; here {_CALLS[dialect]} comes after it"
            builder.leave_out(f"api_base_url ({self.at})", why)
        return OwnUrl(expanded.text, dialect, self._auth())

    def _auth(self) -> str:
        """Return how the key is sent: as a bearer token where the transformer Anthropic says so."""
        for row in self._used():
            if isinstance(row, list) and len(row) > 1 and mapping(row[1]).get("UseBearer") is True:
                return "bearer"
        return ""

    def _keys(self) -> list[FoundKey | NoKey]:
        """Return the pool of keys, else the one key."""
        pool = [row for row in rows_in(self.raw.get("credentials")) if row.get("enabled") is not False]
        keys = [self._key(row, f"{self.at}.credentials", word(row.get("name"))) for row in pool]
        if keys:
            return keys
        return [self._key(self.raw, f"{self.at}.api_key", self.name)]

    def _in_header(self, text: str) -> FoundKey | NoKey:
        return self.reader.text(text, Syntax.DOLLAR, at=f"{self.at}.extraHeaders", label=self.name)

    def _key(self, row: Mapping[str, Any], at: str, label: str) -> FoundKey | NoKey:
        text = next(filter(None, (word(row.get(name)) for name in ("api_key", "apiKey", "apikey"))), "")
        return self.reader.text(text, Syntax.DOLLAR, at=at, label=label or self.name)

    def _models(self) -> Iterator[object]:
        facts = mapping(self.raw.get("modelMetadata"))
        for name in words(self.raw.get("models")):
            known = mapping(facts.get(name))
            yield written(
                name,
                context=known.get("contextWindow"),
                output=known.get("maxOutputTokens"),
                input=inputs(mapping(known.get("capabilities")).get("imageInput")),
            )
