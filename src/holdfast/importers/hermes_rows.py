"""A session as Hermes stored it: a row of the table `sessions`, whichever columns its version has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core import times
from ..core.identity import Dialect
from .hermes_home import dialect_of, normal
from .read_files import mapping, word

BARE = frozenset({"", "auto", "openrouter", "custom"})
"""Billing classes, which hermes does not take for a provider on resume."""


@dataclass(frozen=True, slots=True)
class Row:
    """A session. `provider`, `url` and `mode` are those of `model_config`, the `billed` ones of its columns;
    `started` is epoch seconds."""

    id: str
    source: str = ""
    title: str = ""
    model: str = ""
    provider: str = ""
    url: str = ""
    mode: str = ""
    billed_provider: str = ""
    billed_url: str = ""
    billed_mode: str = ""
    in_fallback: bool = False
    model_config: str | None = None
    started: float = 0.0

    @property
    def called(self) -> str:
        """Return the most specific name of a provider in the row."""
        return normal(self.provider or self.billed_provider)

    @property
    def dialect(self) -> Dialect | None:
        """Return the dialect that the row tells, if any."""
        return dialect_of(self.mode) or dialect_of(self.billed_mode)

    @property
    def at(self) -> str:
        """Return the URL that the session used last."""
        return self.url or self.billed_url


def row_of(columns: Mapping[str, Any]) -> Row:
    """Return the row with these columns; those that its version of hermes lacks are empty."""
    model_config = columns.get("model_config")
    if not isinstance(model_config, str):
        model_config = None
    config = config_of(model_config)
    live = mapping(config.get("gateway_runtime"))
    billed_provider = word(config.get("billing_provider")) or word(columns.get("billing_provider"))
    return Row(
        id=str(columns["id"]),
        source=word(columns.get("source")),
        title=word(columns.get("title")),
        model=word(columns.get("model")) or word(config.get("model")),
        provider=word(config.get("provider")),
        url=word(config.get("base_url")),
        mode=word(config.get("api_mode")),
        billed_provider=billed_provider or word(live.get("provider")),
        billed_url=word(columns.get("billing_base_url")) or word(live.get("base_url")),
        billed_mode=word(columns.get("billing_mode")) or word(live.get("api_mode")),
        in_fallback=live.get("fallback_active") is True,
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
