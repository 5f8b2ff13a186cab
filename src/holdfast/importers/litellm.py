"""`holdfast import litellm`: `model_list` and the fall-backs of a proxy's config.yaml (LiteLLM 1.109:
docs/proxy/configs, reliability)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .base import Found, FoundKey, Gathering, address, literal, preset_for, variable
from .read_files import mapping, table_of, word

_ANYWHERE = {
    "openai": "openai-chat",
    "custom_openai": "openai-chat",
    "openai_like": "openai-chat",
    "hosted_vllm": "openai-chat",
    "anthropic": "anthropic-messages",
}
_FALLBACKS = ("fallbacks", "default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


@dataclass(frozen=True, slots=True)
class _Deployment:
    """One row of model_list: the group that clients name, and where it leads."""

    group: str
    place: str
    family: str
    model: str
    url: str
    dialect: str
    key: FoundKey | None

    @property
    def where(self) -> tuple[str, str]:
        return self.family, self.url


def default_path() -> Path:
    """The file that a proxy is usually started with."""
    return Path("config.yaml")


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> Found:
    """What the file deploys. Raises ConfigError when it cannot be read."""
    path = path or default_path()
    config = table_of(path)
    gathered = Gathering("litellm")
    if config is None:
        gathered.leave(str(path), "there is no such file: holdfast import litellm PATH")
        return gathered.found()
    deployments = list(_deployments(gathered, config, environ))
    owners = _providers(gathered, deployments)
    pins: dict[str, str] = {}
    for one in deployments:
        pin = f"{owners.get(id(one), '')}/{one.model}"
        if not owners.get(id(one)) or not one.model:
            continue
        if one.group in pins and pins[one.group] != pin:
            why = f"a name leads to one place here, and '{one.group}' is {pins[one.group]}"
            gathered.leave(
                f"'{one.group}' at {pin}", f"{why}: list it under [fallback] if it may answer instead"
            )
        elif one.group not in pins and one.group != one.model:
            gathered.leave(f"the name '{one.group}'", f"it is the pin {pin} here")
        pins.setdefault(one.group, pin)
    _fallbacks(gathered, config, pins)
    if mapping(config.get("general_settings")).get("master_key") is not None:
        gathered.leave("master_key", "our gateway has tokens of its own: holdfast token new")
    return gathered.found()


def _deployments(
    gathered: Gathering, config: Mapping[str, Any], environ: Mapping[str, str]
) -> Iterator[_Deployment]:
    rows = config.get("model_list")
    for at, raw in enumerate(rows if isinstance(rows, list) else []):
        row = mapping(raw)
        given = mapping(row.get("litellm_params"))
        group, place = word(row.get("model_name")), f"model_list[{at}]"
        named, url = (
            word(given.get("model")),
            _plain(word(given.get("api_base")) or word(given.get("base_url")), environ),
        )
        family = word(given.get("custom_llm_provider")).lower()
        if not family:
            family, slash, rest = named.partition("/")
            family, named = (family, rest) if slash else ("openai" if url else "", named)
        preset = preset_for("litellm", family) if family else None
        if not family or (family not in _ANYWHERE and preset is None) or (not url and preset is None):
            why = (
                "its model names no provider"
                if not family
                else f"'{family}' needs more than a URL and a key"
                if url
                else f"we have no preset for '{family}'"
            )
            gathered.leave(f"{group or named} ({place})", f"{why}: holdfast provider add NAME --url URL")
            continue
        key = _key(word(given.get("api_key")), environ, family, place)
        yield _Deployment(
            group or named,
            place,
            family,
            "" if "*" in named else named,
            url,
            _ANYWHERE.get(family, "openai-chat"),
            key,
        )


def _plain(text: str, environ: Mapping[str, str]) -> str:
    """A value, or what `os.environ/NAME` stands for."""
    return (
        environ.get(text.removeprefix("os.environ/"), "").strip() if text.startswith("os.environ/") else text
    )


def _key(text: str, environ: Mapping[str, str], label: str, place: str) -> FoundKey | None:
    if text.startswith("os.environ/"):
        return variable(text.removeprefix("os.environ/"), environ)
    return literal(text, place, label) if text else None


def _providers(gathered: Gathering, deployments: list[_Deployment]) -> dict[int, str]:
    """One entry for each place and set of models: keys with the same models there are a pool, others are
    accounts of their own."""
    places: dict[tuple[str, str], dict[tuple[str, object], list[_Deployment]]] = {}
    for one in deployments:
        whose = (one.key.ref, one.key.secret) if one.key is not None else ("", None)
        places.setdefault(one.where, {}).setdefault(whose, []).append(one)
    owners: dict[int, str] = {}
    for (family, url), keyed in places.items():
        pools: dict[frozenset[str], list[_Deployment]] = {}
        for rows in keyed.values():
            pools.setdefault(frozenset(row.model for row in rows), []).extend(rows)
        for rows in pools.values():
            preset = preset_for("litellm", family)
            fields: dict[str, Any] = address(url, rows[0].dialect) if url else {"preset": preset}
            models = tuple(dict.fromkeys(row.model for row in rows))
            keys = {(row.key.ref, row.key.secret): row.key for row in rows if row.key is not None}
            name = gathered.add(
                _called(family, url, preset),
                {**fields, "models": models if all(models) else None},
                keys.values(),
                rows[0].place,
            )
            owners |= {id(row): name for row in rows if name}
    return owners


def _called(family: str, url: str, preset: str | None) -> str:
    """The preset's name where it is the maker's own host, else the host's."""
    if not url:
        return preset or family
    try:
        parts = urlsplit(url)
        return (parts.hostname or family) + (f"-{parts.port}" if parts.port else "")
    except ValueError:
        return family


def _fallbacks(gathered: Gathering, config: Mapping[str, Any], pins: Mapping[str, str]) -> None:
    for settings in (mapping(config.get("router_settings")), mapping(config.get("litellm_settings"))):
        for field in _FALLBACKS:
            rows = settings.get(field)
            if field != "fallbacks":
                if rows:
                    gathered.leave(
                        field, "a fallback here is written for one pin, and used when it cannot answer"
                    )
                continue
            for row in rows if isinstance(rows, list) else []:
                for group, then in mapping(row).items():
                    names = [word(one) for one in then] if isinstance(then, list) else []
                    missing = [one for one in (group, *names) if one not in pins]
                    if missing:
                        gathered.leave(f"the fall-back of '{group}'", f"'{missing[0]}' was not carried")
                    else:
                        gathered.fallbacks[pins[group]] = tuple(pins[one] for one in names)
