"""`holdfast import claude`: the address, key and models in settings.json of Claude Code (2.1: its documents
`settings`, `llm-gateway`, `iam`).

Its settings set variables of the process, and those of the user's file win over the environment's, those of
the machine's managed files over both. A project's files may redirect it, so they are not read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.model_tables import written
from ..harness.claude_settings import CLOUDS, is_on, managed_files
from ..providers import presets
from .addresses import OfPreset, OwnUrl, Where
from .base import ResultBuilder
from .entries import ImportResult
from .headers import carried
from .keys import FoundKey, KeyReader, NoKey, command_key
from .read_files import file_at, mapping, table_of, word
from .rows import (
    MESSAGES,
    PIN,
    PROXY,
    SIGN_IN,
    TIMEOUT,
    name_at,
    tell,
    with_header_key,
)

_KEY = presets.find("anthropic")["env"][0]
_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105
_CC_SWITCH = "PROXY_MANAGED"
"""What CC Switch writes in the place of a token while its proxy runs."""
MODELS = (
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    *(f"ANTHROPIC_DEFAULT_{alias}_MODEL" for alias in ("OPUS", "SONNET", "HAIKU", "FABLE")),
    "ANTHROPIC_CUSTOM_MODEL_OPTION",
    "CLAUDE_CODE_SUBAGENT_MODEL",
)
"""Variables that name a model."""
_ALIASES = frozenset("default best opus sonnet haiku fable opusplan inherit".split())
_LONG = re.compile(r"\[1m\]\Z", re.IGNORECASE)
_LONG_CONTEXT = 1_000_000
_TOLD = {
    "ANTHROPIC_BETAS": "Claude Code sends them itself, also through Holdfast",
    "API_TIMEOUT_MS": TIMEOUT,
    "HTTPS_PROXY": PROXY,
    "HTTP_PROXY": PROXY,
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "Claude Code limits its own requests by it, also through Holdfast",
    "CLAUDE_CODE_EXTRA_BODY": "Claude Code sends it itself, also through Holdfast",
    "NODE_EXTRA_CA_CERTS": "the certificates that this machine trusts are trusted",
    "CLAUDE_CODE_CLIENT_CERT": "a provider is shown a key, and no certificate",
    "CLAUDE_CODE_OAUTH_TOKEN": "a subscription's token is for Claude Code only",
}
_TOLD_SETTINGS = {"modelOverrides": "Claude Code replaces the names of models itself, also through Holdfast"}
_OUR_HELPER = re.compile(r"holdfast\.gateway|\bholdfast\b.*\btoken\b")


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return CLAUDE_CONFIG_DIR, else ~/.claude."""
    return Path(environ.get("CLAUDE_CONFIG_DIR") or "~/.claude").expanduser()


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the settings, or the file of settings at `path`, define. Raises ConfigError when a file
    cannot be read."""
    path = file_at(path or default_path(environ), "settings.json")
    settings = table_of(path)
    own = {name: (value, path.name) for name, value in _variables(mapping(settings))}
    for managed in managed_files():
        own |= {name: (value, str(managed)) for name, value in _variables(mapping(table_of(managed)))}
    if settings is None and not own:
        builder = ResultBuilder("claude")
        builder.leave_out(str(path), "there is no such file")
        return builder.result()
    reader = KeyReader(environ, {name: value for name, (value, _) in own.items()}, path.name, own_first=True)
    claude = _Claude(mapping(settings), own, reader, path)
    builder = ResultBuilder("claude", reader, honours_base_urls=False)
    claude.add_to(builder)
    return builder.result()


def _variables(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in mapping(settings.get("env")).items():
        if isinstance(value, str | int):
            yield name, str(value).strip()


@dataclass(frozen=True, slots=True)
class _Claude:
    """The settings of Claude Code; `own` are the variables that files set, each with its file."""

    settings: Mapping[str, Any]
    own: Mapping[str, tuple[str, str]]
    reader: KeyReader
    path: Path

    def add_to(self, builder: ResultBuilder) -> None:
        """Add the one place that Claude Code asks, or note why it is left out."""
        tell(builder, self.path.name, {name: self.reader.value(name) for name in _TOLD}, _TOLD)
        tell(builder, self.path.name, self.settings, _TOLD_SETTINGS)
        if (self.path.parent / ".credentials.json").exists():
            builder.leave_out("the sign-in (.credentials.json)", SIGN_IN.format(title="Claude Code"))
        url, keys = self.reader.value("ANTHROPIC_BASE_URL"), self._keys(builder)
        for switch, cloud in CLOUDS.items():
            if is_on(self.reader.value(switch)):
                why = f"Claude Code asks {cloud}, whose API is no dialect of Holdfast, and not this address"
                builder.refuse(f"{url or 'Anthropic'} ({self.at(switch)})", why, keys, url=url)
                return
        if self.reader.value(_TOKEN) == _CC_SWITCH:
            why = "it is the proxy of CC Switch, which has the keys: holdfast import cc-switch"
            builder.leave_out(f"{url} ({self.at('ANTHROPIC_BASE_URL')})", why)
            return
        if self._is_ours():
            builder.leave_out(
                f"{url} ({self.at('ANTHROPIC_BASE_URL')})", "it is the gateway of Holdfast itself"
            )
            return
        if not url and not keys:
            builder.leave_out(str(self.path), "it has neither an address nor a key of its own")
            return
        models = []
        if url:
            models = list(self._models(builder))
        headers = self._headers()
        given = (self._where(url, keys), keys)
        at = self.at("ANTHROPIC_CUSTOM_HEADERS")
        where, used = with_header_key(builder, headers, self._in_header, given=given, at=at)
        name = builder.add(
            name_at(url, "anthropic"),
            where,
            used,
            location=self.at("ANTHROPIC_BASE_URL"),
            models=models or None,
            headers=carried(builder, headers, at=at),
        )
        main = self.reader.value("ANTHROPIC_MODEL") or word(self.settings.get("model"))
        if name and main:
            builder.leave_out(
                f"the model of every start, {main}", PIN.format(pin=f"{name}/{_LONG.sub('', main)}")
            )

    def at(self, name: str) -> str:
        """Return where a variable is set."""
        if name in self.own:
            return f"{self.own[name][1]}: env.{name}"
        if name in self.reader.environ:
            return f"{name} of the environment"
        return self.path.name

    def _where(self, url: str, keys: list[FoundKey | NoKey]) -> Where:
        if not url:
            return OfPreset("anthropic", MESSAGES)
        auth = ""
        if self.reader.value(_TOKEN) and keys:
            auth = "bearer"
        return OwnUrl(url, MESSAGES, auth)

    def _keys(self, builder: ResultBuilder) -> list[FoundKey | NoKey]:
        """Return the key that Claude Code sends: the token, else the key, else what its helper prints."""
        token, key = self._value(_TOKEN), self._value(_KEY)
        helper = word(self.settings.get("apiKeyHelper"))
        if token is not None and not self.reader.value("ANTHROPIC_BASE_URL"):
            why = "without ANTHROPIC_BASE_URL it is a sign-in at Anthropic, and no key"
            builder.leave_out(f"{_TOKEN} ({self.at(_TOKEN)})", why)
            token = None
        sources = {_TOKEN: token, _KEY: key}
        used = [name for name, source in sources.items() if source is not None]
        for name in used[1:]:
            builder.leave_out(
                f"{name} ({self.at(name)})", f"{used[0]} is used: an entry has one way to send a key"
            )
        if used:
            if helper:
                builder.leave_out(f"apiKeyHelper ({self.path.name})", f"{used[0]} is used")
            return [source for source in sources.values() if source is not None][:1]
        if helper and not _OUR_HELPER.search(helper):
            return [command_key(helper)]
        return []

    def _value(self, name: str) -> FoundKey | NoKey | None:
        """Return the key in a variable, as a value where a file sets it; None where nothing does."""
        if name in self.own:
            value, file = self.own[name]
            if not value:
                return None
            return self.reader.literal(value, at=f"{file}: env.{name}", label=name)
        if self.reader.value(name):
            return self.reader.variable(name)
        return None

    def _headers(self) -> dict[str, str]:
        """Return the headers that every request gets: a line of ANTHROPIC_CUSTOM_HEADERS for each."""
        lines = self.reader.value("ANTHROPIC_CUSTOM_HEADERS").splitlines()
        pairs = [line.partition(":") for line in lines if ":" in line]
        return {name.strip(): value.strip() for name, _, value in pairs}

    def _in_header(self, text: str) -> FoundKey | NoKey:
        return self.reader.literal(text, at=self.at("ANTHROPIC_CUSTOM_HEADERS"), label="claude")

    def _is_ours(self) -> bool:
        return _OUR_HELPER.search(word(self.settings.get("apiKeyHelper"))) is not None

    def _models(self, builder: ResultBuilder) -> Iterator[object]:
        """Yield the models that are named; note the aliases, which Claude Code resolves itself."""
        named = {name: self.reader.value(name) for name in MODELS} | {
            "model": word(self.settings.get("model"))
        }
        for at, name in named.items():
            plain = _LONG.sub("", name)
            if plain.lower() in _ALIASES:
                builder.leave_out(f"{at} = {name}", "it is an alias of Claude Code's: name the model")
            elif plain != name:
                yield written(plain, context=_LONG_CONTEXT)
            elif plain:
                yield written(plain)
