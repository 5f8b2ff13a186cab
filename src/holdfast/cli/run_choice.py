"""The choices behind a run: the program, the session with its pin, the connection, and every secret that must
not get into the program's environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
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
from ..core.routes import Route
from ..core.routing import provider_of, route_for
from ..core.session import checked_session_id
from ..engine.candidates import with_candidates
from ..harness import HARNESSES
from ..harness.base import Harness
from ..providers import presets
from ..values.secret import Secret
from .output import SETUP
from .references import is_free_to_read

if TYPE_CHECKING:
    from ..credentials import Vault
    from ..sdk.api import Holdfast

_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Choice:
    """The connection of a run, with the first key that can be read, and the value of that key. `dialect` is
    the program's: another than the connection's where it is translated."""

    harness: Harness
    session: str
    pin: Pin
    dialect: Dialect
    connection: Connection
    secret: Secret | None


def find_harness(name: str) -> Harness:
    """Return the program of this name. Raises ConfigError with the nearest name."""
    if name not in HARNESSES:
        raise ConfigError(
            f"no harness is called '{name}': {near(name, HARNESSES)}", next_step="holdfast run --list"
        )
    return HARNESSES[name]


def session_name(harness: Harness, working: Path) -> str:
    """Return the session of a program in a directory: each project keeps its own choice and history."""
    directory = _ODD.sub("-", working.name)[:_LONGEST_NAME] or "root"
    return f"{harness.name}@{directory}-{sha256(str(working).encode()).hexdigest()[:8]}"


def selected_pin(
    holdfast: Holdfast, session: str, pin: str | None, harness: Harness, *, ask: Callable[[], str | None]
) -> tuple[Pin, str | None]:
    """Return the pin of a run, and the key chosen with it: the pin given, else the session's, else the
    project's, else the one that the user picks when `ask` asks. Changes nothing. Raises ConfigError when
    there is none."""
    holdfast.engine.look_again()
    if pin is not None:
        return Pin.parse(pin), None
    stored = holdfast.engine.session(session)
    if stored is not None:
        return stored.pin, stored.key
    selected = project_pin(holdfast.config)
    picked = ask() if selected is None else None
    if picked is not None:
        return Pin.parse(picked), None
    if selected is None:
        models = f"holdfast models --harness {harness.name} lists them"
        step = f"holdfast run {harness.name} --pin PROVIDER/MODEL   ({models})"
        if not holdfast.config.providers:
            step = f"{SETUP}   (there is no provider yet)"
        raise ConfigError(f"{harness.title} needs a pin: session '{session}' has none", next_step=step)
    return selected[0], None


def choice_of(
    holdfast: Holdfast, harness: Harness, *, session: str, pin: Pin, key: str | None, direct: bool = False
) -> Choice:
    """Return the connection that a pin means for this program. Nothing is translated for one that calls the
    provider itself (`direct`).

    Raises IdentityError for a session id that could be misread in a path, CannotHandOver when the program
    speaks no dialect of the provider or the provider does not offer the model, SecretMissing when no key can
    be read, ConnectionLost when the pin does not resolve.
    """
    checked_session_id(session)
    config = holdfast.config
    try:
        provider = provider_of(config, pin, key)
    except ConnectionLost as lost:
        raise with_candidates(config, lost, pin, holdfast.engine.store).about(session) from None
    dialect = dialect_for(
        harness.name,
        harness.speaks,
        provider,
        [other for other in config.providers.values() if other is not provider],
        wire=harness.wire,
        known_at=config.known_at,
        only_key=key,
        translates=not direct,
    )
    _check_offered(provider, pin)
    route = route_for(config, pin, dialect, key, translates=not direct)
    connection, secret = readable(holdfast.engine.vault, route)
    return Choice(harness, session, pin=pin, dialect=dialect, connection=connection, secret=secret)


def settle(holdfast: Holdfast, choice: Choice) -> None:
    """Begin or resume the session of a run. If it is on another pin, the pin of the run is its user's new
    choice."""
    session = holdfast.session(choice.session, choice.pin)
    if session.row.pin != choice.pin:
        session.switch(choice.pin)


def _check_offered(provider: Provider, pin: Pin) -> None:
    """Raise CannotHandOver when the user's own list of models lacks the model: the program would learn it by
    a 404 only."""
    if provider.models is None or pin.model in provider.models:
        return
    close = get_close_matches(pin.model, provider.models, n=3, cutoff=0.4) or provider.models
    what = f"provider '{provider.name}' does not offer '{pin.model}': it is not in its models"
    details = [f"could be: {provider.name}/{model}" for model in close]
    raise CannotHandOver(what, details=details, next_step=f"holdfast models --provider {provider.name}")


def readable(vault: Vault, route: Route) -> tuple[Connection, Secret | None]:
    """Return the route's first connection whose key can be read, and the key. Raises SecretMissing for the
    first key when none can be read."""
    failed: SecretMissing | None = None
    for connection in route.connections:
        if connection.key is None:
            return connection, None
        try:
            return connection, vault.secret(connection.key)
        except SecretMissing as missing:
            failed = failed or missing
    # A route has at least one connection.
    assert failed is not None  # noqa: S101
    raise failed


def secrets_of(vault: Vault, config: Config) -> list[Secret]:
    """Return every secret that can be read without running a program or asking a keyring."""
    for provider in config.providers.values():
        for key in provider.keys:
            if is_free_to_read(key):
                with suppress(SecretMissing, ConfigError):
                    vault.secret(key)
    return vault.known()


def variables() -> dict[str, Sequence[str]]:
    """Return the variables in which programs look for the key of each preset."""
    return {name: row["env"] for name, row in presets.rows().items() if row.get("env")}


def foreign(config: Config, variables: Iterable[Iterable[str]]) -> list[str]:
    """Return the variables that may hold keys: those given, of known providers, and those that the user's own
    keys name."""
    own = [
        key.ref.removeprefix("env:")
        for provider in config.providers.values()
        for key in provider.keys
        if key.ref.startswith("env:")
    ]
    return list(dict.fromkeys([*own, *(name for row in variables for name in row)]))
