"""`holdfast import codex`: `[model_providers.*]` of ~/.codex/config.toml (Codex 0.169: documents `config.md`,
"model_providers")."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .base import DIALECTS, Found, FoundKey, Gathering, address, literal, preset_for, variable
from .read_files import mapping, table_of, word, words


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """CODEX_HOME, else ~/.codex."""
    return Path(environ.get("CODEX_HOME") or "~/.codex").expanduser() / "config.toml"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> Found:
    """What config.toml defines, and the API key beside it in auth.json. Raises ConfigError when one cannot be
    read."""
    path = path or default_path(environ)
    path = path / "config.toml" if path.is_dir() else path
    config = table_of(path)
    gathered = Gathering("codex")
    if config is None:
        gathered.leave(str(path), "there is no such file")
        return gathered.found()
    chosen: dict[str, list[str]] = {}
    for table in (config, *map(mapping, mapping(config.get("profiles")).values())):
        provider, model = word(table.get("model_provider")) or "openai", word(table.get("model"))
        if model and model not in chosen.setdefault(provider, []):
            chosen[provider].append(model)
    for name, raw in mapping(config.get("model_providers")).items():
        _provider(gathered, name, mapping(raw), chosen.get(name, []), environ)
    _sign_in(gathered, path.with_name("auth.json"))
    return gathered.found()


def _provider(
    gathered: Gathering, name: str, raw: Mapping[str, Any], models: list[str], environ: Mapping[str, str]
) -> None:
    place, dialect = f"model_providers.{name}", DIALECTS.get(word(raw.get("wire_api")) or "chat")
    url, preset = word(raw.get("base_url")), preset_for("codex", name)
    if dialect is None or not (url or preset):
        gathered.leave(
            f"{name} ({place})",
            "it has no base_url"
            if dialect
            else f"wire_api '{word(raw.get('wire_api'))}' is not one that we speak",
        )
        return
    for field in ("query_params", "http_headers", "env_http_headers"):
        if mapping(raw.get(field)):
            names = ", ".join(words(raw.get(field)))
            gathered.leave(
                f"{field} of '{name}' ({names})",
                "an endpoint has no query"
                if field == "query_params"
                else "they may hold keys: write headers yourself",
            )
    keys = [key for key in (_key(name, raw, environ),) if key is not None]
    gathered.add(
        name,
        {**(address(url, dialect) if url else {"preset": preset}), "models": tuple(models) or None},
        keys,
        place,
    )


def _key(name: str, raw: Mapping[str, Any], environ: Mapping[str, str]) -> FoundKey | None:
    """`env_key`, else the program of `auth`, else a token that stands there."""
    auth = mapping(raw.get("auth"))
    if command := word(auth.get("command")):
        arguments = auth.get("args") if isinstance(auth.get("args"), list) else []
        return FoundKey(f"cmd:{shlex.join([command, *map(str, arguments or [])])}")
    return variable(word(raw.get("env_key")), environ) or literal(
        word(raw.get("experimental_bearer_token")), f"model_providers.{name}", name
    )


def _sign_in(gathered: Gathering, path: Path) -> None:
    auth = mapping(table_of(path))
    value = next((word(one) for name, one in auth.items() if name.endswith("_KEY")), "")
    if key := literal(value, str(path), "codex"):
        gathered.add("openai", {"preset": "openai"}, [key], str(path))
    if mapping(auth.get("tokens")):
        gathered.leave(f"the ChatGPT sign-in ({path})", "a refresh token has one owner, and it is Codex")
