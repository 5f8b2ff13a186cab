"""`holdfast import litellm`: `model_list` and the fallbacks of a proxy's config.yaml (LiteLLM 1.109:
docs/proxy/configs, reliability)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .addresses import OwnUrl, Unresolved, Where, canonical, where_is
from .base import ResultBuilder
from .entries import ImportResult
from .keys import FoundKey, KeyReader, NoKey, Syntax
from .names import preset_for
from .read_files import mapping, table_of, word

_ANYWHERE = {
    "openai": "openai-chat",
    "custom_openai": "openai-chat",
    "openai_like": "openai-chat",
    "hosted_vllm": "openai-chat",
    "anthropic": "anthropic-messages",
}
_OTHER_FALLBACKS = ("default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


@dataclass(frozen=True, slots=True)
class _Deployment:
    """A row of model_list: the group that clients name, and its model, address and key."""

    group: str
    location: str
    family: str
    model: str
    where: Where
    key: FoundKey | NoKey

    @property
    def address(self) -> tuple[str, ...]:
        """Return what is equal for all deployments at one address: its URL and dialect, else the preset."""
        if isinstance(self.where, OwnUrl):
            return (*canonical(self.where.url), self.where.dialect)
        return (str(self.where),)

    @property
    def account(self) -> tuple[str, object]:
        """Return the identity of the key: two deployments with the same one share it."""
        if isinstance(self.key, NoKey):
            return "", None
        return self.key.ref, self.key.secret


def default_path() -> Path:
    """Return the file that a proxy is usually started with."""
    return Path("config.yaml")


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return the result for a proxy's file. Raises ConfigError when it cannot be read."""
    path = path or default_path()
    config = table_of(path)
    reader = KeyReader(environ)
    builder = ResultBuilder("litellm", reader, honours_base_urls=True)
    if config is None:
        builder.leave_out(str(path), "there is no such file: holdfast import litellm PATH")
        return builder.result()
    deployments = list(_deployments(builder, config, reader))
    owners = _add_providers(builder, deployments)
    pins = _pins(builder, deployments, owners)
    for settings in (mapping(config.get("router_settings")), mapping(config.get("litellm_settings"))):
        _add_fallbacks(builder, settings, pins)
    if mapping(config.get("general_settings")).get("master_key") is not None:
        builder.leave_out("master_key", "our gateway has tokens of its own: holdfast token new")
    return builder.result()


def _deployments(
    builder: ResultBuilder, config: Mapping[str, Any], reader: KeyReader
) -> Iterator[_Deployment]:
    rows = config.get("model_list")
    if not isinstance(rows, list):
        return
    for at, raw in enumerate(rows):
        row = mapping(raw)
        given = mapping(row.get("litellm_params"))
        location = f"model_list[{at}]"
        address = reader.expand(word(given.get("api_base")) or word(given.get("base_url")), Syntax.OS_ENVIRON)
        url = address.text
        family, model = _family_and_model(given, url)
        group = word(row.get("model_name")) or model
        key = reader.text(word(given.get("api_key")), Syntax.OS_ENVIRON, at=location, label=family)
        why = _why_left_out(family, url)
        if why:
            step = "holdfast provider add NAME --url URL"
            builder.refuse(f"{group} ({location})", f"{why}: {step}", [key], url=url)
            continue
        dialect = _ANYWHERE.get(family, "openai-chat")
        where = where_is(url, dialect, preset_for("litellm", family))
        if address.missing:
            where = Unresolved(address.why_not)
        yield _Deployment(
            group,
            location,
            family,
            model="" if "*" in model else model,
            where=where,
            key=key,
        )


def _family_and_model(given: Mapping[str, Any], url: str) -> tuple[str, str]:
    """Return LiteLLM's name of a provider ("" for none) and the model's name without it."""
    model = word(given.get("model"))
    family = word(given.get("custom_llm_provider")).lower()
    if family:
        return family, model
    prefix, slash, rest = model.partition("/")
    if slash:
        return prefix, rest
    if not url:
        return "", model
    return "openai", model


def _why_left_out(family: str, url: str) -> str:
    """Return why a deployment cannot be imported; "" when it can."""
    if not family:
        return "its model names no provider"
    if preset_for("litellm", family) is not None or (url and family in _ANYWHERE):
        return ""
    if url:
        return f"'{family}' needs more than a URL and a key"
    return f"we have no preset for '{family}'"


def _add_providers(builder: ResultBuilder, deployments: list[_Deployment]) -> dict[str, str]:
    """Add one entry for each address and set of models: keys with the same models there are a pool, others
    are accounts of their own. Return the entries' names by the location of a deployment."""
    addresses: dict[tuple[str, ...], dict[tuple[str, object], list[_Deployment]]] = {}
    for row in deployments:
        addresses.setdefault(row.address, {}).setdefault(row.account, []).append(row)
    owners: dict[str, str] = {}
    for accounts in addresses.values():
        pools: dict[frozenset[str], list[_Deployment]] = {}
        for rows in accounts.values():
            pools.setdefault(frozenset(row.model for row in rows), []).extend(rows)
        for rows in pools.values():
            name = _add_pool(builder, rows)
            if name:
                owners |= {row.location: name for row in rows}
    return owners


def _add_pool(builder: ResultBuilder, rows: list[_Deployment]) -> str | None:
    """Add the entry of deployments at one address; return its name, None when it was left out."""
    first = rows[0]
    preset = preset_for("litellm", first.family)
    models = tuple(dict.fromkeys(row.model for row in rows))
    url = getattr(first.where, "url", "")
    keys = {row.account: row.key for row in rows}
    return builder.add(
        _name_of(first.family, url, preset),
        first.where,
        keys.values(),
        location=first.location,
        models=models if all(models) else None,
    )


def _name_of(family: str, url: str, preset: str | None) -> str:
    """Return the preset's name where it is the maker's own host, else the host's."""
    if not url:
        return preset or family
    try:
        parts = urlsplit(url)
        name = parts.hostname or family
        if parts.port:
            name += f"-{parts.port}"
    except ValueError:
        return family
    return name


def _pins(
    builder: ResultBuilder, deployments: list[_Deployment], owners: Mapping[str, str]
) -> dict[str, str]:
    """Return the pin of each group: its first deployment that is imported. Note the names that change."""
    pins: dict[str, str] = {}
    for row in deployments:
        owner, group = owners.get(row.location), row.group
        if not owner or not row.model:
            continue
        pin = f"{owner}/{row.model}"
        if group not in pins:
            pins[group] = pin
            if group != row.model:
                builder.leave_out(f"the name '{group}'", f"it is the pin {pin} here")
        elif pins[group] != pin:
            builder.leave_out(
                f"'{group}' at {pin}",
                f"a name means one model here, and '{group}' is {pins[group]}: "
                f"list {pin} in [fallback] if it may answer too",
            )
    return pins


def _add_fallbacks(builder: ResultBuilder, settings: Mapping[str, Any], pins: Mapping[str, str]) -> None:
    for field in _OTHER_FALLBACKS:
        if settings.get(field):
            builder.leave_out(
                field, "a fallback here is written for one pin, and used when that cannot answer"
            )
    rows = settings.get("fallbacks")
    if not isinstance(rows, list):
        return
    for row in rows:
        for group, then in mapping(row).items():
            names = []
            if isinstance(then, list):
                names = [word(name) for name in then]
            missing = [name for name in (group, *names) if name not in pins]
            if missing:
                builder.leave_out(f"the fallback of '{group}'", f"'{missing[0]}' was not imported")
            else:
                builder.fallbacks[pins[group]] = tuple(pins[name] for name in names)
