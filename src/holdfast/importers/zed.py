"""`holdfast import zed`: `language_models` of Zed's settings.json (its documents `use-api-access`,
`use-a-gateway`). Zed keeps keys in the keyring, and reads them from variables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config.model_tables import written
from ..values.addresses import is_loopback
from ..values.secret import redact, without_user
from .addresses import OfPreset, OwnUrl
from .base import ResultBuilder
from .entries import ImportResult
from .headers import carried
from .keys import FoundKey, KeyReader, NoKey
from .kinds import Kind, kinds
from .other_keys import is_for_a_key
from .read_files import file_at, mapping, merged, table_of, word
from .rows import (
    CHAT,
    MESSAGES,
    PIN,
    RESPONSES,
    WhereAndKeys,
    inputs,
    refuse_api,
    rows_in,
    where_of,
    with_header_key,
)

_OWN = {"openai_compatible": CHAT, "anthropic_compatible": MESSAGES}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_DEFAULTS = tuple(
    f"{role}_model"
    for role in ("default", "inline_assistant", "commit_message", "thread_summary", "subagent")
)
_ALTERNATIVES = "inline_alternatives"
_AGENT_NAMES = {"open_router": "openrouter"}
"""Names in the settings of the agent, where they differ."""
_OTHER_MODELS = ("edit_predictions", "inline_completions")
_OTHER_STEP = "Holdfast does not know it: holdfast provider add NAME --url {url}"


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's settings."""
    return Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "zed" / "settings.json"


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return what the settings define. Raises ConfigError when they cannot be read."""
    path = file_at(path or default_path(environ), "settings.json")
    settings = table_of(path)
    reader = KeyReader(environ)
    builder = ResultBuilder("zed", reader, honours_base_urls=False)
    if settings is None:
        builder.leave_out(str(path), "there is no such file")
        return builder.result()
    _Zed(settings, path.name, reader).add_to(builder)
    return builder.result()


@dataclass(frozen=True, slots=True)
class _Zed:
    """Zed's settings, and the name of their file."""

    settings: Mapping[str, Any]
    file: str
    reader: KeyReader

    def add_to(self, builder: ResultBuilder) -> None:
        """Add the providers of the user's own, then those that Zed knows; note the models that it uses."""
        tables = merged(_older(self.settings), mapping(self.settings.get("language_models")))
        names: dict[str, str] = {}
        for kind, dialect in _OWN.items():
            for called, raw in mapping(tables.get(kind)).items():
                at = f"{self.file}: language_models.{kind}.{called}"
                name = self._add_own(builder, called, mapping(raw), dialect=dialect, at=at)
                if name:
                    names[called] = name
        for kind, raw in tables.items():
            at = f"{self.file}: language_models.{kind}"
            known = kinds("zed").get(kind)
            if known is not None and _is_native(known, mapping(raw)):
                self._refuse(builder, kind, mapping(raw), at)
            elif known is not None:
                name = self._add_known(builder, kind, mapping(raw), at)
                if name:
                    names[_AGENT_NAMES.get(kind, kind)] = name
            elif kind not in _OWN and word(mapping(raw).get("api_url")):
                url = word(mapping(raw).get("api_url"))
                builder.refuse(f"{kind} ({at})", _OTHER_STEP.format(url=redact(without_user(url))), url=url)
        self._tell_defaults(builder, names)
        self._tell_others(builder)

    def _add_own(
        self, builder: ResultBuilder, called: str, raw: Mapping[str, Any], *, dialect: str, at: str
    ) -> str | None:
        _tell(builder, raw, at)
        url, key = word(raw.get("api_url")), self._key(variable_of(called))
        models = rows_in(raw.get("available_models"))
        by_responses = [row for row in models if _abilities(row).get("chat_completions") is False]
        if dialect == CHAT and by_responses and len(by_responses) == len(models):
            dialect = RESPONSES
        elif dialect == CHAT and by_responses:
            names = ", ".join(word(row.get("name")) for row in by_responses)
            why = f"holdfast provider add NAME --url URL --dialect {RESPONSES}   (Zed asks them there)"
            builder.leave_out(f"{names} ({at})", why)
            models = [row for row in models if row not in by_responses]
        where, keys = self._with_header_key(builder, raw, (OwnUrl(url, dialect), [key]), at=at)
        return builder.add(
            called,
            where,
            keys,
            location=at,
            models=list(_models(models)) or None,
            headers=_headers(builder, raw, at),
        )

    def _add_known(self, builder: ResultBuilder, kind: str, raw: Mapping[str, Any], at: str) -> str | None:
        known = kinds("zed")[kind]
        url, models = word(raw.get("api_url")), rows_in(raw.get("available_models"))
        if not url and not models:
            return None
        _tell(builder, raw, at)
        where = where_of(url, known.dialect, known.url)
        called, listed = kind, list(_models(models))
        if isinstance(where, OfPreset):
            called, listed = where.name, []
        headers = _headers(builder, raw, at)
        key = self._key(known.key, needed=not (known.url and is_loopback(known.url)))
        where, keys = self._with_header_key(builder, raw, (where, [key]), at=at)
        return builder.add(called, where, keys, location=at, models=listed or None, headers=headers)

    def _with_header_key(
        self,
        builder: ResultBuilder,
        raw: Mapping[str, Any],
        given: WhereAndKeys,
        *,
        at: str,
    ) -> WhereAndKeys:
        def read(text: str) -> FoundKey | NoKey:
            return self.reader.literal(text, at=f"{at}.custom_headers", label="zed")

        texts = {name: value for name, value in mapping(raw.get("custom_headers")).items() if word(value)}
        return with_header_key(builder, texts, read, given=given, at=at)

    def _refuse(self, builder: ResultBuilder, kind: str, raw: Mapping[str, Any], at: str) -> None:
        known, url = kinds("zed")[kind], word(raw.get("api_url"))
        keys = []
        if known.key:
            keys = [self._key(known.key)]
        refuse_api(builder, f"{kind} ({at})", known.api, keys, url=url, step=known.step(url))

    def _key(self, variable: str, *, needed: bool = True) -> FoundKey | NoKey:
        if self.reader.value(variable):
            return self.reader.variable(variable)
        if not needed:
            return NoKey()
        return NoKey(f"Zed keeps it in the keyring, and {variable} is not set here")

    def _tell_defaults(self, builder: ResultBuilder, names: Mapping[str, str]) -> None:
        agent = {**mapping(self.settings.get("assistant")), **mapping(self.settings.get("agent"))}
        chosen_for = [(role, mapping(agent.get(role))) for role in _DEFAULTS]
        chosen_for += [(_ALTERNATIVES, row) for row in rows_in(agent.get(_ALTERNATIVES))]
        old = mapping(agent.get("provider"))
        if word(old.get("default_model")):
            chosen_for.append(("provider", {"provider": old.get("name"), "model": old["default_model"]}))
        for role, chosen in chosen_for:
            owner, called = word(chosen.get("provider")), word(chosen.get("model"))
            if not called:
                continue
            what = f"{role} = {owner}/{called} ({self.file})"
            if owner in names:
                builder.leave_out(what, PIN.format(pin=f"{names[owner]}/{called}"))
            else:
                builder.leave_out(what, "its provider was not imported")

    def _tell_others(self, builder: ResultBuilder) -> None:
        """Note the models for completions, and the variables that Zed gives to other programs."""
        for name in _OTHER_MODELS:
            for kind, raw in mapping(self.settings.get(name)).items():
                if word(mapping(raw).get("api_url")):
                    builder.leave_out(f"{name}.{kind} ({self.file})", "only models for chats are read")
        for name, raw in mapping(self.settings.get("agent_servers")).items():
            variables = list(filter(is_for_a_key, mapping(mapping(raw).get("env"))))
            if variables:
                why = "the variables are another program's: a provider of yours can have its key"
                builder.leave_out(f"{', '.join(variables)} ({self.file}: agent_servers.{name})", why)


def _older(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the addresses that versions of 2024 have in `assistant`, as `language_models` has them now."""
    assistant = mapping(settings.get("assistant"))
    provider = mapping(assistant.get("provider"))
    older: dict[str, Any] = {}
    if word(assistant.get("openai_api_url")):
        older["openai"] = {"api_url": assistant["openai_api_url"]}
    names = ("api_url", "low_speed_timeout_in_seconds", "available_models")
    known = {name: provider[name] for name in names if name in provider}
    if word(provider.get("name")) and known:
        older[word(provider.get("name")).lower()] = known
    return older


def _tell(builder: ResultBuilder, raw: Mapping[str, Any], at: str) -> None:
    """Note what a provider's table, and those of its models, have beyond what is carried."""
    builder.tell_fields(raw, "zed.provider", at=at)
    for row in rows_in(raw.get("available_models")):
        builder.tell_fields(row, "zed.model", at=f"{at}: {word(row.get('name'))}")


def _headers(builder: ResultBuilder, raw: Mapping[str, Any], at: str) -> dict[str, str] | None:
    """Return the headers that always have the same value; note the others."""
    headers = mapping(raw.get("custom_headers"))
    for name, value in headers.items():
        if not isinstance(value, str):
            builder.leave_out(f"header '{name}' of {at}", "Zed makes its value for each request")
    return carried(builder, {name: value for name, value in headers.items() if isinstance(value, str)}, at=at)


def variable_of(called: str) -> str:
    """Return the variable in which Zed looks for the key of a provider of the user's own."""
    return "_".join(part.upper() for part in (*_WORDS.findall(called), "API", "KEY"))


def _is_native(known: Kind, raw: Mapping[str, Any]) -> bool:
    """Return whether a provider that Zed knows is asked in an API of its own, at a host that need not serve a
    dialect of ours."""
    return bool(known.api) and (bool(raw.get("api_url")) or known.serves or not known.url)


def _abilities(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(row.get("capabilities"))


def _models(rows: list[Mapping[str, Any]]) -> Iterator[object]:
    for row in rows:
        name = word(row.get("name"))
        images = _abilities(row).get("images") or row.get("supports_images")
        if name:
            yield written(
                name,
                context=row.get("max_tokens"),
                output=row.get("max_output_tokens"),
                input=inputs(images),
            )
