"""A session as Hermes stored it: a row of the table `sessions`, whichever columns its version has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.identity import Dialect
from ..values import times
from .hermes_entries import dialect_of, normal
from .read_files import mapping, word

BARE = frozenset({"", "auto", "custom", "custom:"})
"""Kinds, which name no provider."""
CONFIRMED = "holdfast"
"""The member of `model_config` in which a row's user has confirmed its provider and model to us."""
_FOLLOWS = ("room_plumbing", "follow_profile_config")
"""Members of `model_config` with which newer versions run a session by the settings of the day."""


@dataclass(frozen=True, slots=True)
class Row:
    """A session. `asked` is the provider that its user typed, where the version notes it; `provider`, `url`
    and `mode` are those of `model_config`, the `live` ones of its `gateway_runtime`, the `billed` ones of the
    columns; `started` is epoch seconds. `as_one` says that provider and model were noted together,
    `is_confirmed` that the user confirmed them, `follows` that the row decides nothing."""

    id: str
    source: str = ""
    title: str = ""
    model: str = ""
    asked: str = ""
    provider: str = ""
    url: str = ""
    mode: str = ""
    live_provider: str = ""
    live_url: str = ""
    live_mode: str = ""
    billed_provider: str = ""
    billed_url: str = ""
    billed_mode: str = ""
    in_fallback: bool = False
    as_one: bool = False
    is_confirmed: bool = False
    follows: bool = False
    model_config: str | None = None
    started: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of providers in `model_config`, the user's own word first; no kinds."""
        names = (normal(name) for name in (self.asked, self.live_provider, self.provider))
        return tuple(name for name in dict.fromkeys(names) if name not in BARE)

    @property
    def called(self) -> str:
        """Return the most specific name of a provider in the row, perhaps a kind."""
        return next(iter(self.names), normal(self.provider or self.live_provider or self.billed_provider))

    @property
    def dialect(self) -> Dialect | None:
        """Return the dialect that the row tells, if any."""
        return dialect_of(self.mode) or dialect_of(self.live_mode) or dialect_of(self.billed_mode)

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the URLs of `model_config`, else that of the columns, which keep the first ever used."""
        noted = tuple(url for url in (self.url, self.live_url) if url)
        if noted or self.is_confirmed or not self.billed_url:
            return noted
        return (self.billed_url,)

    @property
    def at(self) -> str:
        """Return the URL that the session used last."""
        return next(iter(self.urls), "")


def row_of(columns: Mapping[str, Any]) -> Row:
    """Return the row with these columns; those that its version of hermes lacks are empty."""
    model_config = columns.get("model_config")
    if not isinstance(model_config, str):
        model_config = None
    config = config_of(model_config)
    live, confirmed = mapping(config.get("gateway_runtime")), mapping(config.get(CONFIRMED))
    noted_model, provider = word(config.get("model")), word(config.get("provider"))
    model = word(columns.get("model")) or noted_model
    return Row(
        id=str(columns["id"]),
        source=word(columns.get("source")),
        title=word(columns.get("title")),
        model=model,
        asked=word(config.get("requested_provider")),
        provider=provider,
        url=word(config.get("base_url")),
        mode=word(config.get("api_mode")),
        live_provider=word(live.get("provider")),
        live_url=word(live.get("base_url")),
        live_mode=word(live.get("api_mode")),
        billed_provider=word(config.get("billing_provider")) or word(columns.get("billing_provider")),
        billed_url=word(columns.get("billing_base_url")),
        billed_mode=word(columns.get("billing_mode")),
        in_fallback=live.get("fallback_active") is True,
        as_one=bool(provider) and noted_model == model,
        is_confirmed=bool(provider) and confirmed == {"provider": provider, "model": model},
        follows=any(config.get(name) for name in _FOLLOWS),
        model_config=model_config,
        started=times.moment(columns.get("started_at")) or 0.0,
    )


def config_of(model_config: str | None) -> dict[str, Any]:
    """Return the table in a column `model_config`; an empty one when it holds none."""
    try:
        config = json.loads(model_config or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(config, dict):
        return {}
    return config
