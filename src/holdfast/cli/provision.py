"""`holdfast provision`: obtain keys with the user's consent, complete set-ups, and show what is missing.

Only `obtain` (which `holdfast provision NAME` is short for) ever creates a key, and only with --accept or
a yes at the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import click

from . import complete
from .context import CliContext
from .output import Options, command_of, json_option, say, show_json, table
from .prompts import given_secret
from .provision_options import ask_consent, has_live_key, kind_of, roles_of, settings_of, signed_in
from .provision_views import (
    asked,
    provisioning_of,
    report,
    status_row,
    stored_key,
    stored_record,
    view,
    views_of,
    ways_out,
    without_record,
)

_USER = "the user of the command line"
"""Whose consent is stored with a key."""


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
    help="What the service is: litellm, amazee, amazee-account, openrouter, openrouter-signin, github-models "
    "or token.",
)
@click.option("--url", help="The service's address, where the kind does not tell it.")
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
@click.option("--email", help="amazee-account: the account's e-mail address, to which a code is sent.")
@click.option("--code", help="The code from the e-mail or the sign-in page.")
@click.option(
    "--accept",
    is_flag=True,
    help="Agree to the offer. Required where there is no terminal to ask on.",
)
@click.option(
    "--again",
    is_flag=True,
    help="Continue although a key may have been created already: you may pay for a second one.",
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
    unfinished set-up is completed, and no key is created twice. Exit 4: the provider is not ready, and the
    message says why.

    \b
    Example:
      holdfast provision obtain amazee --role answer=*sonnet* --role expand=*haiku* --accept
      holdfast provision obtain team --kind litellm --url https://llm.example --admin env:ADMIN --accept
    """
    with provisioning_of(context) as provisioning:
        stored = provisioning.engine.store.provision(name)
        record = provisioning.begin(
            name,
            kind=kind_of(kind, stored),
            settings=settings_of(more, given) or None,
            roles=roles_of(roles),
            stored=stored,
        )
        if not has_live_key(stored):
            email, code = given.pop("email"), given.pop("code")
            options: Options = {"kind": kind, "email": email, **given, "set": more, "role": roles}
            command = command_of("holdfast provision", name, {**options, "again": again, "accept": True})
            record = signed_in(provisioning, record, email=email, code=code, command=command)
            ask_consent(provisioning, record, command, accept=accept)
        report(provisioning, asked(lambda: provisioning.provision(record, _USER, again=again)), as_json)


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
    store = context.existing_store
    records, broken = store.provisions(), store.broken_provisions()
    if name is not None:
        records = [record for record in records if record.name == name]
        broken = [lost for lost in broken if lost.name == name]
    if as_json:
        show_json(views_of(context, records, broken))
        return
    rows = [status_row(context, record) for record in records]
    rows += [[lost.name, lost.kind, "quarantined", "", lost.why] for lost in broken]
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
    """List the models again, and give each role the first that fits.

    \b
    Example:
      holdfast provision resolve team --role answer=pin:claude-sonnet-4-5
    """
    with provisioning_of(context) as provisioning:
        record = asked(lambda: provisioning.resolve(stored_record(provisioning, name), roles_of(roles)))
        report(provisioning, record, as_json)


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
    with provisioning_of(context) as provisioning:
        record = asked(lambda: provisioning.verify(provisioning.heal(stored_record(provisioning, name))))
        report(provisioning, record, as_json)


@command.command()
@_name
@click.option(
    "--discard",
    is_flag=True,
    help="Delete a record that cannot be read. A key that it names is not given back.",
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
        broken = [lost for lost in store.broken_provisions() if lost.name == name]
        if discard and broken:
            store.remove_provision(name)
            say(f"Deleted the record of '{name}'", f"  next: {without_record(context, broken[0])}")
            return
        record = asked(lambda: provisioning.heal(stored_record(provisioning, name)))
        ways = ways_out(record)
        if not as_json:
            say(*ways)
        report(provisioning, record, as_json, instead=ways[1:2])


@command.command()
@_name
@click.option("--kind", help="What the service is, if the provider is new.")
@click.option("--url", required=True, help="The address that the key is for.")
@click.option(
    "--from",
    "source",
    metavar="-|store:LABEL",
    help="'-' reads the key from standard input, store:LABEL is one that is stored already; without it you "
    "are asked for it.",
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
            name,
            kind=kind_of(kind, stored),
            settings=None,
            roles=roles_of(roles),
            stored=stored,
        )
        again = command_of("holdfast provision adopt", name, {"kind": kind, "url": url, "role": roles})
        ref, secret = stored_key(provisioning, name, source, again), None
        if not ref:
            secret = given_secret(name, from_stdin=source == "-", otherwise=f"{again} --from -", again=again)
        report(provisioning, asked(lambda: provisioning.adopt(record, secret, url, ref)), as_json)


@command.command()
@_name
@click.option(
    "--only-here",
    is_flag=True,
    help="Do not ask the service: delete the key here, although it may still be accepted there.",
)
@json_option
@click.pass_obj
def retire(context: CliContext, name: str, only_here: bool, as_json: bool) -> None:
    """Give a key back where the service allows it, and delete it here.

    A key that is just being requested is given back when it comes. Exit 4: the service did not say what
    became of the key, and nothing was changed.

    \b
    Example:
      holdfast provision retire team
    """
    with provisioning_of(context) as provisioning:
        stored = stored_record(provisioning, name)
        record, given_back = asked(lambda: provisioning.retire(stored, only_here=only_here))
        if as_json:
            show_json(view(record) | {"given_back": given_back})
        else:
            say(f"'{name}' is retired; {record.detail}")
