"""The input of `holdfast provision`: roles, settings, codes of a sign-in, and the user's consent."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ..values.plain_text import plain
from .output import say
from .prompts import given_code

if TYPE_CHECKING:
    from ..core.model_roles import Role
    from ..core.provisioning_state import Record
    from ..engine.provisioning import Provisioning

_SETTINGS = ("url", "admin", "ref")
"""Settings of a provisioner that have options of their own."""


def kind_of(given: str | None, stored: Record | None) -> str | None:
    """Return the kind of service: as given, else as stored; None where neither tells."""
    if given or stored is None:
        return given
    return stored.kind


def has_live_key(stored: Record | None) -> bool:
    """Tell whether a provider has a key that may still work, so that none is to be created."""
    from ..core.provisioning_state import WITH_KEY

    return stored is not None and stored.state in WITH_KEY and stored.reason != "key_dead"


def roles_of(texts: Iterable[str]) -> list[Role]:
    """Read each `ROLE=PATTERN,...`. Raises ConfigError for anything else."""
    from ..core.errors import ConfigError
    from ..core.model_roles import Role

    roles = []
    for text in texts:
        name, equals, patterns = text.partition("=")
        if not equals:
            raise ConfigError(f"'{text}' is not ROLE=PATTERN", next_step="holdfast provision --help")
        stripped = (pattern.strip() for pattern in patterns.split(","))
        roles.append(Role(name.strip(), tuple(filter(None, stripped))))
    return roles


def settings_of(more: Sequence[str], given: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the provisioner's settings as they are stored. Raises ConfigError.

    `more` holds the texts of --set, `given` the other options by name.
    """
    from ..config.converters import checked_reference
    from ..core.errors import ConfigError

    settings: dict[str, Any] = {}
    for name in _SETTINGS:
        if given.get(name) is not None:
            settings[name] = given[name]
    for text in more:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise ConfigError(f"'{name}' is not NAME=VALUE", next_step="holdfast provision --help")
        settings[name] = _parse_setting(name, value)
    for name in ("admin", "ref"):
        try:
            if name in settings:
                checked_reference(settings[name])
        except ValueError as error:
            raise ConfigError(f"--{name} {error}", next_step="holdfast provision --help") from None
    return settings


def _parse_setting(name: str, value: str) -> object:
    """Return a setting's value: `models` as a list, numbers as numbers, anything else as text."""
    if name == "models":
        return value.split(",")
    if not value.replace(".", "", 1).isdigit():
        return value
    if "." in value:
        return float(value)
    return int(value)


def signed_in(
    provisioning: Provisioning, record: Record, *, email: str | None, code: str | None, command: str
) -> Record:
    """Return the record with the result of its user's sign-in, where its kind needs one.

    Asks for a missing code at the terminal. Where there is none, raises NotReady with `command` and --code.
    """
    if record.kind == "openrouter-signin":
        return _with_consent_code(provisioning, record, code, command)
    if record.kind == "amazee-account" and email:
        if code is None:
            code = _mailed_code(provisioning, record, email, command)
        return _with_account_token(provisioning, record, email, code)
    return record


def _with_consent_code(provisioning: Provisioning, record: Record, code: str | None, command: str) -> Record:
    """Add the code that OpenRouter's consent page shows."""
    from ..provisioning import openrouter

    settings = {**record.settings, "attempt": str(record.epoch)}
    record = replace(record, settings=settings)
    if code is None:
        tools = provisioning.tools(record)
        say(
            f"agree here: {openrouter.consent_page(record, 'http://localhost:3000/', tools)}",
            "  then copy what follows code= in the browser's address",
        )
        code = given_code(record.name, "Code", f"{command} --code CODE")
    return replace(record, settings={**settings, "code": code})


def _mailed_code(provisioning: Provisioning, record: Record, email: str, command: str) -> str:
    """Let amazee mail a code to the account, and ask for it."""
    from ..provisioning import amazee

    amazee.mail_code(record, email, provisioning.tools(record))
    return given_code(record.name, "Code that was mailed", f"{command} --code CODE")


def _with_account_token(provisioning: Provisioning, record: Record, email: str, code: str) -> Record:
    """Sign in to the amazee account, and store its token."""
    from ..provisioning import amazee

    token = amazee.sign_in(record, email, code, provisioning.tools(record))
    provisioning.engine.vault.file.put(record.name, "session", token)
    return replace(record, settings={**record.settings, "session": "store:session"})


def ask_consent(provisioning: Provisioning, record: Record, command: str, *, accept: bool) -> None:
    """Raise NotReady unless the user agrees, by --accept or at the terminal; `command` is one that agrees."""
    from ..core.errors import NotReady

    offer = provisioning.offer(record)
    if not accept and sys.stdin.isatty():
        accept = click.confirm(plain(f"This creates {offer}.\nAgree?"), err=True)
    if not accept:
        raise NotReady(
            f"nothing was obtained: it would create {offer}",
            reason="consent_needed",
            next_step=f"{command}   (with your consent)",
        )
