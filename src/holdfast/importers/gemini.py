"""`holdfast import gemini`: the key of Gemini CLI (0.61), of settings.json and .env in ~/.gemini. It asks
Google's own API, so an address of the user's is not carried, unless it is one of an OpenAI-compatible API."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..providers import presets
from .addresses import OfPreset, OwnUrl
from .base import ResultBuilder
from .entries import ImportResult
from .keys import FoundKey, KeyReader, NoKey
from .read_files import mapping, table_of, variables_of, word
from .rows import CHAT, PIN, SIGN_IN, refuse_api

_KEY, _VERTEX_KEY = presets.find("gemini")["env"][:2]
_ADDRESS = "GOOGLE_GEMINI_BASE_URL"
_COMPATIBLE = re.compile(r"/openai/?\Z")
_VERTEX = "the API of Google Vertex AI"
_SIGN_INS = ("oauth-personal", "cloud-shell", "compute-default-credentials")
_TOLD = {
    "GEMINI_CLI_CUSTOM_HEADERS": "they may hold keys: write headers = { … } yourself",
    "GOOGLE_CLOUD_PROJECT": "it belongs to a sign-in at Google",
}


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of Gemini CLI."""
    return Path(environ.get("GEMINI_CLI_HOME") or "~").expanduser() / ".gemini"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the directory, or the files beside the one at `path`, define. Raises ConfigError when a
    file cannot be read."""
    path = path or default_path(environ)
    directory = path
    if not path.is_dir():
        directory = path.parent
    settings_file = directory / "settings.json"
    if path.suffix == ".json":
        settings_file = path
    settings, variables = table_of(settings_file), variables_of(directory / ".env")
    reader = KeyReader(environ, variables, ".env")
    builder = ResultBuilder("gemini", reader, honours_base_urls=False)
    if settings is None and not variables:
        builder.leave_out(str(directory), "it has neither settings.json nor .env")
        return builder.result()
    _add(builder, mapping(settings), reader)
    return builder.result()


def _add(builder: ResultBuilder, settings: Mapping[str, Any], reader: KeyReader) -> None:
    auth = mapping(mapping(settings.get("security")).get("auth"))
    kind = word(auth.get("selectedType")) or word(settings.get("selectedAuthType"))
    for name, why in _TOLD.items():
        if reader.value(name):
            builder.leave_out(f"{name} (.env)", why)
    keys: list[FoundKey | NoKey] = []
    if reader.value(_KEY):
        keys.append(reader.variable(_KEY))
    url = reader.value(_ADDRESS)
    if kind == "vertex-ai" or reader.value("GOOGLE_GENAI_USE_VERTEXAI") == "true":
        vertex = reader.value("GOOGLE_VERTEX_BASE_URL")
        refuse_api(builder, "vertex-ai", _VERTEX, [reader.variable(_VERTEX_KEY)], url=vertex)
        return
    if kind in _SIGN_INS:
        builder.leave_out(f"the sign-in ({kind})", SIGN_IN.format(title="Gemini CLI"))
    model = word(mapping(settings.get("model")).get("name")) or reader.value("GEMINI_MODEL")
    if url and not _COMPATIBLE.search(url):
        refuse_api(builder, f"{url} ({_ADDRESS})", "Google's own API", keys, url=url)
    elif url:
        models = [model] * bool(model)
        entry = builder.add("gemini", OwnUrl(url, CHAT), keys, location=_ADDRESS, models=models or None)
        _tell_model(builder, entry, model)
    elif keys:
        entry = builder.add("gemini", OfPreset("gemini"), keys, location=".env")
        _tell_model(builder, entry, model)
    elif kind not in _SIGN_INS:
        why = "it is not in the environment and in no .env: Gemini CLI keeps it in the keyring"
        builder.leave_out("the key of 'gemini'", f"{why}: holdfast key add gemini --from env:{_KEY}")


def _tell_model(builder: ResultBuilder, name: str | None, model: str) -> None:
    if name and model:
        builder.leave_out(f"the model of every start, {model}", PIN.format(pin=f"{name}/{model}"))
