"""`holdfast import qwen`: `modelProviders` of Qwen Code's settings.json (0.24: its documents
`model-providers`, `settings`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.model_tables import name_of, written
from .addresses import Unresolved
from .base import ResultBuilder
from .entries import ImportResult
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .kinds import kinds
from .read_files import file_at, mapping, table_of, variables_of, word
from .rows import (
    PIN,
    SIGN_IN,
    inputs,
    name_at,
    refuse_api,
    rows_in,
    where_of,
)
from .spots import Spot, Spots

_OAUTH = "qwen-oauth"


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return QWEN_HOME, else ~/.qwen."""
    return Path(environ.get("QWEN_HOME") or "~/.qwen").expanduser()


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the directory, or the file of settings at `path`, defines. Raises ConfigError when a file
    cannot be read."""
    path = file_at(path or default_path(environ), "settings.json")
    settings = table_of(path)
    own = {name: str(value) for name, value in mapping(mapping(settings).get("env")).items()}
    own |= variables_of(path.with_name(".env"))
    reader = KeyReader(environ, own, path.name)
    builder = ResultBuilder("qwen", reader, honours_base_urls=True)
    if settings is None and not own:
        builder.leave_out(str(path), "there is no such file")
        return builder.result()
    _Qwen(mapping(settings), path.name, reader).add_to(builder)
    return builder.result()


@dataclass(frozen=True, slots=True)
class _Qwen:
    """The settings of Qwen Code, and the name of their file."""

    settings: Mapping[str, Any]
    file: str
    reader: KeyReader

    def add_to(self, builder: ResultBuilder) -> None:
        """Add an entry for each spot that models are asked at, and for the one of the sign-in dialogue."""
        spots = Spots()
        protocols = mapping(self.settings.get("providerProtocol"))
        for kind, rows in mapping(self.settings.get("modelProviders")).items():
            for index, raw in enumerate(rows_in(rows)):
                at = f"{self.file}: modelProviders.{kind}[{index}]"
                protocol = word(protocols.get(kind)) or kind
                self._add_row(builder, spots, raw, kind=protocol, at=at)
        self._add_own(builder, spots)
        names: dict[str, str] = {}
        for spot in spots:
            name = self._add(builder, spot)
            names |= {name_of(own): name for own in spot.models if name}
        main = word(mapping(self.settings.get("model")).get("name"))
        if main in names:
            builder.leave_out(f"model.name = {main} ({self.file})", PIN.format(pin=f"{names[main]}/{main}"))

    def _add(self, builder: ResultBuilder, spot: Spot) -> str | None:
        def read(text: str) -> FoundKey | NoKey:
            return self.reader.text(text, Syntax.DOLLAR, at=f"{spot.at} customHeaders", label=spot.called)

        return spot.add_to(builder, read)

    def _add_row(
        self,
        builder: ResultBuilder,
        spots: Spots,
        raw: Mapping[str, Any],
        *,
        kind: str,
        at: str,
    ) -> None:
        name, url = word(raw.get("id")), self.reader.expand(word(raw.get("baseUrl")), Syntax.DOLLAR)
        shown = f"{name} ({at})"
        known = kinds("qwen").get(kind)
        if known is None:
            builder.leave_out(shown, f"'{kind}' is no kind that Qwen Code knows")
            return
        key_name = word(raw.get("envKey")) or known.key
        if known.api:
            refuse_api(builder, shown, known.api, [self.reader.variable(key_name)], url=url.text)
            return
        where = where_of(url.text, known.dialect, known.url)
        if url.missing:
            where = Unresolved(url.why_not)
        options = mapping(raw.get("generationConfig"))
        builder.tell_fields(raw, "qwen.model", at=at)
        builder.tell_fields(options, "qwen.generation", at=f"{at}.generationConfig")
        called = name_at(url.text, kind)
        images = mapping(options.get("modalities")).get("image")
        listed = written(name, context=options.get("contextWindowSize"), input=inputs(images))
        spot = Spot(
            kind=kind,
            called=called,
            where=where,
            key=self.reader.variable(key_name),
            at=at,
            models=[listed],
            headers=dict(mapping(options.get("customHeaders"))),
        )
        spots.add((where, key_name), spot)

    def _add_own(self, builder: ResultBuilder, spots: Spots) -> None:
        """Add the spot of `security.auth` and of the variables, where no model names it."""
        auth = mapping(mapping(self.settings.get("security")).get("auth"))
        kind = word(auth.get("selectedType")) or word(self.settings.get("selectedAuthType"))
        if kind == _OAUTH:
            builder.leave_out(f"the sign-in ({self.file})", SIGN_IN.format(title="Qwen Code"))
            return
        known = kinds("qwen").get(kind)
        if known is None or known.api:
            return
        url, text = self._own_texts(builder, kind, auth)
        is_used = self.reader.variable(known.key) in [spot.key for spot in spots]
        key = self.reader.found(known.key)
        if text:
            key = self.reader.text(text, Syntax.DOLLAR, at=f"{self.file}: security.auth.apiKey", label="qwen")
        elif not self.reader.value(known.key) or (not auth.get("baseUrl") and is_used):
            return
        elif url:
            key = self.reader.variable(known.key)
        where = where_of(url, known.dialect, known.url)
        if any(spot.key == key and spot.where == where for spot in spots):
            return
        main = word(mapping(self.settings.get("model")).get("name")) or self.reader.value("OPENAI_MODEL")
        listed = {name_of(own) for spot in spots for own in spot.models}
        models: list[object] = []
        if main and url and main not in listed:
            models = [main]
        at = f"{self.file}: security.auth"
        own = Spot(kind=kind, called=name_at(url, kind), where=where, key=key, at=at, models=models)
        spots.add((where, text or known.key), own)

    def _own_texts(self, builder: ResultBuilder, kind: str, auth: Mapping[str, Any]) -> tuple[str, str]:
        """Return the URL and the key of the sign-in dialogue. For OpenAI's kind a variable wins over each."""
        known, url, text = kinds("qwen")[kind], word(auth.get("baseUrl")), word(auth.get("apiKey"))
        given = known.address(self.reader.value)[1]
        if kind != "openai":
            return url or given, text
        if text and self.reader.value(known.key):
            builder.leave_out(
                f"{self.file}: security.auth.apiKey", f"{known.key} is used, which wins over it"
            )
            text = ""
        return given or url, text
