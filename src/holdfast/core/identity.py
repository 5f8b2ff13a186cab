"""The values that name a connection. They are immutable, checked when they are made, and travel whole.

What the user typed is the identity (a Pin); everything else is derived from it. Nothing here has a URL that
can be set from outside: `Connection.endpoint` follows from provider, dialect and key, and a rotation can
change the key only."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self
from urllib.parse import SplitResult, urlsplit

from ..values.addresses import address_of, names_no_provider
from ..values.secret import redact, without_user
from .errors import IdentityError, WrongDialect

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_LONGEST_MODEL = 512
KINDS = frozenset(
    {"custom", "auto", "default", "none", "any", "provider", "openai-compatible", "anthropic-compatible"}
)
_HOST = re.compile(r"[a-z0-9._-]+")
_SCHEMES = ("http://", "https://")
_AFTER_COLON = re.compile(r"(//[^/?#:]*:).*", re.DOTALL)
DEFAULT_PORTS = {"http": 80, "https": 443}


class ProviderName(str):
    """The name of an entry of the user's configuration. Kinds such as `custom` are refused, since any number
    of entries could have them (story 0)."""

    __slots__ = ()

    def __new__(cls, name: str) -> Self:
        if isinstance(name, cls):
            return name
        if name in KINDS:
            step = "holdfast provider add NAME --url URL   (a name of your own, such as 'my-gateway')"
            raise IdentityError(
                f"'{name}' is a kind, not a name: two such entries could not be told apart", next_step=step
            )
        if not _NAME.fullmatch(name):
            raise IdentityError(
                f"'{name}' cannot be a provider's name: up to 64 of a-z, 0-9, '.', '_' and '-', "
                "starting with a letter or digit"
            )
        return str.__new__(cls, name)


def is_provider_name(text: str) -> bool:
    """Return whether a provider can be called this."""
    return _NAME.fullmatch(text) is not None and text not in KINDS


@dataclass(frozen=True, slots=True)
class Pin:
    """The user's choice as one string, `provider/model`, split at the first slash: what a session stores."""

    provider: ProviderName
    model: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "provider", ProviderName(self.provider))
        if not can_be_pinned(self.model):
            raise IdentityError(
                f"'{self}' names no model: a pin is provider/model",
                next_step=f"holdfast models --provider {self.provider}",
            )

    @classmethod
    def parse(cls, text: str) -> Pin:
        """Return the pin that `text` writes. Raises IdentityError without slash or model, or for a kind."""
        provider, slash, model = text.partition("/")
        if not slash:
            raise IdentityError(f"'{text}' is not a pin: write provider/model", next_step="holdfast models")
        return cls(ProviderName(provider), model)

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


def can_be_pinned(model: str) -> bool:
    """Return whether a pin can write this name: not empty, not padded, printable, at most 512 characters."""
    return 0 < len(model) <= _LONGEST_MODEL and model == model.strip() and model.isprintable()


class Dialect(StrEnum):
    """The API that a client or an endpoint speaks."""

    OPENAI_CHAT = "openai-chat"
    OPENAI_RESPONSES = "openai-responses"
    ANTHROPIC_MESSAGES = "anthropic-messages"


class Auth(StrEnum):
    """The way in which a key is sent. `NONE` says that the endpoint takes no key."""

    BEARER = "bearer"
    X_API_KEY = "x-api-key"
    API_KEY = "api-key"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL with its dialect, auth style and extra headers. `url` is normalised; `origin` is
    scheme://host[:port] (RFC 6454).

    Raises IdentityError for another scheme than http(s), credentials, a query or a fragment in the URL, a
    host that is link-local, a metadata service or the unspecified address, and for a header that holds a
    control character. `wire/header_names` decides which headers may be written."""

    url: str
    dialect: Dialect = Dialect.OPENAI_CHAT
    auth: Auth = Auth.BEARER
    headers: tuple[tuple[str, str], ...] = ()
    origin: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        parts = _checked(self.url)
        origin = _origin(parts)
        object.__setattr__(self, "url", origin + parts.path.rstrip("/"))
        object.__setattr__(self, "origin", origin)
        for name, value in self.headers:
            if any(letter < " " or letter == "\x7f" for letter in name + value):
                raise IdentityError(f"header {name!r} of {self.url} holds a control character")

    @property
    def host(self) -> str:
        """host[:port], for messages."""
        return self.origin.partition("://")[2]


def _origin(parts: SplitResult) -> str:
    """Return scheme://host[:port] without a default port, an address in its usual spelling."""
    host = str(address_of(parts.hostname or "") or parts.hostname)
    origin = f"{parts.scheme}://{host}"
    if ":" in host:
        origin = f"{parts.scheme}://[{host}]"
    if parts.port in (None, DEFAULT_PORTS[parts.scheme]):
        return origin
    return f"{origin}:{parts.port}"


def _checked(url: str) -> SplitResult:
    """Return the parts of a URL that may be an endpoint's. Raises IdentityError."""
    public = without_user(url)
    shown = redact(public)
    if not public.lower().startswith(_SCHEMES) or not url.isascii():
        raise IdentityError(f"'{shown}' is not an http(s) URL")
    if public != url.strip():
        masked = shown.replace("://", "://****@", 1)
        raise IdentityError(
            f"{masked} has a user or password: remove it (an @ of the path is %40)",
            next_step="holdfast key add PROVIDER --from env:NAME",
        )
    try:
        parts = urlsplit(public)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:  # its text repeats what may be half of a password
        cut = _AFTER_COLON.sub(r"\1…", shown)
        raise IdentityError(f"'{cut}' is not a URL: its host or port is wrong") from None
    if not parts.hostname or not port_is_valid:
        raise IdentityError(f"'{shown}' is not an http(s) URL")
    shown = f"{parts.scheme}://{parts.hostname}{parts.path}"
    if parts.query or parts.fragment:
        raise IdentityError(f"{shown} must end with its path: a query or fragment is not part of it")
    if any(ch <= " " or ch == "\x7f" for ch in url.strip()):
        raise IdentityError(f"{shown!r} holds white space or control characters")
    if not _HOST.fullmatch(parts.hostname) and address_of(parts.hostname) is None:
        raise IdentityError(f"'{shown}' is not a URL: its host or port is wrong")
    if names_no_provider(parts.hostname):
        raise IdentityError(
            f"{shown} points to a link-local, metadata or unspecified address, which no provider has"
        )
    return parts


@dataclass(frozen=True, slots=True)
class Key:
    """A credential of a provider: a label and a reference to where the value is, never the value.

    `endpoints`, when not empty, are the only ones where this key may be used: given by the user or by the
    program that provisioned the key, never taken from a table of defaults (story 1). Keys of one `account`
    share verdicts on its quota. `value` is the path of the key where the reference leads to JSON."""

    provider: ProviderName
    label: str
    ref: str
    account: str | None = None
    endpoints: tuple[Endpoint, ...] = ()
    value: str = ""


class Strategy(StrEnum):
    """The order in which a provider's keys are used. A session keeps its key while that is healthy."""

    FILL_FIRST = "fill-first"
    ROUND_ROBIN = "round-robin"
    LEAST_USED = "least-used"


class Translates(StrEnum):
    """The losses that a translation may have: hints, told in a label; none; or there is no translation."""

    LABEL = "label"
    EXACT = "exact"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Provider:
    """A named entry of the user's configuration. `models` is None when not declared; an empty tuple offers
    nothing. `answers_as` holds pairs: a name that the user gave (a deployment), and the model that the
    provider will say answered. `forward_headers`: names of headers, in lower case, that pass to and from this
    provider besides those that always do. `forced`: dialects that are translated although it speaks them."""

    name: ProviderName
    endpoints: tuple[Endpoint, ...]
    keys: tuple[Key, ...] = ()
    models: tuple[str, ...] | None = None
    strategy: Strategy = Strategy.FILL_FIRST
    preset: str | None = None
    profile: str | None = None
    answers_as: tuple[tuple[str, str], ...] = ()
    forward_headers: tuple[str, ...] = ()
    translates: Translates = Translates.LABEL
    forced: tuple[Dialect, ...] = ()

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise IdentityError(
                f"provider '{self.name}' has no endpoint",
                next_step=f"holdfast provider add {self.name} --url URL",
            )
        for what, names in (
            ("dialect", [e.dialect for e in self.endpoints]),
            ("key label", [k.label for k in self.keys]),
        ):
            twice = next((name for name, times in Counter(names).items() if times > 1), None)
            if twice is not None:
                raise IdentityError(f"provider '{self.name}' has {what} '{twice}' twice")
        for key in self.keys:
            if key.provider != self.name:
                raise IdentityError(
                    f"key '{key.label}' belongs to provider '{key.provider}', not to '{self.name}'"
                )

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """Return the dialects of the provider's endpoints, then those of its keys' own."""
        owned = (endpoint for key in self.keys for endpoint in key.endpoints)
        return tuple(dict.fromkeys(endpoint.dialect for endpoint in (*self.endpoints, *owned)))

    def endpoint_for(self, dialect: Dialect, key: Key | None = None) -> Endpoint | None:
        """Return where `dialect` is spoken with `key`: at the key's own endpoints if it has any, else at the
        provider's. None where it is not spoken there."""
        endpoints = self.endpoints
        if key is not None and key.endpoints:
            endpoints = key.endpoints
        for endpoint in endpoints:
            if endpoint.dialect is dialect:
                return endpoint
        return None

    def keys_for(self, dialect: Dialect) -> tuple[Key, ...]:
        """Return the keys that may speak `dialect`: a key with endpoints of its own is bound to these."""
        places = [(key, self.endpoint_for(dialect, key)) for key in self.keys]
        return tuple(key for key, endpoint in places if endpoint and endpoint.auth is not Auth.NONE)

    def served(self, only_key: str | None = None) -> tuple[Dialect, ...]:
        """Return the dialects that can be asked in: without a key, or with one, `only_key` if given."""
        chosen = {key for key in self.keys if only_key in (None, key.label)}
        return tuple(d for d in self.dialects if self.takes_no_key(d) or chosen & {*self.keys_for(d)})

    def takes_no_key(self, dialect: Dialect) -> bool:
        """Return whether the endpoint of this dialect says `auth = "none"`."""
        return any(e.dialect is dialect and e.auth is Auth.NONE for e in self.endpoints)


def _endpoint_of(provider: Provider, dialect: Dialect, key: Key | None) -> Endpoint:
    """Return the endpoint of a connection. Raises WrongDialect that says which provider or key has none, and
    what it speaks."""
    endpoint = provider.endpoint_for(dialect, key)
    if endpoint is not None:
        return endpoint
    owner, endpoints = f"provider '{provider.name}'", provider.endpoints
    if key is not None and key.endpoints:
        owner, endpoints = f"key '{key.label}' of provider '{provider.name}'", key.endpoints
    spoken = ", ".join(other.dialect for other in endpoints)
    step = f"holdfast provider endpoint {provider.name} {dialect}=URL   (if it has such an address)"
    if provider.endpoint_for(dialect) is not None:
        step = f"holdfast provider show {provider.name}"
    raise WrongDialect(f"{owner} has no {dialect} endpoint (it speaks {spoken})", next_step=step)


@dataclass(frozen=True, slots=True)
class Connection:
    """Provider, dialect, key and model as one value. `endpoint` is derived; inside a route only the key can
    change."""

    provider: Provider
    dialect: Dialect
    key: Key | None
    model: str
    pin: Pin = field(init=False, compare=False, repr=False)
    endpoint: Endpoint = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.key is not None and self.key not in self.provider.keys:
            raise IdentityError(f"key '{self.key.label}' is not a key of provider '{self.provider.name}'")
        endpoint = _endpoint_of(self.provider, self.dialect, self.key)
        if (self.key is None) != (endpoint.auth is Auth.NONE):
            what = f"provider '{self.provider.name}' needs a key"
            if self.provider.keys and not self.provider.keys_for(self.dialect):
                what += f" for {self.dialect}: its keys are for {', '.join(self.provider.served())} only"
            if endpoint.auth is Auth.NONE:
                what = f"provider '{self.provider.name}' takes no key (auth = \"none\")"
            raise IdentityError(what, next_step=f"holdfast key add {self.provider.name} --from env:NAME")
        object.__setattr__(self, "pin", Pin(self.provider.name, self.model))
        object.__setattr__(self, "endpoint", endpoint)

    @property
    def label(self) -> str:
        """Return the key's label; empty where no key is needed."""
        return self.key.label if self.key is not None else ""

    @property
    def account(self) -> str:
        """Return `provider:account` of the key, whose keys share verdicts on its quota; empty where none is
        named."""
        if self.key is None or not self.key.account:
            return ""
        return f"{self.provider.name}:{self.key.account}"

    def with_key(self, key: Key) -> Connection:
        """Return the same connection with another key of the same provider: the only change there is."""
        return replace(self, key=key)

    def __str__(self) -> str:
        label = f" key '{self.label}'" if self.label else ""
        return f"{self.provider.name}/{self.model}{label} at {self.endpoint.host}"
