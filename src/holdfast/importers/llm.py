"""`holdfast import llm`: extra-openai-models.yaml and keys.json of LLM (0.30: its documents `other-models`,
`setup`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.model_tables import name_of, written
from .addresses import OfPreset, OwnUrl, Where
from .base import ResultBuilder
from .entries import ImportResult
from .keys import FoundKey, KeyReader, NoKey
from .names import preset_for
from .read_files import list_of, mapping, table_of, text_of, word, words
from .rows import (
    CHAT,
    PIN,
    RESPONSES,
    inputs,
    name_at,
    refuse_api,
    rows_in,
)
from .spots import Spot, Spots

_MODELS = "extra-openai-models.yaml"
_KEYS = "keys.json"
_NO_KEYS = ("// Note",)
_AZURE = "the API of Azure, whose addresses name a version and a deployment"


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return LLM_USER_PATH, else the directory of the platform."""
    chosen = environ.get("LLM_USER_PATH")
    if chosen:
        return Path(chosen).expanduser()
    mac = Path("~/Library/Application Support/io.datasette.llm").expanduser()
    if mac.exists():
        return mac
    return Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "io.datasette.llm"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the directory, or the files beside the one at `path`, define. Raises ConfigError when a
    file cannot be read."""
    path = path or default_path(environ)
    directory, models_file = path.parent, path
    if path.is_dir() or path.name == _KEYS:
        if path.is_dir():
            directory = path
        models_file = directory / _MODELS
    rows, stored = list_of(models_file), table_of(directory / _KEYS)
    reader = KeyReader(environ)
    builder = ResultBuilder("llm", reader, honours_base_urls=True)
    if rows is None and stored is None:
        builder.leave_out(str(directory), f"it has neither {_MODELS} nor {_KEYS}")
        return builder.result()
    keys = {name: word(value) for name, value in mapping(stored).items() if name not in _NO_KEYS}
    llm = _Llm(keys, reader, models_file.name)
    pins = llm.add_models(builder, rows_in(rows))
    llm.add_keys(builder, rows_in(rows))
    _tell_defaults(builder, directory, pins)
    return builder.result()


def _tell_defaults(builder: ResultBuilder, directory: Path, pins: Mapping[str, str]) -> None:
    default = (text_of(directory / "default_model.txt") or "").strip()
    if default in pins:
        builder.leave_out(
            f"the model of every start, {default} (default_model.txt)", PIN.format(pin=pins[default])
        )
    elif default:
        builder.leave_out("the model of every start (default_model.txt)", "its provider was not imported")
    for alias in mapping(table_of(directory / "aliases.json")):
        builder.leave_out(f"the alias '{alias}' (aliases.json)", "a model is called by its own name here")


@dataclass(frozen=True, slots=True)
class _Llm:
    """The keys that LLM stores, by name, and the name of the file of models."""

    keys: Mapping[str, str]
    reader: KeyReader
    file: str

    def add_models(self, builder: ResultBuilder, rows: list[Mapping[str, Any]]) -> dict[str, str]:
        """Add an entry for each address and key; return the pins by LLM's names of the models."""
        spots, called = Spots(), dict[str, tuple[Spot, str]]()
        for index, row in enumerate(rows):
            spot = self._spot(builder, row, f"{self.file}[{index}]")
            if spot is not None:
                name = name_of(spot.models[0])
                called[word(row.get("model_id"))] = (spots.add((spot.where, spot.key), spot), name)
        added = {id(spot): self._add(builder, spot) for spot in spots}
        owners = {model: (added[id(spot)], name) for model, (spot, name) in called.items()}
        return {model: f"{owner}/{name}" for model, (owner, name) in owners.items() if owner}

    def _spot(self, builder: ResultBuilder, row: Mapping[str, Any], at: str) -> Spot | None:
        """Return where a model is asked; None, with a note, for one that is left out."""
        called, name = word(row.get("model_id")), word(row.get("model_name"))
        url, key_name = word(row.get("api_base")), word(row.get("api_key_name"))
        native = ""
        if word(row.get("api_type")):
            native = _AZURE
        if row.get("completion") is True:
            native = "the older API of completions"
        if native:
            refuse_api(builder, f"{called} ({at})", native, [self._key(key_name)], url=url)
            return None
        for alias in (called, *words(row.get("aliases"))):
            if alias != name:
                builder.leave_out(f"the name '{alias}' ({at})", f"the model is called {name} here")
        builder.tell_fields(row, "llm.model", at=at)
        dialect = CHAT
        if row.get("responses") is True:
            dialect = RESPONSES
        where: Where = OfPreset("openai", dialect)
        if url:
            where = OwnUrl(url, dialect)
        elif not key_name:
            key_name = "openai"
        return Spot(
            kind=called,
            called=name_at(url, "openai"),
            where=where,
            key=self._key(key_name),
            at=at,
            models=[written(name, input=inputs(row.get("vision")))],
            headers=dict(mapping(row.get("headers"))),
        )

    def _add(self, builder: ResultBuilder, spot: Spot) -> str | None:
        def read(text: str) -> FoundKey | NoKey:
            return self.reader.literal(text, at=f"{spot.at}.headers", label=spot.kind)

        return spot.add_to(builder, read)

    def add_keys(self, builder: ResultBuilder, rows: list[Mapping[str, Any]]) -> None:
        """Add the presets whose keys LLM stores under the names of its plug-ins."""
        used = {word(row.get("api_key_name")) for row in rows}
        if any(not word(row.get("api_base")) for row in rows):
            used.add("openai")
        for name in self.keys:
            preset = preset_for("llm", name)
            if preset is not None and name not in used:
                key = self._key(name)
                if isinstance(key, FoundKey):
                    key = key.by_name()
                builder.add(preset, OfPreset(preset), [key], location=f"{_KEYS}: {name}")
            elif name not in used:
                builder.leave_out(
                    f"the key '{name}' ({_KEYS})", "no model of the file has it, and no preset its name"
                )

    def _key(self, name: str) -> FoundKey | NoKey:
        """Return the key that is stored under a name. Where none is, LLM would send the one of OpenAI, which
        nothing pairs with an address of the user's."""
        if not name:
            return NoKey()
        if not self.keys.get(name):
            return NoKey(f"{_KEYS} has none called '{name}'")
        return self.reader.literal(self.keys[name], at=f"{_KEYS}: {name}", label=name)
