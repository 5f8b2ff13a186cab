"""Checks of what `holdfast provider add` is given, with the command that is right."""

from __future__ import annotations

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


def check_dialect(name: str, given: Options) -> None:
    """Raise ConfigError for a --url without --dialect that a preset has in another dialect than ours."""
    from ..core.errors import ConfigError, IdentityError
    from ..core.identity import Endpoint
    from ..providers import presets
    from ..providers.known_addresses import other_dialect

    url = given["url"]
    if not isinstance(url, str) or given["dialect"] or given["preset"]:
        return
    try:
        other = other_dialect(presets.known_at, Endpoint(url))
    except IdentityError:  # the configuration says it better
        return
    if other is not None:
        command = command_of("holdfast provider add", name, {**given, "dialect": str(other.dialect)})
        raise ConfigError(other.what, next_step=command)
