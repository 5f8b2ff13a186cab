"""`holdfast import pi`: models.json, auth.json and settings.json of Pi's agent directory (pi-coding-agent
0.73 to 1.5: its docs/models.md, providers.md, settings.md)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..config.model_tables import written
from ..harness.own_entry import is_own_gateway
from .addresses import DIALECTS, Unresolved, where_is
from .base import ResultBuilder
from .entries import ImportResult
from .fields import known
from .headers import carried, key_in
from .keys import FoundKey, KeyReader, NoKey, Syntax, command_key
from .names import preset_for
from .pairing import usual_key
from .read_files import mapping, table_of, word
from .rows import first_key

_BARE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", re.ASCII)
_CHAT = "openai-completions"


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
    builder = ResultBuilder("pi", KeyReader(environ))
    if config is None and not sign_ins:
        builder.leave_out(str(directory), "it has neither models.json nor auth.json")
    builder.tell_fields(mapping(config), "pi.top", at=models_file.name)
    providers = mapping(mapping(config).get("providers"))
    for name in dict.fromkeys((*providers, *sign_ins)):
        _Provider(name, mapping(providers.get(name)), mapping(sign_ins.get(name)), builder).add()
    _tell_settings(builder, mapping(table_of(directory / "settings.json")))
    return builder.result()


def _tell_settings(builder: ResultBuilder, settings: Mapping[str, Any]) -> None:
    """Note what settings.json says of models and the network."""
    reasons = known("pi.settings").reasons
    for name, why in reasons.items():
        if settings.get(name):
            builder.leave_out(f"{name} of settings.json", why)
    provider, model = word(settings.get("defaultProvider")), word(settings.get("defaultModel"))
    if provider and model:
        pin = f"{provider}/{model}"
        builder.leave_out(f"the default model '{pin}' (settings.json)", builder.chosen(pin))


@dataclass(frozen=True, slots=True)
class _Provider:
    """A provider of Pi: its table in models.json (`raw`) and its sign-in in auth.json; either may be
    empty."""

    name: str
    raw: Mapping[str, Any]
    sign_in: Mapping[str, Any]
    builder: ResultBuilder

    @property
    def location(self) -> str:
        if self.raw:
            return f"providers.{self.name}"
        return f"auth.json: {self.name}"

    @property
    def url(self) -> str:
        return word(self.raw.get("baseUrl"))

    def add(self) -> None:
        """Add the provider to the result, or note why it is left out."""
        models, preset = self._models(), preset_for("pi", self.name)
        shown = f"{self.name} ({self.location})"
        auth, key = self._auth_and_key()
        apis = self._apis(models)
        dialects = {DIALECTS.get(api, "") for api in apis}
        why = self._why_not(apis, dialects, models)
        if why:
            self.builder.refuse(shown, why, [key], url=self.url)
            return
        signed_in = word(self.sign_in.get("type")) == "oauth"
        if signed_in:
            self.builder.leave_out(
                f"the sign-in of '{self.name}' (auth.json)",
                "a refresh token works for one program only, and Pi uses it",
            )
        if signed_in and not self.url:
            return
        if preset and isinstance(key, NoKey) and not key.why and not signed_in:
            key = usual_key(self.builder.reader, preset)
        in_header = not word(self.sign_in.get("key")) and not word(self.raw.get("apiKey"))
        headers = carried(
            self.builder, mapping(self.raw.get("headers")), at=f"'{self.name}'", hold_the_key=in_header
        )
        address = self.builder.reader.expand(self.url, Syntax.DOLLAR)
        where = where_is(address.text, dialects.pop() or DIALECTS[_CHAT], preset, auth=auth)
        if address.missing:
            where = Unresolved(address.why_not)
        self._tell(models)
        self.builder.add(
            self.name,
            where,
            [key],
            location=self.location,
            models=[_written(model) for model in models if word(model.get("id"))],
            headers=headers,
        )

    def _why_not(self, apis: set[str], dialects: set[str], models: list[Mapping[str, Any]]) -> str:
        """Return why the provider cannot be imported; "" when it can."""
        if is_own_gateway(self.url, word(self.raw.get("apiKey"))):
            return "it is the gateway of Holdfast itself"
        preset = preset_for("pi", self.name)
        unknown = sorted(api for api in apis if api not in DIALECTS)
        if unknown and (self.url or not preset):
            return f"api '{unknown[0]}' is no dialect of ours"
        if not self.url and not preset:
            return "it has no baseUrl, and no preset has its name"
        others = [model for model in models if word(model.get("baseUrl")) not in ("", self.url)]
        if len(dialects) > 1 or others:
            return (
                "its models have endpoints of their own: "
                "holdfast provider add NAME --endpoint DIALECT=URL, once for each"
            )
        return ""

    def _models(self) -> list[Mapping[str, Any]]:
        rows = self.raw.get("models")
        if not isinstance(rows, list):
            return []
        return [mapping(row) for row in rows]

    def _apis(self, models: list[Mapping[str, Any]]) -> set[str]:
        """Return the names of the APIs in which the models, or else the provider, are asked."""
        usual = word(self.raw.get("api")) or _apis_of_its_own().get(self.name, _CHAT)
        return {word(model.get("api")) or usual for model in models} or {usual}

    def _tell(self, models: list[Mapping[str, Any]]) -> None:
        self.builder.tell_fields(self.raw, "pi.provider", at=f"'{self.name}'")
        for model in models:
            at = f"'{self.name}/{word(model.get('id'))}'"
            self.builder.tell_fields(model, "pi.model", at=at)
            names = ", ".join(mapping(model.get("headers")))
            if names:
                why = "they belong to a provider here, not to a model: write headers = { … } yourself"
                self.builder.leave_out(f"headers of {at} ({names})", why)

    def _auth_and_key(self) -> tuple[str, FoundKey | NoKey]:
        """Return how the key is sent, "" for the usual way, and the key: of the sign-in, else of models.json,
        else of its headers; note a second one."""
        auth = ""
        if self.raw.get("authHeader") is True:
            auth = "bearer"
        keys = {
            "auth.json": self._read_key(word(self.sign_in.get("key")), "auth.json"),
            "apiKey": self._read_key(word(self.raw.get("apiKey")), "models.json"),
        }
        used, key = first_key(self.builder, keys, at=f"'{self.name}' ({self.location})", url=self.url)
        if used:
            return auth, key
        return key_in(mapping(self.raw.get("headers")), lambda text: self._read_key(text, "models.json"))

    def _read_key(self, text: str, at: str) -> FoundKey | NoKey:
        """Read `$NAME`, `!command` or a literal; up to 0.79.3 a bare NAME was a variable too."""
        command = text[1:].strip()
        if text.startswith("!") and command:
            return command_key(command)
        if _BARE.fullmatch(text) or text in self.builder.reader.environ:
            return self.builder.reader.variable(text)
        if "$$" in text or "$!" in text:
            unescaped = text.replace("$$", "$").replace("$!", "!")
            return self.builder.reader.literal(unescaped, at=at, label=self.name)
        return self.builder.reader.text(text, Syntax.DOLLAR, at=at, label=self.name)


def _written(model: Mapping[str, Any]) -> object:
    """Return a model as `models` has it, with its limits and abilities."""
    return written(
        word(model.get("id")),
        context=model.get("contextWindow"),
        output=model.get("maxTokens"),
        input=model.get("input"),
        reasoning=model.get("reasoning"),
    )


@cache
def _apis_of_its_own() -> Mapping[str, str]:
    import tomllib
    from importlib.resources import files

    table: Mapping[str, Mapping[str, str]] = tomllib.loads(
        files("holdfast.importers").joinpath("pi.toml").read_text("utf-8")
    )
    return table["api"]
