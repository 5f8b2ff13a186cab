"""The other dialects of a provider's own host: asked for one by one, told, and offered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from .context import CliContext
from .endpoints import as_written
from .output import in_a_terminal

if TYPE_CHECKING:
    from ..calls.siblings import AskedAddress, Asker
    from ..core.identity import Dialect, Endpoint, Key, Provider


def asks(
    context: CliContext, provider: Provider, keys: Sequence[Key], model: str = ""
) -> Iterator[AskedAddress]:
    """Yield the addresses that were asked, with one of `keys`, for the dialects that the provider lacks. None
    where it lacks none, where no key can be read, and where our table knows all dialects of its host."""
    missing = _missing(provider)
    asker = _asker(context, provider, keys, model) if missing else None
    if asker is not None:
        yield from asker.ask(missing)


def asks_instead(
    context: CliContext, provider: Provider, keys: Sequence[Key], model: str
) -> Iterator[AskedAddress]:
    """Yield the addresses of its host that were asked for the only dialect of a provider, whose own address
    has nothing of it."""
    if len(provider.dialects) == 1 and _is_unknown(provider):
        asker = _asker(context, provider, keys, model)
        if asker is not None:
            yield from asker.ask(provider.dialects)


def command_instead(provider: Provider, asked: Sequence[AskedAddress]) -> str:
    """Return the command that replaces the address of a provider by the one that speaks; "" without one."""
    from ..wire.dialect_probe import Spoken

    matches = [each.endpoint for each in asked if each.spoken is Spoken.YES]
    return "".join(f"{command}   (replaces the address)" for command in _commands(provider, matches))


def line_of(asked: AskedAddress) -> str:
    """Return what was asked and seen, as a line."""
    from ..wire.dialect_probe import Spoken

    endpoint, status = asked.endpoint, asked.status
    answer = "no answer came" if status is None else f"HTTP {status}"
    words = {
        Spoken.YES: "is spoken",
        Spoken.NO: "is not spoken",
        Spoken.KEY: "this key is refused",
        Spoken.UNKNOWN: "not known now",
    }
    return f"{endpoint.dialect} at {endpoint.url}: {words[asked.spoken]} ({answer})"


def summary_of(asked: Sequence[AskedAddress]) -> list[str]:
    """Return a line for each address that speaks, and one for each dialect that none was found to speak."""
    from ..wire.dialect_probe import Spoken

    lines = [line_of(each) for each in asked if each.spoken is Spoken.YES]
    matches = [each.endpoint.dialect for each in asked if each.spoken is Spoken.YES]
    for dialect in dict.fromkeys(each.endpoint.dialect for each in asked):
        of_it = [each for each in asked if each.endpoint.dialect is dialect]
        if dialect not in matches and len(of_it) == 1:
            lines.append(line_of(of_it[0]))
        elif dialect not in matches:
            lines.append(f"{dialect}: not found at {len(of_it)} addresses of {of_it[0].endpoint.host}")
    return lines


def offer(
    context: CliContext, provider: Provider, asked: Sequence[AskedAddress], *, yes: bool, ask: bool = True
) -> list[str]:
    """Add the endpoints that were found: at once with `yes`, else after a question in a terminal if it may
    `ask`. Return the lines about it: what was added, or the commands that add it."""
    from .. import config as config_file
    from ..wire.dialect_probe import Spoken

    matches = [each.endpoint for each in asked if each.spoken is Spoken.YES]
    if not matches:
        return []
    if not yes and ask and in_a_terminal():
        yes = click.confirm(f"Add {_words(matches)} to provider '{provider.name}'?", default=True)
    if not yes:
        return [f"run: {command}   (adds it)" for command in _commands(provider, matches)]
    written = {str(each.dialect): as_written(provider, each.url, str(each.auth)) for each in matches}
    config_file.set_endpoints(context.editable, provider.name, written)
    return [f"Added {_words(matches)} to provider '{provider.name}' in {context.home.config}"]


def _commands(provider: Provider, matches: Sequence[Endpoint]) -> list[str]:
    """Return the commands that add endpoints: one for each way to send a key."""
    made = []
    for auth in dict.fromkeys(endpoint.auth for endpoint in matches):
        lines = " ".join(f"{each.dialect}={each.url}" for each in matches if each.auth is auth)
        usual = all(endpoint.auth is auth for endpoint in provider.endpoints)
        made.append(f"holdfast provider endpoint {provider.name} {lines}{'' if usual else f' --auth {auth}'}")
    return made


def _words(matches: Sequence[Endpoint]) -> str:
    return " and ".join(f"{endpoint.dialect} at {endpoint.url}" for endpoint in matches)


def _missing(provider: Provider) -> list[Dialect]:
    """Return the dialects that are worth asking for."""
    from ..core.identity import Dialect

    if not _is_unknown(provider):
        return []
    return [dialect for dialect in Dialect if dialect not in provider.dialects]


def _is_unknown(provider: Provider) -> bool:
    """Return whether our table does not know what the host speaks, where it is not this machine."""
    from ..providers import presets
    from ..values.addresses import is_loopback

    url = provider.endpoints[0].url
    return presets.known_at(url) is None or is_loopback(url)


def _asker(context: CliContext, provider: Provider, keys: Sequence[Key], model: str) -> Asker | None:
    """Return who asks: with the first of the keys that an endpoint of the provider's takes, or with none."""
    from ..calls.siblings import Asker
    from ..core.errors import SecretMissing

    for known in provider.endpoints:
        if provider.takes_no_key(known.dialect):
            return Asker(provider, known, None, None, model=model, own_profiles=context.home.profiles)
        for key in keys:
            if provider.endpoint_for(known.dialect, key) != known:
                continue
            with suppress(SecretMissing):
                secret = context.vault.secret(key)
                return Asker(provider, known, key, secret, model=model, own_profiles=context.home.profiles)
    return None
