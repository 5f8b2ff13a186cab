"""The service of a sign-in, as its client sees it: tokens are given, renewed and revoked there.

Whatever a sign-in yields, and the client's own secret, is sent to the sign-in's own addresses only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

from .._files import Busy
from ..config import Home
from ..config import load as load_config
from ..core.config import SignIn
from ..core.errors import ConfigError, SecretMissing
from ..core.identity import Key, ProviderName
from ..credentials.grant import Grant
from ..credentials.oauth_source import Refresh
from ..credentials.secrets_file import SecretsFile
from ..credentials.token_answers import TokenAnswer, refusal_in
from ..secrecy.masking import redacted
from ..values.secret import Secret

Fields = Mapping[str, str | Secret]
Post = Callable[..., TokenAnswer]
"""Sends a form to a URL: (url, fields), and perhaps `basic`, the secret of a client that proves itself in a
header, and `seconds`."""
ReadKey = Callable[[Key], Secret]
"""Reads a key by its reference. Raises SecretMissing."""

_REVOCATION = 10.0
"""Seconds for the revocation of a token."""
_BUSY = 10.0
"""Seconds to wait for a renewal that is under way before its sign-in is replaced."""


def post(url: str, fields: Fields, **options: Any) -> TokenAnswer:
    """Send a form to a token address and return the answer; the HTTP client is imported on first use."""
    from ..calls.token_endpoint import post_form

    return post_form(url, fields, **options)


@dataclass(frozen=True, slots=True)
class TokenService:
    """The service of one sign-in. `secret` is that of the client, None for one that has none."""

    sign_in: SignIn
    send: Post = post
    secret: Secret | None = None

    def tokens(self, fields: Fields) -> TokenAnswer:
        """Ask for tokens, with the fields of a grant."""
        return self._post(self.sign_in.token_url, {**fields, **self.target()})

    def device(self) -> TokenAnswer:
        """Ask for a code that is typed on another device."""
        scope = {"scope": " ".join(self.sign_in.scopes)} if self.sign_in.scopes else {}
        return self._post(self.sign_in.device_url, {**scope, **self.target()})

    def target(self) -> dict[str, str]:
        """Return the fields that say what the tokens are for: `audience`, and `resource` (RFC 8707)."""
        fields = {"audience": self.sign_in.audience, "resource": self.sign_in.resource}
        return {name: value for name, value in fields.items() if value}

    def revoked(self, grant: Grant) -> str:
        """Revoke the refresh token of a grant (RFC 7009), or the only token that it has. Return what came of
        it, for its user; nothing for a grant that has ended anyway."""
        token, kind = grant.refresh or grant.access, "refresh_token" if grant.refresh else "access_token"
        if token is None or grant.ended:
            return ""
        if not self.sign_in.revoke_url:
            where = f"[signin.{self.sign_in.name}] has no revoke_url"
            return f"its tokens stay valid at the service until they expire: {where}"
        fields: Fields = {"token": token, "token_type_hint": kind}
        answer = self._post(self.sign_in.revoke_url, fields, seconds=_REVOCATION)
        if 200 <= answer.status < 300:
            return "the service has revoked its tokens"
        why = f"HTTP {answer.status} {refusal_in(answer).code}" if answer.status else "no answer"
        why = redacted(why.strip(), [token, *self.known()], limit=100)
        return f"the service did not confirm that its tokens are revoked ({why}): sign out there too"

    def known(self) -> list[Secret]:
        """Return the secrets that the service has of the client, which its answers may repeat."""
        if self.secret is None:
            return []
        return [self.secret]

    def _post(self, url: str, fields: Fields, **options: Any) -> TokenAnswer:
        fields = {**fields, "client_id": self.sign_in.client_id}
        if self.secret is None:
            return self.send(url, fields, **options)
        if self.sign_in.client_auth == "basic":
            return self.send(url, fields, basic=self.secret, **options)
        return self.send(url, {**fields, "client_secret": self.secret}, **options)


def client_secret(sign_in: SignIn, read: ReadKey) -> Secret | None:
    """Return the secret of a sign-in's client, None for one that has none. Raises ConfigError."""
    if not sign_in.client_secret:
        return None
    try:
        return read(Key(ProviderName("signin"), sign_in.name, sign_in.client_secret))
    except SecretMissing as missing:
        what = f"the client_secret of [signin.{sign_in.name}] cannot be read: {'; '.join(missing.tried)}"
    raise ConfigError(what, next_step="holdfast doctor")


def renewals(home: Home, send: Post = post, read: ReadKey | None = None) -> Refresh:
    """Return the function by which a vault renews the sign-ins of this home, at the token address in the
    current configuration. `read` reads the secrets of clients."""

    def ask(name: str, refresh: Secret) -> TokenAnswer:
        try:
            sign_in = load_config(home).sign_ins.get(name)
        except ConfigError:
            return TokenAnswer(0, b"holdfast.toml is wrong: holdfast doctor")
        if sign_in is None:
            return TokenAnswer(0, f"holdfast.toml has no [signin.{name}]".encode())
        service = TokenService(sign_in, send)
        if read is not None:
            try:
                service = replace(service, secret=client_secret(sign_in, read))
            except ConfigError as error:
                return TokenAnswer(0, error.what.encode())
        return service.tokens({"grant_type": "refresh_token", "refresh_token": refresh})

    return ask


def take_over(file: SecretsFile, name: str, grant: Grant | None) -> Grant | None:
    """Put a new sign-in, or none, in the place of another, and return that; if possible not before a renewal
    of it that is under way has ended, so that what is returned is its newest state. Raises ConfigError."""
    with ExitStack() as lock:
        with suppress(Busy):
            lock.enter_context(file.sign_in_lock(name, _BUSY))
        return file.put_grant(name, grant)
