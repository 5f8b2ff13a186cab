"""`holdfast key`: references to keys, their history, and the file where Holdfast stores keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .endpoints import of_its_keys
from .groups import Nouns
from .guards import refuse_while_used, sign_out
from .key_history import History, lines_of
from .key_login import login
from .output import command_of, count, json_option, say, show_json, table
from .prompts import given_secret
from .references import new_label

if TYPE_CHECKING:
    from ..core.identity import Key, Provider

_FROM_HELP = (
    "env:VARIABLE, file:PATH, cmd:PROGRAM, keyring:SERVICE/USER, store:LABEL, oauth:SIGN-IN, wif:SIGN-IN or "
    "call:NAME; '-' reads the key from standard input."
)


@click.group(cls=Nouns)
def command() -> None:
    """Add, list, sign in for, reset and remove keys.

    \b
    Example:
      holdfast key add mimo-plan --from env:MIMO_KEY
    """


command.add_command(login)


@command.command()
@click.argument("provider", shell_complete=complete.providers)
@click.option("--from", "ref", metavar="REF", help=_FROM_HELP)
@click.option("--value", metavar="PATH", help="Where the key is in JSON from cmd: or file:, as data.token.")
@click.option("--label", help="The key's name in messages, logs and commands.")
@click.option("--account", help="The account the key belongs to. Keys of one account share its quota.")
@click.option("--url", help="The only URL where this key may be used, if it is not the provider's.")
@click.pass_obj
def add(
    context: CliContext, /, provider: str, ref: str | None, label: str | None, **given: str | None
) -> None:
    """Add a key to a provider. Without --from it asks for the key and stores it in secrets.toml (mode 0600).

    \b
    Example:
      holdfast key add mimo-plan --from env:MIMO_KEY
      holdfast key add mimo-plan --label team
      holdfast key add mimo-plan --from "cmd:vault read -format=json secret/mimo" --value data.token
      pass show mimo | holdfast key add mimo-plan --from - --label team
    """
    from .. import config as config_file

    entry = context.provider(provider)
    secret = None
    if ref is None or ref == "-" or ref.startswith("store:"):
        stored_as = _stored_as(ref, label)
        known = next((key for key in entry.keys if key.ref == f"store:{stored_as}"), None)
        if known is not None:
            _check_lost(context, known)
        named = label
        if ref is not None and ref.startswith("store:"):
            named = stored_as
        again = command_of("holdfast key add", provider, {"label": named, **given})
        otherwise = f"{again} --from env:VARIABLE   (or --from - to read the key from standard input)"
        if known is not None:
            otherwise = f"{again} --from -   (reads the key from standard input)"
        secret = given_secret(provider, from_stdin=ref == "-", otherwise=otherwise, again=again)
        if known is not None:
            context.vault.file.put(provider, stored_as, secret)
            say(f"Stored key '{known.label}' of provider '{provider}' again in {context.home.secrets}")
            return
        ref = f"store:{stored_as}"
    fields = {"from": ref, "label": label, **given}
    config = config_file.add_key(
        context.editable,
        provider,
        {name: value for name, value in fields.items() if value is not None},
        secret,
    )
    provider_now = config.providers[entry.name]
    added = provider_now.keys[-1]
    value = ""
    if secret is not None:
        value = f" (its value is in {context.home.secrets})"
    say(f"Added key '{added.label}' of provider '{provider}' to {context.home.config}{value}")
    misplaced = list(of_its_keys(context, provider_now, [added]))
    say(*(misplaced or [f"  next: holdfast check {provider}"]))


def _stored_as(ref: str | None, label: str | None) -> str:
    """Return the label under which a key is stored: as its reference says, else its own, else a random one (a
    number would be taken for a position)."""
    if ref is not None and ref.startswith("store:"):
        return ref.removeprefix("store:")
    return label or new_label()


def _check_lost(context: CliContext, key: Key) -> None:
    """Raise ConfigError unless the value of a stored key is lost: only then may it be replaced."""
    from ..core.errors import ConfigError, SecretMissing

    try:
        context.vault.secret(key)
    except SecretMissing:
        return
    raise ConfigError(
        f"provider '{key.provider}' has a key '{key.label}' already",
        next_step=f"holdfast key remove {key.provider} {key.label}   (then add it again)",
    )


@command.command("list")
@click.argument("provider", required=False, shell_complete=complete.providers)
@json_option
@click.pass_obj
def list_(context: CliContext, provider: str | None, as_json: bool) -> None:
    """List keys and what happened with them.

    Only the last characters of a key are shown. No program is run and no keyring is asked.

    \b
    Example:
      holdfast key list mimo-plan
    """
    providers = context.providers(provider)
    history = History.of(context)
    views = [history.view(entry, key) for entry in providers for key in entry.keys]
    if as_json:
        show_json(views)
        return
    rows = [
        [shown["provider"], shown["label"], shown["reference"], shown["tail"] or shown["state"], _text(shown)]
        for shown in views
    ]
    table(
        ("PROVIDER", "LABEL", "REFERENCE", "KEY", "HISTORY"),
        rows,
        empty="no key yet\n  run: holdfast key add PROVIDER --from env:VARIABLE",
    )


def _text(shown: dict[str, Any]) -> str:
    """Return the history of a key in one cell of the table."""
    return "; ".join(lines_of(shown))


@command.command()
@click.argument("provider", shell_complete=complete.providers)
@click.argument("label", required=False, shell_complete=complete.labels)
@click.pass_obj
def reset(context: CliContext, provider: str, label: str | None) -> None:
    """Delete the history of a provider's keys.

    The next request asks the provider again.

    \b
    Example:
      holdfast key reset mimo-plan team
    """
    entry = context.provider(provider)
    keys = entry.keys
    if label:
        keys = (_key(entry, label),)
    for key in keys:
        deleted = _forget(context, key)
        say(f"key '{key.label}' of provider '{provider}': deleted {count(deleted, 'record')}")


def _forget(context: CliContext, key: Key) -> int:
    """Delete evidence and cooldowns of a key and its account, and return how many rows that were.

    Raises SecretMissing when the key cannot be read: its rows are found by the key's value.
    """
    from ..core.changes import subject_prefixes

    if not context.has_store:
        return 0
    store = context.store
    context.vault.secret(key)
    mark = context.vault.fingerprint(key, context.vault.pepper())
    deleted = 0
    if mark is not None:
        deleted += store.forget(mark)
    for cooldown in store.cooldowns():
        if cooldown.subject.startswith(subject_prefixes(mark, key)):
            deleted += store.clear(cooldown.subject)
    return deleted


def _key(provider: Provider, label: str) -> Key:
    """Return the key with this label. Raises ConfigError with the nearest label."""
    from ..core.config import near
    from ..core.errors import ConfigError

    for key in provider.keys:
        if key.label == label:
            return key
    known = near(label, [key.label for key in provider.keys])
    raise ConfigError(
        f"provider '{provider.name}' has no key '{label}': {known}",
        next_step=f"holdfast key list {provider.name}",
    )


@command.command()
@click.argument("provider", shell_complete=complete.providers)
@click.argument("label", shell_complete=complete.labels)
@click.option(
    "--force",
    is_flag=True,
    help="Remove it although sessions use it. They are kept, and refuse requests until they get another key.",
)
@click.pass_obj
def remove(context: CliContext, provider: str, label: str, force: bool) -> None:
    """Remove a key from holdfast.toml, and its stored value.

    \b
    Example:
      holdfast key remove mimo-plan team
    """
    from .. import config as config_file

    key = _key(context.provider(provider), label)
    sessions = context.existing_store.sessions_using(provider)
    using = [session for session in sessions if session.pin.provider == provider and session.key == label]
    if not force:
        forced = f"holdfast key remove {provider} {label} --force"
        refuse_while_used(f"key '{label}' of provider '{provider}'", using, forced)
    config_file.remove_key(context.editable, provider, label)
    ended = sign_out(context, key.ref)
    say(f"Removed key '{label}' of provider '{provider}' from {context.home.config}", *ended)
