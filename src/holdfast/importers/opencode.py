"""`holdfast import opencode`: the table `provider` of opencode.json (with comments) and auth.json (opencode
1.18, its docs `providers`)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .base import Found, FoundKey, Gathering, address, literal, preset_for, variable
from .read_files import mapping, table_of, word, words

_DIALECTS = {
    "@ai-sdk/openai-compatible": "openai-chat", "@ai-sdk/openai": "openai-responses", "@ai-sdk/anthropic": "anthropic-messages",
    "@openrouter/ai-sdk-provider": "openai-chat", "@ai-sdk/groq": "openai-chat", "@ai-sdk/mistral": "openai-chat", "@ai-sdk/xai": "openai-chat",
    "@ai-sdk/deepinfra": "openai-chat", "@ai-sdk/cerebras": "openai-chat", "@ai-sdk/togetherai": "openai-chat",
}  # fmt: skip
_REFERENCE = re.compile(r"\{(env|file):([^}]+)\}")


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """OPENCODE_CONFIG, else the global opencode.jsonc or opencode.json."""
    if chosen := environ.get("OPENCODE_CONFIG"):
        return Path(chosen).expanduser()
    directory = Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "opencode"
    return next(
        (one for name in ("opencode.jsonc", "opencode.json") if (one := directory / name).exists()),
        directory / "opencode.json",
    )


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> Found:
    """What the file and the sign-ins define. A project's file may redirect a provider, so only the global
    one, or the one that you name, is read. Raises ConfigError when one cannot be read."""
    path = path or default_path(environ)
    data = Path(environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "opencode" / "auth.json"
    config, auth = table_of(path), mapping(table_of(data))
    gathered = Gathering("opencode")
    if config is None and not auth:
        gathered.leave(str(path), "there is no such file")
    providers = mapping(mapping(config).get("provider"))
    disabled = words(mapping(config).get("disabled_providers"))
    for name in dict.fromkeys((*providers, *auth)):
        if name in disabled:
            gathered.leave(name, "it stands among disabled_providers")
        else:
            _provider(gathered, name, mapping(providers.get(name)), mapping(auth.get(name)), path, environ)
    return gathered.found()


def _provider(
    gathered: Gathering,
    name: str,
    raw: Mapping[str, Any],
    auth: Mapping[str, Any],
    path: Path,
    environ: Mapping[str, str],
) -> None:
    place = f"provider.{name}" if raw else f"auth.json: {name}"
    options, preset = mapping(raw.get("options")), preset_for("opencode", name)
    package, url = word(raw.get("npm")), word(options.get("baseURL")) or word(raw.get("api"))
    dialect = _DIALECTS.get(
        package or ("@ai-sdk/anthropic" if name == "anthropic" else "@ai-sdk/openai-compatible")
    )
    if dialect is None or not (url or preset):
        gathered.leave(
            f"{name} ({place})",
            f"'{package}' speaks no dialect of ours"
            if dialect is None
            else "it has no baseURL, and no preset has its name",
        )
        return
    if _REFERENCE.search(url):
        gathered.leave(
            f"{name} ({place})", "its baseURL is made of variables: holdfast provider add NAME --url URL"
        )
        return
    if mapping(options.get("headers")):
        gathered.leave(
            f"headers of '{name}' ({', '.join(words(options.get('headers')))})",
            "they may hold keys: write headers = { … } yourself",
        )
    if word(auth.get("type")) in ("oauth", "wellknown"):
        gathered.leave(
            f"the sign-in of '{name}' (auth.json)",
            "it belongs to opencode, and a refresh token has one owner",
        )
        if not url:
            return
    named = next(
        (one for one in words(raw.get("env")) if environ.get(one)), next(iter(words(raw.get("env"))), "")
    )
    key = (
        _key(word(options.get("apiKey")), path, environ, name)
        or literal(word(auth.get("key")), "auth.json", name)
        or variable(named, environ)
    )
    listed = {called: mapping(one) for called, one in mapping(raw.get("models")).items()}
    for called in [
        called
        for called, one in listed.items()
        if word(mapping(one.get("provider")).get("npm")) not in ("", package)
    ]:
        gathered.leave(f"{name}/{called}", "it speaks through another package than its provider")
        del listed[called]
    models = tuple(word(one.get("id")) or called for called, one in listed.items())
    fields: dict[str, Any] = address(url, dialect) if url else {"preset": preset}
    gathered.add(
        name,
        {**fields, "models": models if models and url else None},
        [key] if key is not None else [],
        place,
    )


def _key(text: str, path: Path, environ: Mapping[str, str], label: str) -> FoundKey | None:
    """`{env:NAME}`, `{file:PATH}` (relative to the file that says so) or a literal."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return literal(text, path.name, label) if text else None
    if match[1] == "env":
        return variable(match[2].strip(), environ)
    place = Path(match[2].strip()).expanduser()
    return FoundKey(f"file:{place if place.is_absolute() else path.absolute().parent / place}")
