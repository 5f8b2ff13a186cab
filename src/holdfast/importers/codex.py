"""`holdfast import codex`: the providers of ~/.codex/config.toml and of the profiles beside it (Codex 0.169:
documents `config.md`, "model_providers"; its crates `model-provider-info` and `login`)."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..providers import presets
from .addresses import DIALECTS, OfPreset, OwnUrl, Unresolved, Where, where_is
from .base import ResultBuilder
from .entries import ImportResult
from .fields import known
from .headers import carried, key_in
from .keys import FoundKey, KeyReader, NoKey, command_key
from .names import preset_for
from .pairing import place_of
from .read_files import mapping, table_of, word
from .rows import first_key

_RESPONSES = "openai-responses"
_BUILT_IN = "openai"
_HEADER = "a header"
_SIGNED_IN = "Codex takes its own sign-in, and auth.json has no API key"
_INHERITED = ("model", "model_provider", "openai_base_url")
_LOCAL = ("ollama", "lmstudio", "oss")
"""Providers on this machine that Codex knows without a table."""


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return config.toml in CODEX_HOME, else in ~/.codex."""
    return Path(environ.get("CODEX_HOME") or "~/.codex").expanduser() / "config.toml"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what config.toml and the profiles beside it define, and the API key in auth.json. Raises
    ConfigError when one of them cannot be read."""
    path = path or default_path(environ)
    if path.is_dir():
        path = path / "config.toml"
    config = table_of(path)
    reader = KeyReader(environ)
    builder = ResultBuilder("codex", reader)
    auth_path = path.with_name("auth.json")
    signed_in = _signed_in(builder, auth_path)
    if config is None and isinstance(signed_in, NoKey) and not auth_path.exists():
        builder.leave_out(str(path), "there is no such file")
    layers = list(_layers(path, config or {}))
    models = _models_by_provider(layers)
    tables = _tables(builder, layers)
    for name, (at, raw) in tables.items():
        provider = _Provider(name, raw, f"{at}: model_providers.{name}", signed_in=signed_in, builder=builder)
        provider.add(models.pop(name, []))
    _add_built_in(
        builder, layers, signed_in, models=models.pop(_BUILT_IN, []), is_redefined=_BUILT_IN in tables
    )
    for name, chosen in models.items():
        if name in _LOCAL:
            preset = preset_for("codex", name)
            builder.add(name, where_is("", _RESPONSES, preset), location="model_provider", models=chosen)
        else:
            builder.leave_out(f"{', '.join(chosen)} at '{name}'", "no table says where that provider is")
    _tell_choices(builder, layers)
    return builder.result()


def _tell_choices(builder: ResultBuilder, layers: list[tuple[str, Mapping[str, Any]]]) -> None:
    """Note the models that the files choose, and the settings that go with them."""
    for at, layer in layers:
        model, provider = word(layer.get("model")), word(layer.get("model_provider")) or _BUILT_IN
        if model and provider != "holdfast":
            pin = f"{provider}/{model}"
            builder.leave_out(f"the model '{pin}' of {at}", builder.chosen(pin))
        for name, why in known("codex.settings").reasons.items():
            if layer.get(name):
                builder.leave_out(f"{name} of {at}", why)


def _layers(path: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield config.toml, the profiles in it (of versions up to 0.150), and those in files of their own, each
    with its location; a profile stands above config.toml."""
    yield path.name, config
    base = {name: config[name] for name in _INHERITED if name in config}
    for name, profile in mapping(config.get("profiles")).items():
        yield f"{path.name}: profiles.{name}", {**base, **mapping(profile)}
    for beside in sorted(path.parent.glob("*.config.toml")):
        yield beside.name, {**base, **(table_of(beside) or {})}


def _models_by_provider(layers: list[tuple[str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Return the models that the file and its profiles choose, by provider, each once."""
    models: dict[str, list[str]] = {}
    for _, layer in layers:
        provider = word(layer.get("model_provider")) or _BUILT_IN
        for model in (word(layer.get("model")), word(layer.get("review_model"))):
            if model and model not in models.setdefault(provider, []):
                models[provider].append(model)
    return models


def _tables(
    builder: ResultBuilder, layers: list[tuple[str, Mapping[str, Any]]]
) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Return the tables of providers by name, each with its file; note one that two files define
    differently."""
    tables: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for at, layer in layers:
        for name, raw in mapping(layer.get("model_providers")).items():
            first = tables.setdefault(name, (at, mapping(raw)))
            if first[1] != mapping(raw):
                builder.refuse(
                    f"'{name}' ({at})", f"{first[0]} defines it otherwise, and that was read", url=""
                )
    return tables


def _signed_in(builder: ResultBuilder, path: Path) -> FoundKey | NoKey:
    """Return the API key of auth.json; note a sign-in."""
    auth = mapping(table_of(path))
    if mapping(auth.get("tokens")):
        builder.leave_out(
            f"the ChatGPT sign-in ({path})", "a refresh token works for one program only, and Codex uses it"
        )
    value = next((word(value) for name, value in auth.items() if name.endswith("_KEY")), "")
    return builder.reader.literal(value, at=str(path), label="codex")


def _add_built_in(
    builder: ResultBuilder,
    layers: list[tuple[str, Mapping[str, Any]]],
    signed_in: FoundKey | NoKey,
    *,
    models: list[str],
    is_redefined: bool,
) -> None:
    """Add the provider `openai` that Codex has by itself, where its key is in auth.json: at the URL that the
    files give it, else at its maker's."""
    chosen = [layer for _, layer in layers if word(layer.get("model_provider")) in ("", _BUILT_IN)]
    urls = list(dict.fromkeys(word(layer.get("openai_base_url")) for layer in chosen or [layers[0][1]]))
    if isinstance(signed_in, NoKey) and not any(urls):
        return
    key: FoundKey | NoKey = signed_in
    location = "auth.json"
    if urls[0]:
        location = "openai_base_url"
    where: Where = OwnUrl(urls[0], _RESPONSES)
    why = _why_unknown(builder, urls, layers[0][1], is_redefined=is_redefined)
    if why:
        where = Unresolved(why)
    elif not urls[0] and isinstance(signed_in, FoundKey):
        where, key = OfPreset(_BUILT_IN, _RESPONSES), signed_in.by_name()
    builder.add(_BUILT_IN, where, [key], location=location, models=models)


def _why_unknown(
    builder: ResultBuilder, urls: list[str], config: Mapping[str, Any], *, is_redefined: bool
) -> str:
    """Return why it cannot be told where the provider `openai` is; "" when it can."""
    if len(urls) > 1:
        return "config.toml and a profile give it different ones as openai_base_url"
    if urls[0]:
        return ""
    if is_redefined:
        return "[model_providers.openai] gives it another one, which Codex 0.169 refuses"
    if word(config.get("base_url")):
        return "base_url gives it one, which Codex does not read there (openai_base_url is its name)"
    given = place_of(OfPreset(_BUILT_IN), builder.families())
    if not isinstance(given, OfPreset):
        return "OPENAI_BASE_URL gives it another one, which Codex reads no longer"
    return ""


@dataclass(frozen=True, slots=True)
class _Provider:
    """A table `[model_providers.NAME]`. `signed_in` is the key of auth.json."""

    name: str
    raw: Mapping[str, Any]
    location: str
    signed_in: FoundKey | NoKey
    builder: ResultBuilder

    def add(self, models: list[str]) -> None:
        """Add the provider, or note why it is left out."""
        wire_api = word(self.raw.get("wire_api")) or "responses"
        dialect = DIALECTS.get(wire_api)
        at, url = f"'{self.name}' ({self.location})", word(self.raw.get("base_url"))
        auth, key = self._auth_and_key(at, url)
        if dialect is None or mapping(self.raw.get("aws")):
            why = f"wire_api '{wire_api}' is not supported"
            if dialect:
                why = "Holdfast does not sign requests for AWS"
            self.builder.refuse(f"{self.name} ({self.location})", why, [key], url=url)
            return
        self.builder.tell_fields(self.raw, "codex.provider", at=at)
        self.builder.tell_fields(mapping(self.raw.get("auth")), "codex.auth", at=f"auth of {at}")
        in_variables = self._headers_in_variables()
        headers = in_variables | {
            name: value
            for name, value in mapping(self.raw.get("http_headers")).items()
            if name not in in_variables
        }
        self.builder.add(
            self.name,
            self._where(url, dialect, auth, key),
            [key],
            location=self.location,
            models=models,
            headers=carried(self.builder, headers, at=at, hold_the_key=bool(auth)),
        )

    def _where(self, url: str, dialect: str, auth: str, key: FoundKey | NoKey) -> Where:
        """Return where the provider is. Without a URL, Codex asks OpenAI, unless it knows the name itself."""
        if url:
            return OwnUrl(url, dialect, auth)
        if self.name in _LOCAL:
            return where_is("", dialect, preset_for("codex", self.name))
        owner = presets.owner_of_variable(getattr(key, "ref", "").removeprefix("env:"))
        if owner not in (None, _BUILT_IN) or self.name in presets.rows().keys() - {_BUILT_IN}:
            return Unresolved("there is no base_url, and Codex would ask OpenAI")
        return OfPreset(_BUILT_IN, dialect)

    def _auth_and_key(self, at: str, url: str) -> tuple[str, FoundKey | NoKey]:
        """Return the key, as Codex chooses it, and how it is sent, "" for the usual way; note the others."""
        keys = self._keys()
        auth, in_header = key_in(mapping(self.raw.get("env_http_headers")), self.builder.reader.variable)
        if not auth:
            auth, in_header = key_in(mapping(self.raw.get("http_headers")), self._literal)
        if all(key == NoKey() for key in keys.values()):
            keys[_HEADER] = in_header
        keys["auth.json"] = self._of_sign_in()
        used, key = first_key(self.builder, keys, at=at, url=url)
        if used != _HEADER:
            auth = ""
        return auth, key

    def _keys(self) -> dict[str, FoundKey | NoKey]:
        """Return the keys that the table gives, in their order."""
        auth = mapping(self.raw.get("auth"))
        command, arguments = word(auth.get("command")), auth.get("args")
        printed: FoundKey | NoKey = NoKey()
        if command:
            if not isinstance(arguments, list):
                arguments = []
            printed = command_key(shlex.join([command, *map(str, arguments)]))
        return {
            "auth": printed,
            "env_key": self.builder.reader.variable(word(self.raw.get("env_key"))),
            "experimental_bearer_token": self._literal(word(self.raw.get("experimental_bearer_token"))),
        }

    def _of_sign_in(self) -> FoundKey | NoKey:
        """Return the key of auth.json, where the table asks for it."""
        if self.raw.get("requires_openai_auth") is not True:
            return NoKey()
        if isinstance(self.signed_in, FoundKey):
            return replace(self.signed_in, label=self.name)
        return NoKey(self.signed_in.why or _SIGNED_IN)

    def _literal(self, text: str) -> FoundKey | NoKey:
        return self.builder.reader.literal(text, at=self.location, label=self.name)

    def _headers_in_variables(self) -> dict[str, str]:
        """Return the headers whose values are in variables. They are told: a variable may hold anything."""
        names = mapping(self.raw.get("env_http_headers"))
        return {name: f"${variable}" for name, variable in names.items()}
