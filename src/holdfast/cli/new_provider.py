"""Checks of what `holdfast provider add` is given, with the command that is right."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .output import Options, command_of


def public_reference(key: str) -> str:
    """Return a key's reference as a command may repeat it; `REF` for anything else, which may be a key."""
    from ..config.converters import checked_reference
    from ..values.secret import redact

    try:
        checked_reference(key)
    except ValueError:
        return "REF"
    if redact(key) != key:
        return "REF"
    return key


def check_address(name: str, given: Options) -> None:
    """Raise ConfigError unless the command line gives the provider exactly one kind of address."""
    from ..core.errors import ConfigError
    from ..providers import presets

    if given["endpoint"] and given["url"]:
        raise ConfigError("--url and --endpoint exclude each other", next_step="holdfast provider add --help")
    if given["endpoint"] or given["url"] or given["preset"]:
        return
    address = {"url": "URL"}
    if name in presets.rows():
        address = {"preset": name}
    raise ConfigError(
        f"provider '{name}' needs an address: --url, --endpoint or --preset",
        next_step=command_of("holdfast provider add", name, {**given, **address}),
    )


def check_given(command: str, argument: str, keys: Sequence[str], given: Options) -> None:
    """Raise ConfigError with the right command for a URL without http:// or https://, and for a key that is
    no reference: the name of a variable, or a key itself, which is not repeated; a variable that holds it is
    named."""
    from ..config.converters import REFERENCES
    from ..core.errors import ConfigError
    from ..values.addresses import is_loopback
    from ..values.secret import redact

    url = given["url"]
    if isinstance(url, str) and url and "://" not in url:
        scheme = "http" if is_loopback(url) else "https"
        whole = f"{scheme}://{url}" if redact(url) == url else "URL"
        right = {"key": [public_reference(key) for key in keys], "url": whole}
        step = command_of(command, argument, {**given, **right})
        raise ConfigError("the URL needs http:// or https:// at its beginning", next_step=step)
    if all(key.partition(":")[0] in REFERENCES for key in keys):
        return
    references = [key if key.partition(":")[0] in REFERENCES else f"env:{_variable(key)}" for key in keys]
    raise ConfigError(
        "--key takes a reference to a key, such as env:VARIABLE, and not the key itself",
        next_step=command_of(command, argument, {**given, "key": references}),
    )


def _variable(key: str) -> str:
    """Return the variable that is meant: the one of this name, else one that holds this value."""
    name = key.strip("${}")
    if name in os.environ:
        return name
    return next((each for each, value in os.environ.items() if key and value.strip() == key), "VARIABLE")


def check_dialect(name: str, given: Options) -> None:
    """Raise ConfigError for a --url without --dialect that a preset has in another dialect than ours."""
    from ..config.endpoints import of_call
    from ..core.errors import ConfigError, IdentityError
    from ..core.identity import Endpoint
    from ..providers import presets
    from ..providers.known_addresses import other_dialect
    from ..values.secret import redact

    url = given["url"]
    if not isinstance(url, str) or given["dialect"] or given["preset"]:
        return
    call = of_call(url)
    if call is not None:
        base, dialect = call
        meant = {"url": base, "dialect": None if dialect == "openai-chat" else str(dialect)}
        command = command_of("holdfast provider add", name, {**given, **meant})
        what = f"the URL is that of a call in {dialect}: {redact(base)} precedes it"
        raise ConfigError(what, next_step=command)
    try:
        other = other_dialect(presets.known_at, Endpoint(url))
    except IdentityError:  # the configuration says it better
        return
    if other is not None:
        command = command_of("holdfast provider add", name, {**given, "dialect": str(other.dialect)})
        raise ConfigError(other.what, next_step=command)
