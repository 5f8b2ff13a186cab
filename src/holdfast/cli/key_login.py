"""`holdfast key login`: sign in for a key that expires and is renewed automatically."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import complete
from .context import CliContext
from .guards import revoke
from .output import clock, say

if TYPE_CHECKING:
    from ..core.config import SignIn
    from ..core.identity import Key, Provider

_TABLE = '[signin.NAME] with client_id, token_url and device_url or authorize_url, and a key "oauth:NAME"'


@click.command()
@click.argument("provider", shell_complete=complete.providers)
@click.option(
    "--key",
    "label",
    metavar="LABEL",
    help="The key to sign in for, if the provider has several.",
    shell_complete=complete.labels,
)
@click.option(
    "--device",
    "how",
    flag_value="device",
    help="Type a code on any device (RFC 8628). The default where the service offers it.",
)
@click.option(
    "--browser",
    "how",
    flag_value="browser",
    help="Use a browser on this machine (authorization code with PKCE).",
)
@click.option(
    "--account",
    metavar="NAME",
    help="The account to sign in with. It is proposed to you in the browser, and noted at the key: keys of "
    "one account share its quota.",
)
@click.pass_obj
def login(
    context: CliContext, provider: str, label: str | None, how: str | None, account: str | None
) -> None:
    """Sign in for a provider whose key is `oauth:NAME`.

    The tokens are stored in secrets.toml (mode 0600), renewed automatically, and sent only to the addresses
    of [signin.NAME]. Those of an earlier sign-in are revoked if it has a revoke_url.

    \b
    Example:
      holdfast key login corp --device
    """
    from ..config import set_account
    from ..engine.login import by_browser, by_device
    from ..engine.token_service import TokenService, client_secret, take_over

    key, sign_in = _key_to_sign_in(context, context.provider(provider), label)
    if how is None:
        how = "device" if sign_in.device_url else "browser"
    _check_offered(sign_in, how, provider)
    service = TokenService(sign_in, secret=client_secret(sign_in, context.vault.secret))
    if how == "device":
        grant = by_device(service, say)
    else:
        grant = by_browser(service, say, visit=click.launch, account=account)
    before = take_over(context.vault.file, sign_in.name, grant)
    ends = ""
    if grant.expires_at is not None:
        ends = f"; its first token ends {clock(grant.expires_at)}"
    say(f"signed in: key '{key.label}' of provider '{provider}' is stored in {context.home.secrets}{ends}")
    if grant.refresh is None:
        say("  note: the service gave no refresh token; sign in again when this one ends")
    if account is not None:
        set_account(context.editable, provider, key.label, account)
        say(f"  it belongs to account '{account}'")
    if before is not None:
        say(*(f"  the sign-in before: {line}" for line in revoke(context, sign_in, before)))
    say(f"  next: holdfast check {provider}")


def _key_to_sign_in(context: CliContext, provider: Provider, label: str | None) -> tuple[Key, SignIn]:
    """Return the key to sign in for, and its sign-in. Raises ConfigError when there is none, or several."""
    from ..core.errors import ConfigError

    keys = [key for key in provider.keys if key.ref.startswith("oauth:") and label in (None, key.label)]
    if not keys:
        raise ConfigError(
            f"provider '{provider.name}' has no key to sign in for",
            next_step=f"holdfast key list {provider.name}   (the file needs {_TABLE})",
        )
    labels = [key.label for key in keys]
    if len(keys) > 1:
        raise ConfigError(
            f"provider '{provider.name}' has several keys to sign in for: {', '.join(labels)}",
            next_step=f"holdfast key login {provider.name} --key {labels[0]}   (or another of them)",
        )
    return keys[0], context.config.sign_ins[keys[0].ref.removeprefix("oauth:")]


def _check_offered(sign_in: SignIn, how: str, provider: str) -> None:
    """Raise ConfigError unless the sign-in offers this way; `how` is device or browser."""
    from ..core.errors import ConfigError

    urls = {"device": sign_in.device_url, "browser": sign_in.authorize_url}
    if urls[how]:
        return
    fields = {"device": "device_url", "browser": "authorize_url"}
    other = next(name for name, url in urls.items() if url)
    raise ConfigError(
        f"[signin.{sign_in.name}] has no {fields[how]}", next_step=f"holdfast key login {provider} --{other}"
    )
