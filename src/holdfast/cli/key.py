"""`holdfast key`: references to keys, what is remembered of them, and the file in which we keep keys if asked
to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .endpoints import of_its_keys
from .guards import refuse_while_used, sign_out
from .key_login import login
from .output import clock, count, finite, json_option, say, show_json, table
from .prompts import given_secret

if TYPE_CHECKING:
    from ..core.changes import Cooldown, Evidence
    from ..core.identity import Key, Provider
    from ..store.base import Store

_FREE_TO_READ = ("env", "file", "store")
"""References that are read just to be listed; a program or a keyring is not asked for that."""


_FROM = "env:VARIABLE, file:PATH, cmd:PROGRAM, keyring:SERVICE/USER, store:LABEL, oauth:SIGN-IN or call:NAME; '-' reads the key from standard input."


@click.group()
def command() -> None:
    """Add, list, sign in for, reset and remove keys.

    \b
    Example:
      holdfast key add mimo-plan --from env:MIMO_KEY
    """


command.add_command(login)


@command.command()
@click.argument("provider", shell_complete=complete.providers)
@click.option("--from", "ref", metavar="REF", help=_FROM)
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
      pass show mimo | holdfast key add mimo-plan --from - --label team
    """
    from .. import config as config_file

    entry = context.provider(provider)
    secret = None
    if ref is None or ref == "-" or ref.startswith("store:"):
        kept = (
            ref.removeprefix("store:")
            if ref is not None and ref.startswith("store:")
            else label or _free_label(entry)
        )
        known = next((key for key in entry.keys if key.ref == f"store:{kept}"), None)
        if known is not None:
            _check_unkept(context, known)
        again = f"holdfast key add {provider}"
        otherwise = f"{again} --from env:VARIABLE   (or --from - to read the key from standard input)"
        secret = given_secret(provider, from_stdin=ref == "-", otherwise=otherwise, again=again)
        if known is not None:
            context.vault.file.put(provider, kept, secret)
            say(f"Stored key '{known.label}' of provider '{provider}' again in {context.home.secrets}")
            return
        ref = f"store:{kept}"
    fields = {"from": ref, "label": label, **given}
    config = config_file.add_key(
        context.home, provider, {name: value for name, value in fields.items() if value is not None}, secret
    )
    provider_now = config.providers[entry.name]
    added = provider_now.keys[-1]
    value = f" (its value is in {context.home.secrets})" if secret is not None else ""
    say(f"Added key '{added.label}' of provider '{provider}' to {context.home.config}{value}")
    misplaced = list(of_its_keys(context, provider_now, [added]))
    say(*(misplaced or [f"  next: holdfast check {provider}"]))


def _free_label(provider: Provider) -> str:
    taken = {key.label for key in provider.keys}
    return next(label for number in range(1, len(taken) + 2) if (label := f"k{number}") not in taken)


def _check_unkept(context: CliContext, key: Key) -> None:
    """A kept key is replaced only when its value is lost. Raises ConfigError otherwise."""
    from ..core.errors import ConfigError, SecretMissing

    try:
        context.vault.secret(key)
    except SecretMissing:
        return
    raise ConfigError(
        f"provider '{key.provider}' has a key '{key.label}' already",
        next_step=f"holdfast key remove {key.provider} {key.label}",
    )


@command.command("list")
@click.argument("provider", required=False, shell_complete=complete.providers)
@json_option
@click.pass_obj
def list_(context: CliContext, provider: str | None, as_json: bool) -> None:
    """List keys and what happened with them.

    Only the last characters of a key are shown. No program or keyring is asked.

    \b
    Example:
      holdfast key list mimo-plan
    """
    providers = [context.provider(provider)] if provider else list(context.config.providers.values())
    memory = context.memory
    evidence = memory.evidence() if memory is not None else []
    verdicts = [one for one in memory.cooldowns() if one.until > memory.now()] if memory is not None else []
    views = [_view(context, one, key, evidence, verdicts) for one in providers for key in one.keys]
    if as_json:
        show_json(views)
        return
    rows = [
        [one["provider"], one["label"], one["reference"], one["tail"] or one["state"], "; ".join(_told(one))]
        for one in views
    ]
    table(
        ("PROVIDER", "LABEL", "REFERENCE", "KEY", "HISTORY"),
        rows,
        empty="no key yet\n  run: holdfast key add PROVIDER --from env:VARIABLE",
    )


def _view(
    context: CliContext,
    provider: Provider,
    key: Key,
    evidence: Sequence[Evidence],
    verdicts: Sequence[Cooldown],
) -> dict[str, Any]:
    """A key as JSON values. `state`: found, missing (`why` says so) or not read; `until` null is a verdict
    without an end."""
    from ..core.secret import redact

    tail, state, why = _read(context, key)
    mark = context.vault.fingerprint(key, context.vault.pepper()) if evidence or verdicts else None
    subjects = (f"key:{mark}@", f"account:{provider.name}:{key.account}@")
    return {
        "provider": provider.name,
        "label": key.label,
        "reference": redact(key.ref),
        "account": key.account,
        "tail": tail,
        "state": state,
        "why": why,
        "ends": context.vault.ends(key),
        "evidence": [
            {
                "url": e.url,
                "first_ok": e.first_ok,
                "last_ok": e.last_ok,
                "last_fault": e.last_fault and str(e.last_fault),
                "last_fault_at": e.last_fault_at,
            }
            for e in evidence
            if e.fingerprint == mark
        ],
        "verdicts": [
            {
                "about": c.subject.partition("@")[2],
                "fault": str(c.fault.kind),
                "since": c.since,
                "until": finite(c.until),
            }
            for c in verdicts
            if c.subject.startswith(subjects[: 2 if key.account else 1])
        ],
    }


def _read(context: CliContext, key: Key) -> tuple[str, str, str]:
    """(tail, state, why) of a key's value."""
    from ..core.errors import SecretMissing

    scheme, _, name = key.ref.partition(":")
    if scheme == "oauth":
        grant = context.vault.file.grant(name)
        why = grant.ended if grant is not None else "not signed in"
        return "", "missing" if why else "found", f"{why}: holdfast key login {key.provider}" if why else ""
    if scheme not in _FREE_TO_READ:
        return "", "not read", ""
    try:
        return str(context.vault.secret(key)), "found", ""
    except SecretMissing as error:
        return "", "missing", "; ".join(error.tried)


def _told(one: dict[str, Any]) -> Iterator[str]:
    """What is remembered of a key, for reading."""
    if one["why"]:
        yield one["why"]
    if one["ends"] is not None:
        yield f"its token ends {clock(one['ends'])} and is renewed by itself"
    for e in one["evidence"]:
        host = e["url"].partition("://")[2].partition("/")[0]
        yield (
            f"worked at {host} {clock(e['last_ok'])}"
            if e["last_ok"] is not None
            else f"never worked at {host}"
        )
        if e["last_fault"] and (e["last_fault_at"] or 0) > (e["last_ok"] or 0):
            yield f"{e['last_fault']} {clock(e['last_fault_at'])}"
    for verdict in one["verdicts"]:
        until = clock(verdict["until"]) if verdict["until"] is not None else "the key changes"
        yield f"{verdict['fault']} until {until} (holdfast key reset {one['provider']} {one['label']})"


@command.command()
@click.argument("provider", shell_complete=complete.providers)
@click.argument("label", required=False, shell_complete=complete.labels)
@click.pass_obj
def reset(context: CliContext, provider: str, label: str | None) -> None:
    """Forget the history of a provider's keys.

    The next request asks the provider again.

    \b
    Example:
      holdfast key reset mimo-plan team
    """
    entry = context.provider(provider)
    keys = [_key(entry, label)] if label else list(entry.keys)
    memory = context.memory
    for key in keys:
        forgotten = _forget(context, memory, key) if memory is not None else 0
        say(f"key '{key.label}' of provider '{provider}': {count(forgotten, 'record')} forgotten")


def _forget(context: CliContext, memory: Store, key: Key) -> int:
    """Evidence and verdicts of a key and its account. Raises SecretMissing: by its value is a key known."""
    context.vault.secret(key)
    mark = context.vault.fingerprint(key, context.vault.pepper())
    forgotten = memory.forget(mark) if mark is not None else 0
    if key.account:
        forgotten += sum(
            memory.clear(one.subject)
            for one in memory.cooldowns()
            if one.subject.startswith(f"account:{key.provider}:{key.account}@")
        )
    return forgotten


def _key(provider: Provider, label: str) -> Key:
    from ..core.config import near
    from ..core.errors import ConfigError

    found = next((key for key in provider.keys if key.label == label), None)
    if found is None:
        known = near(label, [key.label for key in provider.keys])
        raise ConfigError(
            f"provider '{provider.name}' has no key '{label}': {known}",
            next_step=f"holdfast key list {provider.name}",
        )
    return found


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
    memory = context.memory
    sessions = memory.sessions() if memory is not None else []
    using = [session for session in sessions if session.pin.provider == provider and session.key == label]
    if not force:
        forced = f"holdfast key remove {provider} {label} --force"
        refuse_while_used(f"key '{label}' of provider '{provider}'", using, forced)
    config_file.remove_key(context.home, provider, label)
    sign_out(context, key.ref)
    say(f"Removed key '{label}' of provider '{provider}' from {context.home.config}")
