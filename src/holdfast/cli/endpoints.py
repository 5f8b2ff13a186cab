"""`holdfast provider endpoint`, and hints about addresses and keys that the table of presets gives."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from . import complete
from .context import CliContext
from .output import if_any, say
from .references import is_free_to_read

if TYPE_CHECKING:
    from ..core.identity import Dialect, Endpoint, Key, Provider
    from ..providers.known_addresses import OtherDialect
    from ..providers.misplaced import Misplaced

_LOCAL_NAMES = (".local", ".lan", ".internal", ".home.arpa", ".test", ".localhost")


@click.command()
@click.argument("name", shell_complete=complete.providers)
@click.argument("endpoints", nargs=-1, required=True, metavar="DIALECT=URL...")
@click.option("--auth", help="How a key is sent there: bearer, x-api-key, api-key, or none.")
@click.pass_obj
def endpoint(context: CliContext, name: str, endpoints: Sequence[str], auth: str | None) -> None:
    """Add an endpoint to a provider, or change one.

    Its endpoints in other dialects stay as they are, but for one whose address is known to speak only a
    dialect that is given: that one is replaced. If they were its preset's, they are written out beside
    the new ones. Without --auth the key is sent as a preset with this host sends it, else as the provider
    does.

    \b
    Example:
      holdfast provider endpoint mimo-plan anthropic-messages=https://token-plan-cn.xiaomimimo.com/anthropic
    """
    from .. import config as config_file

    provider = context.provider(name)
    given = parsed(endpoints, "holdfast provider endpoint --help")
    written = {
        dialect: as_written(provider, url, auth or _usual_auth(dialect, url))
        for dialect, url in given.items()
    }
    replaced = [other for other in in_other_dialects(context, provider) if other.dialect in given]
    dialects = [str(other.endpoint.dialect) for other in replaced]
    without = [dialect for dialect in dialects if dialect not in given]
    config = config_file.set_endpoints(context.editable, name, written, without=without)
    provider = config.providers[provider.name]
    for other in replaced:
        say(f"  {other.what}")
    for endpoint in provider.endpoints:
        say(f"provider '{name}' speaks {endpoint.dialect} at {endpoint.url}")
    for other in in_other_dialects(context, provider):
        say(f"  {other.what}")
    model = next(iter(provider.models or ()), "")
    say(f"  next: holdfast check {name}{if_any('/{}', model)}")


def parsed(texts: Sequence[str], step: str) -> dict[str, str]:
    """Return the URL of each dialect in texts of the form `DIALECT=URL`. Raises ConfigError for another form,
    and for a dialect that is given twice."""
    from ..core.errors import ConfigError

    urls: dict[str, str] = {}
    for text in texts:
        dialect, equals, url = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f"'{dialect.partition('://')[0]}' is not DIALECT=URL", next_step=step)
        if dialect in urls:
            what = "is given twice: a provider has one endpoint for each dialect"
            raise ConfigError(f"'{dialect.partition('://')[0]}' {what}", next_step=step)
        urls[dialect] = url
    return urls


def in_other_dialects(context: CliContext, provider: Provider) -> list[OtherDialect]:
    """Return the provider's endpoints at addresses that a preset has in another dialect only."""
    from ..providers.known_addresses import other_dialect

    others = (other_dialect(context.config.known_at, endpoint) for endpoint in provider.endpoints)
    return [other for other in others if other is not None]


def endpoints_of(provider: Provider) -> tuple[Endpoint, ...]:
    """Return all endpoints of a provider: its own, then those of single keys."""
    of_keys = (endpoint for key in provider.keys for endpoint in key.endpoints)
    return tuple(dict.fromkeys((*provider.endpoints, *of_keys)))


def as_written(provider: Provider, url: str, auth: str | None) -> object:
    """Return the value to write into the file: the URL alone where that means the same."""
    styles = {str(endpoint.auth) for endpoint in provider.endpoints}
    if auth is None or (auth == "bearer" and styles == {"bearer"}):
        return url
    return {"url": url, "auth": auth}


def _usual_auth(dialect: str, url: str) -> str | None:
    """Return how a preset with this address sends its key in this dialect; None without such a preset."""
    from ..providers import presets

    known = presets.known_at(url)
    if known is None:
        return None
    for endpoint in known.endpoints:
        if endpoint.dialect == dialect:
            return str(endpoint.auth)
    return None


def of_its_host(context: CliContext, provider: Provider) -> Iterator[str]:
    """Yield the dialects of a provider's host that a preset knows and its entry lacks, and the command that
    adds them."""
    from ..core.known_hosts import more_dialects

    more = more_dialects(context.config.known_at, provider)
    if more is not None:
        yield f"  {more.what}\n  run: {more.command}   (adds it)"


def of_its_keys(context: CliContext, provider: Provider, keys: Sequence[Key]) -> Iterator[str]:
    """Yield a line, and the command to run, for each of the keys that seems to belong to another provider.
    Only keys that are free to read are looked at."""
    for key in filter(is_free_to_read, keys):
        wrong = misplaced(context, provider, key)
        if wrong is not None:
            yield f"  key '{key.label}' may be in the wrong place: {wrong.what}"
            yield f"  run: {step_for(provider, key, wrong)}"


def step_for(provider: Provider, key: Key, wrong: Misplaced) -> str:
    """Return the command for a key that may be in the wrong place: where no owner is known, one call to the
    provider tells."""
    if wrong.owners:
        return wrong.command(key.ref)
    return f"holdfast check {provider.name}   (asks the provider)"


def misplaced(context: CliContext, provider: Provider, key: Key) -> Misplaced | None:
    """Return why a key seems to belong to another provider; None where it does not, or cannot be read."""
    from ..core.errors import SecretMissing
    from ..providers import presets
    from ..providers.misplaced import places_of

    try:
        secret = context.vault.secret(key)
    except SecretMissing:
        return None
    return presets.misplaced(secret.starts_with, places_of(provider, key))


def dialects_without_key(provider: Provider) -> list[Dialect]:
    """Return the dialects that the provider has an address for, and no key."""
    return [dialect for dialect in provider.dialects if dialect not in provider.served()]


def is_public(endpoint: Endpoint) -> bool:
    """Return whether a host is outside the user's own network, as far as its name shows."""
    host = urlsplit(endpoint.url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_LOCAL_NAMES)
