"""`holdfast provider endpoint`, and what the commands say of an address or a key by the table of presets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from . import complete
from .context import CliContext
from .output import say

if TYPE_CHECKING:
    from ..core.identity import Key, Provider
    from ..core.known_hosts import Misplaced

_FREE_TO_READ = ("env", "file", "store")
"""References that are read just to look at a key; a program or a keyring is not asked for that."""


@click.command()
@click.argument("name", shell_complete=complete.providers)
@click.argument("endpoints", nargs=-1, required=True, metavar="DIALECT=URL...")
@click.option("--auth", help="How a key is shown there: bearer, x-api-key, api-key, or none.")
@click.pass_obj
def endpoint(context: CliContext, name: str, endpoints: Sequence[str], auth: str | None) -> None:
    """Give a provider another endpoint, in a dialect or at an address.

    Its endpoints in other dialects stay as they are. If they were its preset's, they are written out beside
    the new ones. Without --auth the key is shown as a preset of the very host says, else as the provider
    says.

    \b
    Example:
      holdfast provider endpoint mimo-plan anthropic-messages=https://token-plan-cn.xiaomimimo.com/anthropic
    """
    from .. import config as config_file

    provider = context.provider(name)
    pairs = [parsed(text, "holdfast provider endpoint --help") for text in endpoints]
    written = {
        dialect: _as_written(provider, url, auth or _usual_auth(dialect, url)) for dialect, url in pairs
    }
    config = config_file.set_endpoints(context.home, name, written)
    provider = config.providers[provider.name]
    for endpoint in provider.endpoints:
        say(f"provider '{name}' speaks {endpoint.dialect} at {endpoint.url}")
    say(f"  next: holdfast check {name}" + (f"/{provider.models[0]}" if provider.models else ""))


def parsed(text: str, step: str) -> tuple[str, str]:
    """Return the dialect and the URL of `DIALECT=URL`. Raises ConfigError for anything else."""
    from ..core.errors import ConfigError

    dialect, equals, url = text.partition("=")
    if not equals:
        raise ConfigError(f"'{dialect.partition('://')[0]}' is not DIALECT=URL", next_step=step)
    return dialect.strip(), url.strip()


def _as_written(provider: Provider, url: str, auth: str | None) -> object:
    """Return what to write into the file: the URL alone where it means the same."""
    if auth is None or (
        auth == "bearer" and all(endpoint.auth == "bearer" for endpoint in provider.endpoints)
    ):
        return url
    return {"url": url, "auth": auth}


def _usual_auth(dialect: str, url: str) -> str | None:
    """Return how a preset at the address shows its key in this dialect; None without such a preset."""
    from ..providers import presets

    known = presets.known_at(url)
    for endpoint in known.endpoints if known is not None else ():
        if endpoint.dialect == dialect:
            return str(endpoint.auth)
    return None


def of_its_host(context: CliContext, provider: Provider) -> Iterator[str]:
    """Yield what a preset knows of a provider's host beyond what its entry says, and the command that adds
    it."""
    from ..core.known_hosts import more_dialects

    more = more_dialects(context.config.known_at, provider)
    if more is not None:
        yield f"  {more.what}\n  run: {more.command}   (adds it)"


def of_its_keys(context: CliContext, provider: Provider, keys: Sequence[Key]) -> Iterator[str]:
    """Yield which of these keys seem to belong to another provider, as far as they can be read without
    running anything."""
    for key in keys:
        wrong = misplaced(context, provider, key) if key.ref.partition(":")[0] in _FREE_TO_READ else None
        if wrong is not None:
            yield f"  key '{key.label}' may be in the wrong place: {wrong.what}"
            yield f"  run: {step_for(provider, key, wrong)}"


def step_for(provider: Provider, key: Key, wrong: Misplaced) -> str:
    """Return what to run about a key that may be in the wrong place: the provider knows where nobody else
    does."""
    return wrong.command(key.ref) if wrong.owners else f"holdfast check {provider.name}   (asks the provider)"


def misplaced(context: CliContext, provider: Provider, key: Key) -> Misplaced | None:
    """Return what is wrong with where a key would go; None where nothing can be said, or the key cannot be
    read."""
    from ..core.errors import SecretMissing
    from ..core.known_hosts import places_of
    from ..providers import presets

    try:
        secret = context.vault.secret(key)
    except SecretMissing:
        return None
    return presets.misplaced(secret.starts_with, places_of(provider, key))
