"""`holdfast import pi`: models.json and auth.json of Pi's agent directory (pi-coding-agent 0.73 to 1.5: its
docs/models.md, providers.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .base import DIALECTS, Found, FoundKey, Gathering, address, literal, preset_for, variable
from .read_files import mapping, table_of, word, words

_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.ASCII)
_BARE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", re.ASCII)


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """PI_CODING_AGENT_DIR, else ~/.pi/agent."""
    return Path(environ.get("PI_CODING_AGENT_DIR") or "~/.pi/agent").expanduser()


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> Found:
    """What the directory defines. Raises ConfigError when a file of it cannot be read."""
    path = path or default_path(environ)
    directory = path if path.is_dir() else path.parent
    gathered = Gathering("pi")
    models, auth = (
        table_of(directory / "models.json" if path.is_dir() else path),
        mapping(table_of(directory / "auth.json")),
    )
    if models is None and not auth:
        gathered.leave(str(directory), "it has neither models.json nor auth.json")
    providers = mapping(mapping(models).get("providers"))
    for name, raw in providers.items():
        _provider(gathered, name, mapping(raw), mapping(auth.get(name)), environ)
    for name in auth:
        if name not in providers:
            _provider(gathered, name, {}, mapping(auth[name]), environ)
    return gathered.found()


def _provider(
    gathered: Gathering,
    name: str,
    raw: Mapping[str, Any],
    auth: Mapping[str, Any],
    environ: Mapping[str, str],
) -> None:
    place = f"providers.{name}" if raw else f"auth.json: {name}"
    rows = [mapping(one) for one in raw.get("models", ())] if isinstance(raw.get("models"), list) else []
    spoken = {word(one.get("api")) or word(raw.get("api")) for one in rows} or {word(raw.get("api"))}
    dialects = {kind: DIALECTS.get(kind or "chat") for kind in spoken}
    url, preset = word(raw.get("baseUrl")), preset_for("pi", name)
    foreign = [kind for kind, dialect in dialects.items() if dialect is None]
    if foreign or not (url or preset):
        gathered.leave(
            f"{name} ({place})",
            f"api '{foreign[0]}' is not one that we speak"
            if foreign
            else "it has no baseUrl, and no preset has its name",
        )
        return
    if len(set(dialects.values())) > 1 or any(word(one.get("baseUrl")) not in ("", url) for one in rows):
        gathered.leave(
            f"{name} ({place})",
            "its models have endpoints of their own: holdfast provider add NAME --endpoint DIALECT=URL, once for each",
        )
        return
    if mapping(raw.get("headers")) or any(mapping(one.get("headers")) for one in rows):
        gathered.leave(
            f"headers of '{name}' ({', '.join(words(raw.get('headers')))})",
            "they may hold keys: write headers = { … } yourself",
        )
    if word(auth.get("type")) == "oauth":
        gathered.leave(f"the sign-in of '{name}' (auth.json)", "a refresh token has one owner, and it is Pi")
        if not url:
            return
    dialect = next(iter(dialects.values())) or "openai-chat"
    fields: dict[str, Any] = address(url, dialect) if url else {"preset": preset}
    key = _key(word(auth.get("key")), environ, name) or _key(word(raw.get("apiKey")), environ, name)
    if key is None and url and not word(raw.get("apiKey")):
        gathered.leave(
            f"the key of '{name}'", f"none stands there: holdfast key add {name} --from env:VARIABLE"
        )
    gathered.add(name, {**fields, "models": words(rows) or None}, [key] if key is not None else [], place)


def _key(text: str, environ: Mapping[str, str], label: str) -> FoundKey | None:
    """`$NAME`, `!command` or a literal; up to 0.79.3 a bare NAME was a variable too."""
    if text.startswith("!") and text[1:].strip():
        return FoundKey(f"cmd:{text[1:].strip()}")
    if match := _VARIABLE.fullmatch(text):
        return variable(match[1] or match[2], environ)
    if _BARE.fullmatch(text):
        return variable(text, environ)
    return (
        literal(text.replace("$$", "$").replace("$!", "!"), "models.json or auth.json", label)
        if text and not _VARIABLE.search(text)
        else None
    )
