"""From rows of older software back to a pin: exactly the one that a row can mean, or a typed refusal with the
candidates and the command; never a first match (laws 2 and 6)."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.config import Config
from ..core.errors import ConnectionLost
from ..core.identity import Dialect, Pin, Provider
from ..values.secret import redact


@dataclass(frozen=True, slots=True)
class LegacyRow:
    """The remains of a choice in a row of other software: a resolved kind or an entry's name, a URL, perhaps
    dialect and model."""

    provider: str = ""
    url: str = ""
    model: str = ""
    dialect: Dialect | None = None


def recover_pin(config: Config, row: LegacyRow) -> Pin:
    """Return the one pin that a lossy row can mean (story 0, NousResearch/hermes-agent#44108).

    Exactly one entry must match by URL, and by dialect and model where they are known; an entry's own name
    decides between several, and is enough where the row has no URL. Raises ConnectionLost with the candidates
    when none or several match, or when name and URL contradict each other."""
    step = "holdfast session pin SESSION PROVIDER/MODEL"
    if not row.model:
        raise ConnectionLost("the row names no model, so no pin can be recovered from it", next_step=step)
    named = _named_by(config, row)
    at_url = [p for p in config.providers.values() if row.url and _serves(p, row)]
    agreed = _agreed(row, named, at_url)
    if len(agreed) == 1:
        return Pin(agreed[0].name, row.model)
    possible = agreed or [*named, *at_url]
    raise ConnectionLost(
        _unrecovered(row, certain=not possible),
        candidates=[f"{p.name}/{row.model}" for p in possible],
        next_step=step,
    )


def _named_by(config: Config, row: LegacyRow) -> list[Provider]:
    """Return the provider whose name the row has, as other software spells it (`custom:My Server`)."""
    name = row.provider.removeprefix("custom:").strip().lower().replace(" ", "-")
    return [p for p in config.providers.values() if p.name == name]


def _agreed(row: LegacyRow, named: list[Provider], at_url: list[Provider]) -> list[Provider]:
    """Return the providers that both the row's name and its URL allow."""
    if not named:  # the row's name is a kind or means nothing here: the URL decides alone
        return at_url
    if not row.url:  # there is only the name
        return named
    return [provider for provider in named if provider in at_url]


def _unrecovered(row: LegacyRow, *, certain: bool) -> str:
    """Return why no pin can be recovered: it is `certain` that none can be meant, or several can."""
    if not row.url and not row.provider:
        return (
            "the row names neither a provider nor a URL, "
            f"so it cannot be told where it asked for model '{row.model}'"
        )
    if not row.url:
        return f"the row names provider '{row.provider}' and no URL, and no provider of yours is called that"
    what = "it is not certain which provider of yours serves"
    if certain:
        what = "no provider of yours serves"
    what += f" model '{row.model}' at {redact(row.url)}"
    if row.provider:
        what += f" (the row calls it '{row.provider}')"
    return what


def _serves(provider: Provider, row: LegacyRow) -> bool:
    """Return whether the provider serves the row's model at the row's URL, as far as both are known."""
    if provider.models is not None and row.model not in provider.models:
        return False
    endpoints = [*provider.endpoints, *(e for key in provider.keys for e in key.endpoints)]
    at_url = [endpoint for endpoint in endpoints if bare_base(endpoint.url) == bare_base(row.url)]
    return any(row.dialect in (None, endpoint.dialect) for endpoint in at_url)


def bare_base(url: str) -> str:
    """Return a base URL as it is compared: the `/v1` that some programs append makes no difference."""
    scheme, _, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}".rstrip("/").removesuffix("/v1").rstrip("/")
