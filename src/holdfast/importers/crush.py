"""`holdfast import crush`: `providers` of crush.json, the user's and the one in which Crush keeps its state
(0.20 and later). Its crushrc is a program in Bash, which is not run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.model_tables import written
from .addresses import OwnUrl, Unresolved, Where
from .base import ResultBuilder
from .entries import ImportResult
from .headers import carried
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .kinds import Kind, kinds
from .read_files import mapping, merged, table_of, word
from .rows import (
    CHAT,
    MESSAGES,
    PIN,
    RESPONSES,
    inputs,
    refuse_api,
    rows_in,
    where_of,
    with_header_key,
)

_FILE = "crush.json"
_TYPES = {
    "openai": RESPONSES,
    "anthropic": MESSAGES,
    **dict.fromkeys(("openai-compat", "openrouter", "vercel", "hyper"), CHAT),
    **dict.fromkeys(("ollama", "llamacpp", "lmstudio", "litellm", "omlx"), CHAT),
}
_COPILOT = "copilot"
"""A provider with a sign-in, unless an address is written: then that is a proxy with a key."""
_ONE_HOST = ("openrouter", "vercel")
"""Providers that Crush asks at their maker's host, whatever address is written: whose key that is, is not
certain."""
_NATIVE = {
    "google": "Google's own API",
    "gemini": "Google's own API",
    "google-vertex": "the API of Google Vertex AI",
    "azure": "the API of Azure, whose addresses name a version and a deployment",
    "bedrock": "the API of Amazon Bedrock",
}
_SHELL = re.compile(r"\$\(|`|\$\{\w+[^}\w]")
_DEFAULT = re.compile(r"\$\{(\w+):?-([^}${]*)\}")


def default_paths(environ: Mapping[str, str] = os.environ) -> tuple[Path, Path]:
    """Return the user's file and the one of the program's state."""
    config = environ.get("CRUSH_GLOBAL_CONFIG")
    data = environ.get("CRUSH_GLOBAL_DATA")
    configs, datas = (
        environ.get("XDG_CONFIG_HOME") or "~/.config",
        environ.get("XDG_DATA_HOME") or "~/.local/share",
    )
    return (
        Path(config or f"{configs}/crush").expanduser() / _FILE,
        Path(data or f"{datas}/crush").expanduser() / _FILE,
    )


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the files, or the one at `path`, define. A project's file may redirect a provider and is
    not read, unless you name it. Raises ConfigError when one of them cannot be read."""
    paths = list(default_paths(environ))
    if path is not None:
        paths = [path]
        if path.is_dir():
            paths = [path / _FILE]
    config: dict[str, Any] = {}
    present = [file for file in paths if file.exists()]
    for file in present:
        config = merged(config, mapping(table_of(file)))
    reader = KeyReader(environ, dict(_variables(config)), _FILE, own_first=True)
    builder = ResultBuilder("crush", reader, honours_base_urls=False)
    if not present:
        builder.leave_out(str(paths[0]), "there is no such file")
    for file in paths:
        if file.with_name("crushrc").exists():
            builder.leave_out(str(file.with_name("crushrc")), "it is a program, and is not run")
    _Crush(config, _FILE, reader).add_to(builder)
    return builder.result()


def _variables(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in mapping(config.get("env")).items():
        if isinstance(value, str) and "$" not in value:
            yield name, value


@dataclass(frozen=True, slots=True)
class _Crush:
    """The configuration of Crush, and the name of its file."""

    config: Mapping[str, Any]
    file: str
    reader: KeyReader

    def add_to(self, builder: ResultBuilder) -> None:
        """Add the providers; note the models that Crush starts with."""
        names: dict[str, str] = {}
        for called, raw in mapping(self.config.get("providers")).items():
            provider = _Provider(called, mapping(raw), f"{self.file}: providers.{called}", self.reader)
            name = provider.add_to(builder)
            if name:
                names[called] = name
        for size, raw in mapping(self.config.get("models")).items():
            chosen = mapping(raw)
            owner, called = word(chosen.get("provider")), word(chosen.get("model"))
            what = f"models.{size} = {owner}/{called} ({self.file})"
            if owner in names and called:
                builder.leave_out(what, PIN.format(pin=f"{names[owner]}/{called}"))
            elif called:
                builder.leave_out(what, "its provider was not imported")


@dataclass(frozen=True, slots=True)
class _Provider:
    """A table of `providers`."""

    called: str
    raw: Mapping[str, Any]
    at: str
    reader: KeyReader

    @property
    def known(self) -> Kind | None:
        """Return what Crush knows of a provider of this name by itself; a file does not change it."""
        return kinds("crush").get(self.called)

    def _kind(self) -> Kind:
        """Return how Crush asks the provider: as it knows it, else by the type that is written."""
        if self.known is not None and not (self.called == _COPILOT and word(self.raw.get("base_url"))):
            return self.known
        written_type = word(self.raw.get("type")) or "openai-compat"
        dialect = _TYPES.get(written_type)
        if dialect is None:
            return Kind(api=_NATIVE.get(written_type, f"the API of '{written_type}'"))
        return Kind(dialect=dialect)

    def add_to(self, builder: ResultBuilder) -> str | None:
        """Add the provider; return the name that it gets, None when it is left out."""
        shown, key, kind = f"{self.called} ({self.at})", self._key(), self._kind()
        url = self._text("base_url") or kind.address(self.reader.value)[1]
        if self.raw.get("disable") is True:
            builder.refuse(shown, "it is disabled there", [key], url=url)
            return None
        builder.tell_fields(self.raw, "crush.provider", at=self.at)
        for row in rows_in(self.raw.get("models")):
            builder.tell_fields(row, "crush.model", at=f"{self.at}.models: {word(row.get('id'))}")
        if kind.api and (url or not kind.url):
            refuse_api(builder, shown, kind.api, [key], url=url)
            return None
        if url and self.called in _ONE_HOST:
            why = f"Crush does not use its base_url for {self.called}: holdfast provider add NAME --url URL"
            builder.refuse(shown, why, [key], url=url)
            return None
        headers = mapping(self.raw.get("extra_headers"))
        given = (self._where(url, kind), [key])
        where, keys = with_header_key(builder, headers, self._read, given=given, at=f"'{self.called}'")
        return builder.add(
            self.called,
            where,
            keys,
            location=self.at,
            models=list(self._models()) or None,
            headers=carried(builder, headers, at=f"'{self.called}' ({self.at})"),
        )

    def _text(self, name: str) -> str:
        """Return a text with the defaults of unset variables in their place."""

        def default(match: re.Match[str]) -> str:
            return self.reader.value(match[1]) or match[2]

        return _DEFAULT.sub(default, word(self.raw.get(name)))

    def _where(self, text: str, kind: Kind) -> Where:
        if not text and kind.url:
            return where_of("", kind.dialect, kind.url)
        if _SHELL.search(text):
            return Unresolved("it is made by a command for a shell")
        expanded = self.reader.expand(text, Syntax.DOLLAR)
        if expanded.missing or not text:
            return Unresolved(expanded.why_not or "the file gives none, and Crush knows none of this name")
        return OwnUrl(expanded.text, kind.dialect)

    def _key(self) -> FoundKey | NoKey:
        """Return the key that is written; for what Crush knows by itself, else its usual variable's."""
        if not word(self.raw.get("api_key")) and self.known is not None and self.known.key:
            return self.reader.variable(self.known.key)
        return self._read(self._text("api_key"))

    def _read(self, text: str) -> FoundKey | NoKey:
        if _SHELL.search(text):
            return NoKey("it is a command for a shell, which Holdfast does not run")
        return self.reader.text(text, Syntax.DOLLAR, at=f"{self.at}.api_key", label=self.called)

    def _models(self) -> Iterator[object]:
        for row in rows_in(self.raw.get("models")):
            name = word(row.get("id"))
            images = row.get("supports_images") or row.get("supports_attachments")
            if name:
                yield written(
                    name,
                    context=row.get("context_window"),
                    output=row.get("default_max_tokens"),
                    input=inputs(images),
                    reasoning=row.get("can_reason"),
                )
