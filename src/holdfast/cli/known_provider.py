"""The provider that an address means: the one that has it already, else a new one with a name of its own.
For commands that are given an address instead of a provider: `holdfast setup` and `holdfast run --url`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .context import CliContext
from .endpoints import of_its_keys
from .new_provider import check_address, public_reference

if TYPE_CHECKING:
    from ..core.config import Config
    from ..core.identity import Provider

_ODD = re.compile(r"[^a-z0-9-]+")
_OF_MANY = frozenset({"co", "com", "org", "net", "ac", "gov", "edu"})
"""Labels before a country's, under which the names of owners stand (`example.co.uk`)."""
_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Address:
    """A provider as its user describes it: a `url` (in `dialect`, by default openai-chat) or a `preset`, how
    its key is sent, and its name."""

    url: str | None = None
    preset: str | None = None
    dialect: str | None = None
    auth: str | None = None
    name: str | None = None

    def entry(self) -> dict[str, object]:
        """Return the fields of its table in holdfast.toml."""
        given = {"url": self.url, "preset": self.preset, "dialect": self.dialect, "auth": self.auth}
        return {field: value for field, value in given.items() if value is not None}


def provider_at(
    context: CliContext, address: Address, keys: Sequence[str], models: Sequence[object]
) -> tuple[Provider, list[str]]:
    """Return the provider with this address, keys and models (names, or tables of them), and the lines about
    what was written.

    What its entry lacks is added to it; a new entry is made where none has the address. A URL that a preset
    has in one dialect only is of that dialect. Raises ConfigError for what cannot be written; then nothing is
    changed."""
    from .. import config as config_file
    from ..config.model_tables import name_of

    address, notes = _without_call(address)
    address = _in_its_dialect(address)
    known = _that_has(context.config, address)
    if known is not None:
        known, lines = _completed(context, known, keys, models)
        return known, notes + lines
    _check_free(context.config, address)
    name = address.name or _free(_name_of(address), context.config.providers)
    written = {
        "url": address.url,
        "preset": address.preset,
        "dialect": address.dialect,
        "auth": address.auth,
        "endpoint": (),
        "model": [name_of(model) for model in models],
        "key": [public_reference(key) for key in keys],
    }
    check_address(name, written)
    entry = address.entry()
    if models:
        entry["models"] = [*models]
    if keys:
        entry["keys"] = [*keys]
    provider = _of(config_file.add_provider(context.editable, name, entry), name)
    context.forget_config()
    return provider, [*notes, f"Added provider '{name}' to {context.home.config}"]


def _without_call(address: Address) -> tuple[Address, list[str]]:
    """Return the address without the path of a call, which people paste, in that call's dialect; and the line
    that says so."""
    from ..config.endpoints import of_call
    from ..values.secret import redact

    call = of_call(address.url or "")
    if call is None or address.dialect not in (None, str(call[1])):
        return address, []
    url, dialect = call
    line = f"the URL is that of a call in {dialect}: the provider's address is {redact(url)}"
    return replace(address, url=url, dialect=None if dialect == "openai-chat" else str(dialect)), [line]


def _in_its_dialect(address: Address) -> Address:
    """Return the address with the dialect that our table of presets knows for exactly this URL."""
    from ..core.identity import Endpoint
    from ..providers import presets
    from ..providers.known_addresses import other_dialect

    if address.url is None or address.dialect is not None:
        return address
    other = other_dialect(presets.known_at, Endpoint(address.url))
    if other is None:
        return address
    return replace(address, dialect=str(other.dialect))


def of_this_name(config: Config, address: Address) -> Provider | None:
    """Return the provider that is meant by a name alone, without an address."""
    named = (provider for provider in config.providers.values() if address == Address(name=provider.name))
    return next(named, None)


def _check_free(config: Config, address: Address) -> None:
    """Raise ConfigError for a URL under the name of a provider that has another one, with the command that
    gives it this one."""
    from shlex import quote

    from ..core.errors import ConfigError
    from ..values.secret import redact, without_user

    known = [str(name) for name in config.providers]
    if address.url is None or address.name not in known:
        return
    url = quote(redact(without_user(address.url)))
    step = f"holdfast provider endpoint {address.name} {address.dialect or 'openai-chat'}={url}"
    raise ConfigError(
        f"provider '{address.name}' exists already, and has another address",
        next_step=f"{step}   (gives it this one; or choose another --name)",
    )


def misplaced_keys(context: CliContext, provider: Provider) -> list[str]:
    """Return the lines about keys that seem to belong to another provider, each with its command."""
    return list(of_its_keys(context, provider, provider.keys))


def _completed(
    context: CliContext, known: Provider, keys: Sequence[str], models: Sequence[object]
) -> tuple[Provider, list[str]]:
    """Add the keys and models that the entry lacks; a name alone only to an entry that declares some."""
    from .. import config as config_file
    from ..config.model_tables import name_of

    name, lines = str(known.name), []
    for key in keys:
        if key not in [have.ref for have in known.keys]:
            known = _of(config_file.add_key(context.editable, name, {"from": key}), name)
            lines.append(f"Added key '{known.keys[-1].label}' of provider '{name}' to {context.home.config}")
    more = {name_of(model): model for model in models if _lacks(context.config, known, model)}
    if more:
        listed = dict.fromkeys(known.models or ()) | more
        written = [model or each for each, model in listed.items()]
        known = _of(config_file.set_models(context.editable, name, written), name)
        lines.append(f"Added {', '.join(more)} to the models of provider '{name}'")
    context.forget_config()
    return known, lines or [f"Provider '{name}' is there already"]


def _lacks(config: Config, known: Provider, model: object) -> bool:
    """Return whether the entry of a provider does not say what is given of a model: its name, or more in a
    table."""
    from ..config.model_tables import name_of
    from ..core.identity import Pin

    if not isinstance(model, Mapping):
        return known.models is not None and model not in known.models
    facts = config.facts.get(Pin(known.name, name_of(model)), {})
    return any(facts.get(fact) != value for fact, value in model.items() if fact != "id")


def _of(config: Config, name: str) -> Provider:
    from ..core.identity import ProviderName

    return config.providers[ProviderName(name)]


def _that_has(config: Config, address: Address) -> Provider | None:
    """Return the provider that has the address in its dialect; one of another name only if none is asked
    for."""
    from ..core.identity import Dialect, Endpoint

    if (named := of_this_name(config, address)) is not None:
        return named
    for provider in config.providers.values():
        if address.name not in (None, provider.name):
            continue
        if address.url is None and provider.preset == address.preset and _is_at_its_preset(provider):
            return provider
        if address.url is not None:
            dialect = Dialect(address.dialect or Dialect.OPENAI_CHAT)
            spoken = provider.endpoint_for(dialect)
            if spoken is not None and spoken.url == Endpoint(address.url, dialect).url:
                return provider
    return None


def _is_at_its_preset(provider: Provider) -> bool:
    """Return whether a provider has addresses of its preset only, so that the preset's keys may go there."""
    from ..core.identity import Endpoint
    from ..providers import presets

    known = {Endpoint(url).url for url in presets.find(provider.preset or "")["endpoints"].values()}
    return all(endpoint.url in known for endpoint in provider.endpoints)


def _name_of(address: Address) -> str:
    """Return a name for the provider of an address: its preset's, else that of the owner of its host."""
    from ..core.identity import is_provider_name
    from ..providers import presets

    if address.preset is not None:
        return address.preset
    known = presets.known_at(address.url or "")
    if known is not None:
        return known.preset
    *before, last = (urlsplit(address.url or "").hostname or _LOCAL).split(".")
    owner = last
    if last.isdigit() or ":" in last or not before:
        owner = _LOCAL
    elif before:
        owner = before[-1]
        if owner in _OF_MANY and len(before) > 1:
            owner = before[-2]
    name = _ODD.sub("-", owner.lower()).strip("-")
    if not is_provider_name(name):
        return f"my-{name}".rstrip("-")
    return name


def _free(name: str, taken: Collection[str]) -> str:
    """Return the name, with a number where another provider has it."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
