"""`holdfast import codex`: `[model_providers.*]` of ~/.codex/config.toml (Codex 0.169: documents `config.md`,
"model_providers")."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .base import DIALECTS, FoundKey, ImportResult, ResultBuilder, key_list, literal, url_or_preset, variable
from .names import preset_for
from .read_files import mapping, table_of, word, words

_NOT_CARRIED = {
    "query_params": "an endpoint has no query",
    "http_headers": "they may hold keys: write headers = { … } yourself",
    "env_http_headers": "they may hold keys: write headers = { … } yourself",
}


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return config.toml in CODEX_HOME, else in ~/.codex."""
    return Path(environ.get("CODEX_HOME") or "~/.codex").expanduser() / "config.toml"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what config.toml defines, and the API key beside it in auth.json. Raises ConfigError when one of
    them cannot be read."""
    path = path or default_path(environ)
    if path.is_dir():
        path = path / "config.toml"
    config = table_of(path)
    builder = ResultBuilder("codex")
    if config is None:
        builder.leave_out(str(path), "there is no such file")
        return builder.result()
    models = _models_by_provider(config)
    for name, raw in mapping(config.get("model_providers")).items():
        _Provider(name, mapping(raw), environ).add_to(builder, models.get(name, []))
    _add_api_key(builder, path.with_name("auth.json"))
    return builder.result()


def _models_by_provider(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the models that the file and its profiles choose, by provider, each once."""
    models: dict[str, list[str]] = {}
    for table in (config, *map(mapping, mapping(config.get("profiles")).values())):
        provider = word(table.get("model_provider")) or "openai"
        model = word(table.get("model"))
        if model and model not in models.setdefault(provider, []):
            models[provider].append(model)
    return models


@dataclass(frozen=True, slots=True)
class _Provider:
    """A table `[model_providers.NAME]`."""

    name: str
    raw: Mapping[str, Any]
    environ: Mapping[str, str]

    @property
    def location(self) -> str:
        return f"model_providers.{self.name}"

    def add_to(self, builder: ResultBuilder, models: list[str]) -> None:
        """Add the provider to `builder`, or note why it is left out."""
        wire_api = word(self.raw.get("wire_api")) or "chat"
        dialect = DIALECTS.get(wire_api)
        url, preset = word(self.raw.get("base_url")), preset_for("codex", self.name)
        shown = f"{self.name} ({self.location})"
        if dialect is None:
            builder.leave_out(shown, f"wire_api '{wire_api}' is not supported")
            return
        if not url and not preset:
            builder.leave_out(shown, "it has no base_url")
            return
        for field, why in _NOT_CARRIED.items():
            if mapping(self.raw.get(field)):
                names = ", ".join(words(self.raw.get(field)))
                builder.leave_out(f"{field} of '{self.name}' ({names})", why)
        fields = {**url_or_preset(url, dialect, preset), "models": tuple(models) or None}
        key = self._key()
        builder.add(self.name, fields, key_list(key), self.location)

    def _key(self) -> FoundKey | None:
        """Return the key: of the program in `auth`, else of `env_key`, else the token in the file."""
        auth = mapping(self.raw.get("auth"))
        command, arguments = word(auth.get("command")), auth.get("args")
        if command:
            if not isinstance(arguments, list):
                arguments = []
            return FoundKey(f"cmd:{shlex.join([command, *map(str, arguments)])}")
        token = word(self.raw.get("experimental_bearer_token"))
        named = variable(word(self.raw.get("env_key")), self.environ)
        return named or literal(token, self.location, self.name)


def _add_api_key(builder: ResultBuilder, path: Path) -> None:
    auth = mapping(table_of(path))
    value = next((word(value) for name, value in auth.items() if name.endswith("_KEY")), "")
    key = literal(value, str(path), "codex")
    if key is not None:
        builder.add("openai", {"preset": "openai"}, [key], str(path))
    if mapping(auth.get("tokens")):
        builder.leave_out(
            f"the ChatGPT sign-in ({path})", "a refresh token works for one program only, and Codex uses it"
        )
