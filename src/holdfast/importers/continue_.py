"""`holdfast import continue`: the models of config.yaml, or of the older config.json, of Continue (1.5: its
documents `reference`, `json-reference`)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.model_tables import written
from .addresses import OwnUrl, Unresolved, Where, canonical
from .base import ResultBuilder
from .entries import ImportResult
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .kinds import kind_of
from .read_files import mapping, table_of, variables_of, word, words
from .rows import (
    inputs,
    name_at,
    refuse_api,
    rows_in,
    where_of,
)
from .spots import Spot, Spots

_FILES = ("config.yaml", "config.yml", "config.json")
_SECRET = re.compile(r"\$\{\{\s*(?:secrets|inputs)\.(?:[^}\s]*/)?([A-Za-z_]\w*)\s*\}\}", re.ASCII)
_ANY = re.compile(r"\$\{\{")
_AUTODETECT = "AUTODETECT"
_OTHER_ROLES = frozenset(("embed", "rerank"))
_ALSO = ("tabAutocompleteModel", "embeddingsProvider", "reranker")


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return CONTINUE_GLOBAL_DIR, else ~/.continue."""
    return Path(environ.get("CONTINUE_GLOBAL_DIR") or "~/.continue").expanduser()


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the directory, or the file at `path`, defines; its .env sets secrets. Raises ConfigError
    when a file cannot be read."""
    path = path or default_path(environ)
    others: list[Path] = []
    if path.is_dir():
        present = [path / name for name in _FILES if (path / name).exists()] or [path / _FILES[0]]
        path, *others = present
    dotenv = path.with_name(".env")
    reader = KeyReader(environ, variables_of(dotenv), str(dotenv), own_first=True)
    builder = ResultBuilder("continue", reader)
    config = table_of(path)
    if config is None:
        builder.leave_out(str(path), "there is no such file")
    for other in others:
        builder.leave_out(str(other), f"Continue reads {path.name} instead")
    _Continue(mapping(config), path.name, reader).add_to(builder)
    return builder.result()


@dataclass(frozen=True, slots=True)
class _Continue:
    """A configuration of Continue, and the name of its file."""

    config: Mapping[str, Any]
    file: str
    reader: KeyReader

    def add_to(self, builder: ResultBuilder) -> None:
        """Add an entry for each spot that the models are asked at."""
        spots = Spots()
        for index, raw in enumerate(rows_in(self.config.get("models"))):
            spot = self._spot(builder, raw, f"{self.file}: models[{index}]")
            if spot is not None:
                spots.add(_identity(spot), spot)
        shared = mapping(mapping(self.config.get("requestOptions")).get("headers"))
        for spot in spots:
            spot.headers = {**shared, **spot.headers}
            self._add(builder, spot)
        options = mapping(self.config.get("requestOptions"))
        builder.tell_fields(options, "continue.request", at=f"{self.file}: requestOptions")
        for name in _ALSO:
            if self.config.get(name):
                builder.leave_out(f"{name} ({self.file})", "only models for chats are read")

    def _add(self, builder: ResultBuilder, spot: Spot) -> str | None:
        def read(text: str) -> FoundKey | NoKey:
            return self.reader.text(_plain(text), Syntax.BRACES, at=f"{spot.at} headers", label=spot.kind)

        return spot.add_to(builder, read)

    def _spot(self, builder: ResultBuilder, raw: Mapping[str, Any], at: str) -> Spot | None:
        """Return where a model is asked; None, with a note, for one that is left out."""
        kind, name = word(raw.get("provider")), word(raw.get("model"))
        title = word(raw.get("name")) or word(raw.get("title")) or name
        shown = f"{title} ({at})"
        if word(raw.get("uses")):
            builder.leave_out(
                f"{word(raw.get('uses'))} ({at})", "it is a block of Continue's hub, and not in the file"
            )
            return None
        url, key = self._url(raw), self._key(raw, at, kind)
        if set(words(raw.get("roles"))) and set(words(raw.get("roles"))) <= _OTHER_ROLES:
            builder.refuse(shown, "it is no model for chats", [key], url=url.text)
            return None
        if not kind:
            builder.refuse(shown, "it names no 'provider'", [key], url=url.text)
            return None
        where = self._where(builder, raw, shown, key)
        if where is None:
            return None
        builder.tell_fields(raw, "continue.model", at=at)
        builder.tell_fields(mapping(raw.get("requestOptions")), "continue.request", at=f"{at}.requestOptions")
        if title != name:
            builder.leave_out(f"the name '{title}' ({at})", f"a model is called {name} here")
        headers = mapping(mapping(raw.get("requestOptions")).get("headers"))
        models = self._models(builder, raw, at)
        called = kind.lower()
        if isinstance(where, OwnUrl):
            called = name_at(where.url, called)
        return Spot(
            kind=kind, called=called, where=where, key=key, at=at, models=models, headers=dict(headers)
        )

    def _where(
        self, builder: ResultBuilder, raw: Mapping[str, Any], shown: str, key: FoundKey | NoKey
    ) -> Where | None:
        kind, url = word(raw.get("provider")), self._url(raw)
        if url.missing or _ANY.search(url.text):
            return Unresolved(url.why_not or "it is made of a reference that nothing replaces")
        known = kind_of("continue", kind)
        if known.api and (url.text or known.serves or not known.url):
            refuse_api(builder, shown, known.api, [key], url=url.text, step=known.step(url.text))
            return None
        return where_of(url.text, known.dialect, known.url)

    def _url(self, raw: Mapping[str, Any]) -> Any:
        return self.reader.expand(_plain(word(raw.get("apiBase"))), Syntax.BRACES)

    def _key(self, raw: Mapping[str, Any], at: str, label: str) -> FoundKey | NoKey:
        return self.reader.text(
            _plain(word(raw.get("apiKey"))), Syntax.BRACES, at=f"{at}.apiKey", label=label
        )

    def _models(self, builder: ResultBuilder, raw: Mapping[str, Any], at: str) -> list[object]:
        name = word(raw.get("model"))
        if name == _AUTODETECT or not name:
            builder.leave_out(
                f"model = {name} ({at})", "the provider is asked for its models: holdfast models"
            )
            return []
        options = mapping(raw.get("defaultCompletionOptions")) or mapping(raw.get("completionOptions"))
        context = raw.get("contextLength") or options.get("contextLength")
        abilities = raw.get("capabilities")
        images = "image_input" in words(abilities) or mapping(abilities).get("uploadImage") is True
        return [written(name, context=context, output=options.get("maxTokens"), input=inputs(images))]


def _plain(text: str) -> str:
    """Return a text with Continue's references (`${{ secrets.NAME }}`) as plain ones."""
    return _SECRET.sub(r"${\1}", text)


def _identity(spot: Spot) -> tuple[object, ...]:
    where: object = spot.where
    if isinstance(where, OwnUrl):
        where = (canonical(where.url, where.dialect), where.dialect)
    key = spot.key
    if isinstance(key, FoundKey):
        return (where, key.ref, key.secret)
    return (where, key.why, None)
