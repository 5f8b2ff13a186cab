"""From a command line to what a hand-over needs: the program, the session with its pin, the connection, and
every secret that must not get into the child."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import project_pin
from ..core.compatibility import dialect_for
from ..core.config import Config, near
from ..core.errors import CannotHandOver, ConfigError, ConnectionLost, SecretMissing
from ..core.identity import Connection, Dialect, Pin, Provider
from ..core.routing import provider_of, route_for
from ..core.secret import Secret
from ..core.session import Session
from ..harness import HARNESSES
from ..harness.base import Harness
from ..providers import presets

if TYPE_CHECKING:
    from ..credentials import Vault
    from ..sdk.api import Holdfast

_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_QUICK = ("env:", "file:", "store:")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a run is about: the connection with the first key that can be read, and that key."""

    harness: Harness
    session: str
    pin: Pin
    connection: Connection
    secret: Secret | None


def known(name: str) -> Harness:
    """The program of this name. Raises ConfigError with the nearest."""
    if name not in HARNESSES:
        raise ConfigError(
            f"no harness is called '{name}': {near(name, HARNESSES)}", next_step="holdfast run --list"
        )
    return HARNESSES[name]


def session_name(harness: Harness, working: Path) -> str:
    """The session of a program in a directory, so that each project keeps its own choice and history."""
    place = _ODD.sub("-", working.name)[:40] or "root"
    return f"{harness.name}@{place}-{sha256(str(working).encode()).hexdigest()[:8]}"


def chosen(holdfast: Holdfast, name: str, pin: str | None, harness: Harness) -> tuple[Pin, str | None]:
    """The pin of a run, and the key chosen with it: the one given, else the session's, else the project's.
    Changes nothing. Raises ConfigError when nobody chose one."""
    holdfast.engine.look_again()
    if pin is not None:
        return Pin.parse(pin), None
    row = holdfast.engine.session(name)
    if row is not None:
        return row.pin, row.key
    selected = project_pin(holdfast.config)
    if selected is None:
        what = f"{harness.title} needs a pin: nobody chose one for session '{name}'"
        models = f"holdfast models --harness {harness.name} lists them"
        raise ConfigError(what, next_step=f"holdfast run {harness.name} --pin PROVIDER/MODEL   ({models})")
    return selected[0], None


def choice(holdfast: Holdfast, session: str, harness: Harness, pin: Pin, key: str | None) -> Choice:
    """What a pin means for this program. Raises CannotHandOver when it speaks no dialect of the provider or
    the provider does not offer the model, SecretMissing when no key can be read, ConnectionLost when the pin
    does not resolve."""
    Session(session, pin, key)  # an id that could be misread in a path is refused before there is one
    config = holdfast.config
    try:
        provider = provider_of(config, pin, key)
    except ConnectionLost as lost:
        raise lost.about(session) from None
    others = [one for one in config.providers.values() if one is not provider]
    dialect = dialect_for(
        harness.name, harness.speaks, provider, others, wire=harness.wire, known_at=config.known_at
    )
    _offered(provider, pin)
    connection, secret = _readable(holdfast.engine.vault, config, pin, dialect, key)
    return Choice(harness, session, pin, connection, secret)


def settle(holdfast: Holdfast, choice: Choice) -> None:
    """Begin or resume the session of a run. A pin that was given for a session on another is the user's new
    choice."""
    session = holdfast.session(choice.session, choice.pin)
    if session.pin != choice.pin:
        session.switch(choice.pin)


def _offered(provider: Provider, pin: Pin) -> None:
    """A program must not find out by a 404 that the user's own list lacks the model."""
    if provider.models is None or pin.model in provider.models:
        return
    close = get_close_matches(pin.model, provider.models, n=3, cutoff=0.4) or provider.models
    what = f"provider '{provider.name}' does not offer '{pin.model}': it is not in its models"
    details = [f"could be: {provider.name}/{one}" for one in close]
    raise CannotHandOver(what, details=details, next_step=f"holdfast models --provider {provider.name}")


def _readable(
    vault: Vault, config: Config, pin: Pin, dialect: Dialect, key: str | None
) -> tuple[Connection, Secret | None]:
    failed: SecretMissing | None = None
    for connection in route_for(config, pin, dialect, key).connections:
        if connection.key is None:
            return connection, None
        try:
            return connection, vault.secret(connection.key)
        except SecretMissing as missing:
            failed = failed or missing
    assert failed is not None  # noqa: S101 - a lane has at least one connection
    raise failed


def secrets_of(vault: Vault, config: Config) -> list[Secret]:
    """Every secret that can be had without running a program or asking a keyring."""
    for provider in config.providers.values():
        for key in provider.keys:
            if key.ref.startswith(_QUICK):
                with suppress(SecretMissing, ConfigError):
                    vault.secret(key)
    return vault.known()


def variables() -> dict[str, Sequence[str]]:
    """The variables of each known maker, ours first."""
    return {name: row["env"] for name, row in presets.rows().items() if row.get("env")}


def foreign(config: Config, variables: Iterable[Iterable[str]]) -> list[str]:
    """The variables in which keys are found: those of known providers, and those that the user's own keys
    name."""
    own = [
        key.ref.removeprefix("env:")
        for provider in config.providers.values()
        for key in provider.keys
        if key.ref.startswith("env:")
    ]
    return list(dict.fromkeys([*own, *(name for row in variables for name in row)]))
