"""`holdfast import opencode`: the table `provider` of opencode.json (with comments) and auth.json (opencode
1.18, its docs `providers`)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .addresses import where_is
from .base import ResultBuilder
from .entries import ImportResult
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .names import preset_for
from .read_files import mapping, table_of, word, words

_DIALECTS = {
    "@ai-sdk/openai-compatible": "openai-chat",
    "@ai-sdk/openai": "openai-responses",
    "@ai-sdk/anthropic": "anthropic-messages",
    "@openrouter/ai-sdk-provider": "openai-chat",
    "@ai-sdk/groq": "openai-chat",
    "@ai-sdk/mistral": "openai-chat",
    "@ai-sdk/xai": "openai-chat",
    "@ai-sdk/deepinfra": "openai-chat",
    "@ai-sdk/cerebras": "openai-chat",
    "@ai-sdk/togetherai": "openai-chat",
}
_USUAL_PACKAGES = {"anthropic": "@ai-sdk/anthropic"}
_USUAL_PACKAGE = "@ai-sdk/openai-compatible"
_REFERENCE = re.compile(r"\{(env|file):([^}]+)\}")


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return OPENCODE_CONFIG, else the global opencode.jsonc or opencode.json."""
    chosen = environ.get("OPENCODE_CONFIG")
    if chosen:
        return Path(chosen).expanduser()
    directory = Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "opencode"
    with_comments = directory / "opencode.jsonc"
    if with_comments.exists():
        return with_comments
    return directory / "opencode.json"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the file and the sign-ins define. A project's file may redirect a provider, so only the
    global one, or the one that you name, is read. Raises ConfigError when one of them cannot be read."""
    path = path or default_path(environ)
    data = Path(environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "opencode" / "auth.json"
    config, sign_ins = table_of(path), mapping(table_of(data))
    reader = KeyReader(environ)
    builder = ResultBuilder("opencode", reader, honours_base_urls=True)
    if config is None and not sign_ins:
        builder.leave_out(str(path), "there is no such file")
    providers = mapping(mapping(config).get("provider"))
    disabled = words(mapping(config).get("disabled_providers"))
    for name in dict.fromkeys((*providers, *sign_ins)):
        if name in disabled:
            builder.leave_out(name, "it is one of disabled_providers")
            continue
        provider = _Provider(
            name,
            raw=mapping(providers.get(name)),
            sign_in=mapping(sign_ins.get(name)),
            path=path,
            reader=reader,
        )
        provider.add_to(builder)
    return builder.result()


@dataclass(frozen=True, slots=True)
class _Provider:
    """A provider of opencode: its table in the file (`raw`) and its sign-in in auth.json; either may be
    empty."""

    name: str
    raw: Mapping[str, Any]
    sign_in: Mapping[str, Any]
    path: Path
    reader: KeyReader

    @property
    def location(self) -> str:
        if self.raw:
            return f"provider.{self.name}"
        return f"auth.json: {self.name}"

    @property
    def options(self) -> Mapping[str, Any]:
        return mapping(self.raw.get("options"))

    @property
    def url(self) -> str:
        return word(self.options.get("baseURL")) or word(self.raw.get("api"))

    @property
    def package(self) -> str:
        return word(self.raw.get("npm"))

    def add_to(self, builder: ResultBuilder) -> None:
        """Add the provider to `builder`, or note why it is left out."""
        shown, preset = f"{self.name} ({self.location})", preset_for("opencode", self.name)
        dialect = _DIALECTS.get(self.package or _USUAL_PACKAGES.get(self.name, _USUAL_PACKAGE))
        if dialect is None:
            builder.leave_out(shown, f"'{self.package}' uses no supported dialect")
            return
        if not self.url and not preset:
            builder.leave_out(shown, "it has no baseURL, and no preset has its name")
            return
        if _REFERENCE.search(self.url):
            builder.leave_out(shown, "its baseURL is made of variables: holdfast provider add NAME --url URL")
            return
        headers = self.options.get("headers")
        if mapping(headers):
            builder.leave_out(
                f"headers of '{self.name}' ({', '.join(words(headers))})",
                "they may hold keys: write headers = { … } yourself",
            )
        if word(self.sign_in.get("type")) in ("oauth", "wellknown"):
            builder.leave_out(
                f"the sign-in of '{self.name}' (auth.json)",
                "a refresh token works for one program only, and opencode uses it",
            )
            if not self.url:
                return
        models = self._models(builder)
        where = where_is(self.url, dialect, preset)
        builder.add(
            self.name, where, [self._key()], location=self.location, models=models if self.url else None
        )

    def _key(self) -> FoundKey | NoKey:
        """Return the key: of the options, else of the sign-in, else of the first variable that is set."""
        names = words(self.raw.get("env"))
        name = next((name for name in names if self.reader.value(name)), "")
        if not name and names:
            name = names[0]
        own = word(self.options.get("apiKey"))
        if own:
            return self._key_of_options(own)
        signed_in = word(self.sign_in.get("key"))
        if signed_in:
            return self.reader.literal(signed_in, at="auth.json", label=self.name)
        return self.reader.variable(name)

    def _key_of_options(self, text: str) -> FoundKey | NoKey:
        """Read `{env:NAME}`, `{file:PATH}` (relative to the file that says so) or a literal."""
        match = _REFERENCE.fullmatch(text)
        if match is None or match[1] == "env":
            return self.reader.text(text, Syntax.ENV_BRACES, at=self.path.name, label=self.name)
        file = Path(match[2].strip()).expanduser()
        return FoundKey(f"file:{self.path.absolute().parent / file}")

    def _models(self, builder: ResultBuilder) -> tuple[str, ...]:
        """Return the models that are asked through the provider's package; note each of the others."""
        models = []
        for called, raw in mapping(self.raw.get("models")).items():
            row = mapping(raw)
            if word(mapping(row.get("provider")).get("npm")) in ("", self.package):
                models.append(word(row.get("id")) or called)
            else:
                builder.leave_out(
                    f"{self.name}/{called}", "it speaks through another package than its provider"
                )
        return tuple(models)
