"""`holdfast import pi`: models.json and auth.json of Pi's agent directory (pi-coding-agent 0.73 to 1.5: its
docs/models.md, providers.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .addresses import DIALECTS, where_is
from .base import ResultBuilder
from .entries import ImportResult
from .keys import FoundKey, KeyReader, NoKey, Syntax, command_key
from .names import preset_for
from .read_files import mapping, table_of, word, words

_BARE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", re.ASCII)


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return PI_CODING_AGENT_DIR, else ~/.pi/agent."""
    return Path(environ.get("PI_CODING_AGENT_DIR") or "~/.pi/agent").expanduser()


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the directory, or the file of models at `path`, defines. Raises ConfigError when a file of
    it cannot be read."""
    path = path or default_path(environ)
    directory, models_file = path.parent, path
    if path.is_dir():
        directory, models_file = path, path / "models.json"
    config = table_of(models_file)
    sign_ins = mapping(table_of(directory / "auth.json"))
    reader = KeyReader(environ)
    builder = ResultBuilder("pi", reader)
    if config is None and not sign_ins:
        builder.leave_out(str(directory), "it has neither models.json nor auth.json")
    providers = mapping(mapping(config).get("providers"))
    for name in dict.fromkeys((*providers, *sign_ins)):
        provider = _Provider(name, mapping(providers.get(name)), mapping(sign_ins.get(name)), reader)
        provider.add_to(builder)
    return builder.result()


@dataclass(frozen=True, slots=True)
class _Provider:
    """A provider of Pi: its table in models.json (`raw`) and its sign-in in auth.json; either may be
    empty."""

    name: str
    raw: Mapping[str, Any]
    sign_in: Mapping[str, Any]
    reader: KeyReader

    @property
    def location(self) -> str:
        if self.raw:
            return f"providers.{self.name}"
        return f"auth.json: {self.name}"

    @property
    def url(self) -> str:
        return word(self.raw.get("baseUrl"))

    def add_to(self, builder: ResultBuilder) -> None:
        """Add the provider to `builder`, or note why it is left out."""
        models, preset = self._models(), preset_for("pi", self.name)
        shown = f"{self.name} ({self.location})"
        dialects: set[str] = set()
        for api in self._apis(models):
            dialect = DIALECTS.get(api or "chat")
            if dialect is None:
                builder.leave_out(shown, f"api '{api}' is not supported")
                return
            dialects.add(dialect)
        if not self.url and not preset:
            builder.leave_out(shown, "it has no baseUrl, and no preset has its name")
            return
        if len(dialects) > 1 or any(word(model.get("baseUrl")) not in ("", self.url) for model in models):
            builder.leave_out(
                shown,
                "its models have endpoints of their own: "
                "holdfast provider add NAME --endpoint DIALECT=URL, once for each",
            )
            return
        headers = self.raw.get("headers")
        if mapping(headers) or any(mapping(model.get("headers")) for model in models):
            builder.leave_out(
                f"headers of '{self.name}' ({', '.join(words(headers))})",
                "they may hold keys: write headers = { … } yourself",
            )
        if word(self.sign_in.get("type")) == "oauth":
            builder.leave_out(
                f"the sign-in of '{self.name}' (auth.json)",
                "a refresh token works for one program only, and Pi uses it",
            )
            if not self.url:
                return
        where = where_is(self.url, dialects.pop(), preset)
        builder.add(self.name, where, [self._key()], location=self.location, models=words(models))

    def _models(self) -> list[Mapping[str, Any]]:
        rows = self.raw.get("models")
        if not isinstance(rows, list):
            return []
        return [mapping(row) for row in rows]

    def _apis(self, models: list[Mapping[str, Any]]) -> set[str]:
        """Return the names of the dialects that the models, or else the provider, are asked in."""
        usual = word(self.raw.get("api"))
        return {word(model.get("api")) or usual for model in models} or {usual}

    def _key(self) -> FoundKey | NoKey:
        """Return the key of the sign-in, else of models.json."""
        signed_in = word(self.sign_in.get("key"))
        if signed_in:
            return self._read_key(signed_in, "auth.json")
        return self._read_key(word(self.raw.get("apiKey")), "models.json")

    def _read_key(self, text: str, at: str) -> FoundKey | NoKey:
        """Read `$NAME`, `!command` or a literal; up to 0.79.3 a bare NAME was a variable too."""
        command = text[1:].strip()
        if text.startswith("!") and command:
            return command_key(command)
        if _BARE.fullmatch(text):
            return self.reader.variable(text)
        if "$$" in text or "$!" in text:
            unescaped = text.replace("$$", "$").replace("$!", "!")
            return self.reader.literal(unescaped, at=at, label=self.name)
        return self.reader.text(text, Syntax.DOLLAR, at=at, label=self.name)
