"""`holdfast import opencode`: the table `provider` of its global files, and auth.json (opencode 1.18:
its docs `providers`, `config`, and provider.ts)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ..config.model_tables import written
from .addresses import OwnUrl, Unresolved, Where, where_is
from .base import ResultBuilder
from .entries import ImportResult
from .headers import carried, key_in
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .names import preset_for
from .opencode_files import config_of, data_directory
from .pairing import usual_key
from .read_files import mapping, table_of, word, words
from .rows import MESSAGES, first_key

_USUAL_PACKAGE = "@ai-sdk/openai-compatible"
_TOKEN, _HEADER = "authToken", "a header"
_FILE = re.compile(r"\{file:([^}]+)\}")
_SIGN_INS = {
    "oauth": "a refresh token works for one program only, and opencode uses it",
    "wellknown": "opencode fetches an organisation's settings with it, which are not read",
}
_WITHOUT_VERSION = "opencode puts /messages right behind it; here /v1/messages comes after it"
_CHOICES = ("model", "small_model")
_AGENTS = ("agent", "mode")
"""Tables of agents, each of which may choose a model."""


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the files and the sign-ins define. Raises ConfigError when one of them cannot be read."""
    config, names = config_of(path, environ)
    sign_ins = mapping(table_of(data_directory(environ) / "auth.json"))
    reader = KeyReader(environ)
    builder = ResultBuilder("opencode", reader, honours_base_urls=True)
    if not names and not sign_ins:
        builder.leave_out(str(path or "~/.config/opencode"), "there is no such file")
    builder.tell_fields(config, "opencode.top", at=" and ".join(names))
    providers = mapping(config.get("provider"))
    pins: dict[str, str] = {}
    for name in dict.fromkeys((*providers, *sign_ins)):
        provider = _Provider(
            name,
            raw=mapping(providers.get(name)),
            sign_in=mapping(sign_ins.get(name)),
            builder=builder,
            pins=pins,
        )
        why = _why_off(name, config)
        if why:
            builder.refuse(name, why, [provider.auth_and_key()[1]], url=provider.url)
        else:
            provider.add()
    choices = {choice: word(config.get(choice)) for choice in _CHOICES}
    for part in _AGENTS:
        for name, raw in mapping(config.get(part)).items():
            choices[f"{part}.{name}"] = word(mapping(raw).get("model"))
    for choice, called in choices.items():
        if called:
            builder.leave_out(f"{choice} '{called}'", builder.chosen(pins.get(called, called)))
    return builder.result()


def _why_off(name: str, config: Mapping[str, Any]) -> str:
    """Return why opencode does not use a provider; "" when it does."""
    if name in words(config.get("disabled_providers")):
        return "it is one of disabled_providers"
    enabled = config.get("enabled_providers")
    if isinstance(enabled, list) and name not in words(enabled):
        return "it is not one of enabled_providers"
    return ""


@dataclass(frozen=True, slots=True)
class _Provider:
    """A provider of opencode: its table in the file (`raw`) and its sign-in in auth.json; either may be
    empty. `pins` gets the pin of each of its models by opencode's name."""

    name: str
    raw: Mapping[str, Any]
    sign_in: Mapping[str, Any]
    builder: ResultBuilder
    pins: dict[str, str] = field(default_factory=dict)

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
        """Return the package through which the provider is asked."""
        return word(self.raw.get("npm")) or _table()["usual"].get(self.name, _USUAL_PACKAGE)

    def add(self) -> None:
        """Add the provider to the result, or note why it is left out."""
        shown = f"{self.name} ({self.location})"
        auth, key = self.auth_and_key()
        where, why = self._where(auth)
        if why:
            self.builder.refuse(shown, why, [key], url=self.url)
            return
        signed_in = word(self.sign_in.get("type"))
        if signed_in in _SIGN_INS:
            self.builder.leave_out(f"the sign-in of '{self.name}' (auth.json)", _SIGN_INS[signed_in])
            if not self.url and isinstance(key, NoKey):
                return
        at = f"'{self.name}'"
        self.builder.tell_fields(self.raw, "opencode.provider", at=at)
        self.builder.tell_fields(self.options, "opencode.options", at=at)
        if (
            isinstance(where, OwnUrl)
            and where.dialect == MESSAGES
            and not where.url.rstrip("/").endswith("/v1")
        ):
            self.builder.leave_out(f"baseURL of {at}", _WITHOUT_VERSION)
        preset = preset_for("opencode", self.name)
        if preset and isinstance(key, NoKey) and not key.why:
            key = usual_key(self.builder.reader, preset)
        models = self._models()
        if not self.url:
            models = dict.fromkeys(words(self.raw.get("whitelist")))
        name = self.builder.add(
            self.name,
            where,
            [key],
            location=self.location,
            models=[given or model for model, given in models.items()],
            headers=carried(
                self.builder,
                mapping(self.options.get("headers")),
                at=at,
                hold_the_key=bool(auth) and key == self._in_header()[1],
            ),
        )
        for called, row in mapping(self.raw.get("models")).items():
            self.pins[f"{self.name}/{called}"] = f"{name}/{word(mapping(row).get('id')) or called}"

    def _where(self, auth: str) -> tuple[Where, str]:
        """Return where the provider is, or why it cannot be imported."""
        table, preset = _table(), preset_for("opencode", self.name)
        dialect = table["asked"].get(self.name) or _dialects().get(self.package, "")
        address = self.builder.reader.expand(self.url, Syntax.ENV_BRACES)
        nowhere: Where = Unresolved(address.why_not)
        if not dialect and (self.url or not preset):
            unknown = f"which API '{self.package}' speaks is not known here, so it is no dialect of ours"
            return nowhere, table["refused"].get(self.package, unknown)
        if address.missing:
            return nowhere, ""
        if not self.url and not preset:
            return nowhere, "it has no baseURL, and no preset has its name"
        return where_is(address.text, dialect, preset, auth=auth), ""

    def auth_and_key(self) -> tuple[str, FoundKey | NoKey]:
        """Return how the key is sent, "" for the usual way, and the key: of the options, else of the headers,
        else of the sign-in, else of the first variable that is set; note the others."""
        token, stored = word(self.options.get("authToken")), ""
        if word(self.sign_in.get("type")) not in _SIGN_INS:
            stored = word(self.sign_in.get("key"))
        keys = {"apiKey": self._read(word(self.options.get("apiKey")))}
        auths = {_TOKEN: "bearer"}
        if self.url:
            keys[_TOKEN] = self._read(token)
        if self.url and all(key == NoKey() for key in keys.values()):
            auths[_HEADER], keys[_HEADER] = self._in_header()
        keys["auth.json"] = self.builder.reader.literal(stored, at="auth.json", label=self.name)
        used, key = first_key(self.builder, keys, at=f"'{self.name}' ({self.location})", url=self.url)
        if used:
            return auths.get(used, ""), key
        if token:
            return "", NoKey("authToken is a subscription's token there, and not a key")
        names = words(self.raw.get("env"))
        set_here = [name for name in names if self.builder.reader.value(name)]
        return "", self.builder.reader.variable(next(iter([*set_here, *names]), ""))

    def _in_header(self) -> tuple[str, FoundKey | NoKey]:
        return key_in(mapping(self.options.get("headers")), self._read)

    def _read(self, text: str) -> FoundKey | NoKey:
        """Read `{env:NAME}`, `{file:PATH}`, a text with references in it, or a literal."""
        match = _FILE.fullmatch(text)
        if match is not None:
            return FoundKey(f"file:{match[1]}")
        if _FILE.search(text):
            return NoKey("it is made of a file and other text, which a reference cannot say")
        return self.builder.reader.text(text, Syntax.ENV_BRACES, at=self.location, label=self.name)

    def _models(self) -> dict[str, object]:
        """Return the models that are asked through the provider's package, by name, as they are written; note
        each of the others, and a second name of the same one."""
        models: dict[str, object] = {}
        for called, raw in mapping(self.raw.get("models")).items():
            row, shown = mapping(raw), f"'{self.name}/{called}'"
            own = mapping(row.get("provider"))
            if word(own.get("npm")) not in ("", self.package) or word(own.get("api")) not in ("", self.url):
                self.builder.leave_out(
                    shown, "it speaks through another package, or to another URL, than its provider"
                )
                continue
            name = word(row.get("id")) or called
            if name != called:
                self.builder.leave_out(f"the name {shown}", f"it is the model {name} here")
            self.builder.tell_fields(row, "opencode.model", at=shown)
            if not isinstance(models.get(name), Mapping):
                models[name] = _written(name, row)
        return models


def _written(name: str, row: Mapping[str, Any]) -> object:
    """Return a model as `models` has it, with its limits and abilities."""
    limit = mapping(row.get("limit"))
    return written(
        name,
        context=limit.get("context"),
        output=limit.get("output"),
        input=mapping(row.get("modalities")).get("input"),
        reasoning=row.get("reasoning"),
    )


@cache
def _table() -> Mapping[str, Mapping[str, str]]:
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("holdfast.importers").joinpath("opencode.toml").read_text("utf-8"))


@cache
def _dialects() -> Mapping[str, str]:
    return {package: dialect for dialect, names in _table()["dialects"].items() for package in names.split()}
