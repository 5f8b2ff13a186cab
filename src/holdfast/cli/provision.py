"""`holdfast provision`: obtain a key on the user's word, complete what is half done, and tell what stands in
the way.

Only `obtain` (which `holdfast provision NAME` is short for) ever makes a key, and only with --accept or a yes
at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .output import json_option, say, show_json, table
from .prompts import given_code, given_secret
from .provision_views import provisioning_of, report, shown_roles, view, ways_out, why

if TYPE_CHECKING:
    from ..core.model_roles import Role
    from ..core.provisioning_state import Record
    from ..engine.provisioning import Provisioning

_HERE = "the user of the command line"


class _ByName(click.Group):
    """`holdfast provision NAME` is `holdfast provision obtain NAME`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["obtain", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_ByName)
def command() -> None:
    """Obtain keys, and complete unfinished set-ups.

    \b
    Example:
      holdfast provision obtain amazee --role answer=*sonnet* --accept
      holdfast provision status
    """


_roles = click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="ROLE=PATTERN,…",
    help="A role and the models that may fill it, best first; pin:NAME is one exact model.",
)
_name = click.argument("name", shell_complete=complete.providers)


@command.command()
@_name
@click.option(
    "--kind",
    help="What the service is: litellm, amazee, amazee-account, openrouter, openrouter-signin, github-models or token.",
)
@click.option("--url", help="The service's address, if the kind does not imply it.")
@click.option("--admin", metavar="REF", help="A key that may create keys, such as env:LITELLM_MASTER_KEY.")
@click.option("--ref", metavar="REF", help="Where another tool keeps the token, such as 'cmd:gh auth token'.")
@click.option(
    "--set",
    "more",
    multiple=True,
    metavar="NAME=VALUE",
    help="A limit or option of the key: budget, budget_period, expires_in, models, rpm, tpm, region.",
)
@_roles
@click.option("--email", help="amazee-account: the address of the account; a code is mailed there.")
@click.option("--code", help="The code from the mail or from the sign-in page.")
@click.option(
    "--accept",
    is_flag=True,
    help="Agree to the offer. Without a terminal nothing is obtained without this.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Go on even if a key may exist already: you may pay for a second one.",
)
@json_option
@click.pass_obj
def obtain(
    context: CliContext,
    /,
    name: str,
    kind: str | None,
    more: Sequence[str],
    roles: Sequence[str],
    accept: bool,
    again: bool,
    as_json: bool,
    **given: str | None,
) -> None:
    """Obtain a key for a provider, with your consent.

    NAME will be the provider's name; `holdfast provision NAME` is short for this. It is safe to repeat: an
    unfinished set-up is completed, and no key is made twice. Exit 4: the provider is not ready, and the
    message says why.

    \b
    Example:
      holdfast provision obtain amazee --role answer=*sonnet* --role expand=*haiku* --accept
      holdfast provision obtain team --kind litellm --url https://llm.example --admin env:ADMIN --accept
    """
    with provisioning_of(context) as provisioning:
        stored = provisioning.engine.store.provision(name)
        settings = _settings(
            more,
            {
                field: value
                for field, value in given.items()
                if value is not None and field in ("url", "admin", "ref")
            },
        )
        record = provisioning.begin(
            name,
            kind or (stored.kind if stored is not None else None),
            settings or None,
            _parsed(roles),
            stored,
        )
        if not (
            stored is not None and stored.key and stored.state != "retired" and stored.reason != "key_dead"
        ):
            record = _signed_in(provisioning, record, given)
            _ask_consent(provisioning, record, accept)
        report(provisioning.provision(record, _HERE, again=again), as_json)


@command.command()
@click.argument("name", required=False, shell_complete=complete.providers)
@json_option
@click.pass_obj
def status(context: CliContext, name: str | None, as_json: bool) -> None:
    """Show what was set up, and what is missing.

    \b
    Example:
      holdfast provision status
    """
    memory = context.memory
    records = [one for one in (memory.provisions() if memory is not None else []) if name in (None, one.name)]
    broken = [
        one for one in (memory.broken_provisions() if memory is not None else []) if name in (None, one[0])
    ]
    if as_json:
        show_json(
            [
                *map(view, records),
                *({"name": one, "state": "quarantined", "why": wrong} for one, wrong in broken),
            ]
        )
        return
    rows = [[one.name, one.kind, one.state, shown_roles(one), why(one)] for one in records] + [
        [one, "", "quarantined", "", wrong] for one, wrong in broken
    ]
    table(
        ("PROVIDER", "KIND", "STATE", "ROLES", "WHY"),
        rows,
        empty="nothing was set up yet\n  run: holdfast provision --help",
    )


@command.command()
@_name
@_roles
@json_option
@click.pass_obj
def resolve(context: CliContext, name: str, roles: Sequence[str], as_json: bool) -> None:
    """List the models now, and give each role the one that fits.

    \b
    Example:
      holdfast provision resolve team --role answer=pin:claude-sonnet-4-5
    """
    with provisioning_of(context) as provisioning:
        report(provisioning.resolve(_stored(provisioning, name), _parsed(roles)), as_json)


@command.command()
@_name
@json_option
@click.pass_obj
def verify(context: CliContext, name: str, as_json: bool) -> None:
    """Make one small call for each role, to prove that it works.

    \b
    Example:
      holdfast provision verify team
    """
    from ..core.provisioning_state import USABLE

    with provisioning_of(context) as provisioning:
        record = provisioning.heal(_stored(provisioning, name))
        if record.state in USABLE:
            record = provisioning.verify(record)
        report(record, as_json)


@command.command()
@_name
@click.option(
    "--discard",
    is_flag=True,
    help="Forget a record that cannot be read. A key that it names is not given back.",
)
@json_option
@click.pass_obj
def repair(context: CliContext, name: str, discard: bool, as_json: bool) -> None:
    """Continue a set-up that stopped, and show what only you can do.

    \b
    Example:
      holdfast provision repair amazee
    """
    with provisioning_of(context) as provisioning:
        store = provisioning.engine.store
        if discard and name in [one for one, _ in store.broken_provisions()]:
            store.remove_provision(name)
            say(
                f"the record of '{name}' was forgotten",
                f"  next: holdfast provision adopt {name}   (if its key is still in {context.home.secrets})",
            )
            return
        record = provisioning.heal(_stored(provisioning, name))
        if not as_json:
            say(*ways_out(record))
        report(record, as_json)


@command.command()
@_name
@click.option("--kind", help="What the service is, if the provider is new.")
@click.option("--url", required=True, help="The address that the key is for.")
@click.option(
    "--from",
    "source",
    metavar="-",
    help="'-' reads the key from standard input; without it you are asked for it.",
)
@_roles
@json_option
@click.pass_obj
def adopt(
    context: CliContext,
    name: str,
    kind: str | None,
    url: str,
    source: str | None,
    roles: Sequence[str],
    as_json: bool,
) -> None:
    """Use a key you already have.

    \b
    Example:
      pass show amazee | holdfast provision adopt amazee --url https://llm.example --from -
    """
    with provisioning_of(context) as provisioning:
        stored = provisioning.engine.store.provision(name)
        record = provisioning.begin(
            name, kind or (stored.kind if stored is not None else None), None, _parsed(roles), stored
        )
        again = f"holdfast provision adopt {name} --url {url}"
        secret = given_secret(name, from_stdin=source == "-", otherwise=f"{again} --from -", again=again)
        report(provisioning.adopt(record, secret, url), as_json)


@command.command()
@_name
@json_option
@click.pass_obj
def retire(context: CliContext, name: str, as_json: bool) -> None:
    """Give a key back where the service allows it, and forget it here.

    \b
    Example:
      holdfast provision retire team
    """
    with provisioning_of(context) as provisioning:
        record, given_back = provisioning.retire(_stored(provisioning, name))
        if as_json:
            show_json(view(record) | {"given_back": given_back})
            return
        key = (
            "its key was given back"
            if given_back
            else "its key was only forgotten here: the service still knows it"
        )
        say(f"'{name}' is retired; {key if record.key else 'it had no key'}")


# What they have in common
# ----------------------------------------------------------------------------------------------------


def _stored(provisioning: Provisioning, name: str) -> Record:
    """The record of a provider. Raises ConfigError with what was set up."""
    from ..core.config import near
    from ..core.errors import ConfigError

    found = provisioning.engine.store.provision(name)
    if found is None:
        known = [one.name for one in provisioning.engine.store.provisions()]
        raise ConfigError(
            f"nothing was set up under the name '{name}': {near(name, known)}",
            next_step="holdfast provision status",
        )
    return found


def _parsed(roles: Iterable[str]) -> list[Role]:
    from ..core.errors import ConfigError
    from ..core.model_roles import Role

    found = []
    for text in roles:
        name, equals, patterns = text.partition("=")
        if not equals:
            raise ConfigError(f"'{text}' is not ROLE=PATTERN", next_step="holdfast provision --help")
        found.append(Role(name.strip(), tuple(one.strip() for one in patterns.split(",") if one.strip())))
    return found


def _settings(more: Sequence[str], given: dict[str, Any]) -> dict[str, Any]:
    """The provisioner's options as they are stored: numbers as numbers, `models` as a list. Raises
    ConfigError."""
    from ..config.parse import checked_reference
    from ..core.errors import ConfigError

    for text in more:
        name, equals, value = text.partition("=")
        if not equals or not value:
            raise ConfigError(f"'{name}' is not NAME=VALUE", next_step="holdfast provision --help")
        number = value.replace(".", "", 1).isdigit()
        given[name] = (
            value.split(",")
            if name == "models"
            else float(value)
            if number and "." in value
            else int(value)
            if number
            else value
        )
    for name in ("admin", "ref"):
        try:
            if name in given:
                checked_reference(given[name])
        except ValueError as error:
            raise ConfigError(f"--{name} {error}", next_step="holdfast provision --help") from None
    return given


def _signed_in(provisioning: Provisioning, record: Record, given: dict[str, str | None]) -> Record:
    """The record with what its user brings from a sign-in, where its kind wants one. Asks at the terminal,
    else says what to run."""
    from dataclasses import replace

    from ..provisioning import amazee, openrouter

    tools, settings = provisioning.tools(record), dict(record.settings)
    if record.kind == "openrouter-signin":
        settings["attempt"] = str(record.epoch)
        record = replace(record, settings=settings)
        if given["code"] is None:
            say(
                f"agree here: {openrouter.consent_page(record, 'http://localhost:3000/', tools)}",
                "  then copy what follows code= in the browser's address",
            )
        settings["code"] = given["code"] or given_code(
            record.name,
            "Code",
            f"holdfast provision {record.name} --kind openrouter-signin --accept --code CODE",
        )
    if record.kind == "amazee-account" and given["email"]:
        if given["code"] is None:
            amazee.mail_code(record, given["email"], tools)
        again = f"holdfast provision {record.name} --kind amazee-account --email {given['email']} --accept --code CODE"
        token = amazee.sign_in(
            record,
            given["email"],
            given["code"] or given_code(record.name, "Code that was mailed", again),
            tools,
        )
        provisioning.engine.vault.file.put(record.name, "session", token)
        settings["session"] = "store:session"
    return replace(record, settings=settings)


def _ask_consent(provisioning: Provisioning, record: Record, accept: bool) -> None:
    """Raises NotReady unless the user agrees."""
    from ..core.errors import NotReady

    offer = provisioning.offer(record)
    if not accept and sys.stdin.isatty():
        accept = click.confirm(f"This makes {offer}.\nAgree?", err=True)
    if not accept:
        raise NotReady(
            f"nothing was obtained: it would make {offer}",
            reason="consent_needed",
            next_step=f"holdfast provision {record.name} … --accept   (the same command, with your consent)",
        )
