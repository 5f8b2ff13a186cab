"""The user's decisions as values: providers, fallbacks, settings, and where each endpoint was written.

`config/parse` makes a Config from holdfast.toml, or an error that lists every mistake in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypedDict

from ..values.addresses import is_loopback
from .errors import IdentityError
from .identity import Dialect, Endpoint, Key, Pin, Provider, ProviderName
from .known_hosts import KnownAt, knows_none
from .routes import FallbackChain

Locate = Callable[[str], str]
"""From a TOML path to where it is written: `holdfast.toml:12`."""
INPUTS = ("text", "image", "audio", "video", "pdf")
"""The kinds of input that a model may take."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of what a request may cost: the table `[settings]`, and two numbers that no file changes.

    probe_delays      seconds before each probe of a known-good key that was refused (an empty list: no probe)
    replay_limit      bytes of request body kept for recovery ("32MiB" or a number); a larger one is sent once
    wait_budget       seconds ("60s" or a number) that recovery may wait in all for one request
    known_good_days   days for which a key that worked on a host counts as known-good there
    sends, rotations  of all classes together
    *_timeout         seconds until a provider is reached (connect), until the head of its answer (answer) and
                      between two pieces of it (stall); None: what the gateway, or the library's SDK, has
    mask_answers      the key is masked in good answers too
    """

    probe_delays: tuple[float, ...] = (0.5, 1.0, 2.0)
    replay_limit: int = 32 * 1024**2
    wait_budget: float = 60.0
    known_good_days: float = 7.0
    connect_timeout: float | None = None
    answer_timeout: float | None = None
    stall_timeout: float | None = None
    sends: int = 3
    rotations: int = 2
    mask_answers: bool = False


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The table `[gateway]`.

    listen         the address (host:port); without `public` it must be a loopback address
    store          sqlite:PATH, memory: or postgresql://…, never with a password
    drain          seconds for which running answers may go on when the gateway is stopped
    names          further host names by which clients call it
    comment_after  seconds after which a silent stream gets a comment (None: 15); 0: never
    """

    listen: str = "127.0.0.1:4141"
    store: str = "sqlite:state.db"
    public: bool = False
    drain: float = 30.0
    names: tuple[str, ...] = ()
    comment_after: float | None = None


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The table `[store]`: seconds for which the journal and unused sessions are kept, bytes in all, the
    reference to the pepper ("": the home's file), and whether a database tells of changes at once."""

    keep: float = 90 * 86400.0
    max_size: int = 256 * 1024**2
    forget_sessions: float = float("inf")
    pepper: str = ""
    notify: bool = False


@dataclass(frozen=True, slots=True)
class SignIn:
    """A table `[signin.NAME]`: the source of keys of the form `oauth:NAME`. `token_url` gives and renews
    tokens, `revoke_url` ends them; the user signs in at `device_url` (RFC 8628) or `authorize_url` (RFC 7636,
    8252). A program has an `assertion` instead, for keys `wif:NAME`; `kind` and `fields` say how it is sent.
    What a sign-in yields, and what is behind its references, is sent to these URLs only."""

    name: str
    client_id: str
    token_url: str
    device_url: str = ""
    authorize_url: str = ""
    scopes: tuple[str, ...] = ()
    revoke_url: str = ""
    client_secret: str = ""
    client_auth: str = "post"
    audience: str = ""
    resource: str = ""
    assertion: str = ""
    kind: str = "jwt-bearer"
    fields: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not (self.device_url or self.authorize_url or self.assertion):
            raise IdentityError(
                f"sign-in '{self.name}' has no device_url, no authorize_url and no assertion: add one"
            )
        for url in filter(None, (self.token_url, self.device_url, self.authorize_url, self.revoke_url)):
            Endpoint(url)
            if not url.startswith("https://") and not is_loopback(url):
                raise IdentityError(f"{url} is not https: what is sent there would be readable on the way")


class ModelFacts(TypedDict, total=False):
    """The limits of a model in tokens, for a whole conversation and for one answer, its kinds of input, and
    whether it reasons. A member that is missing is not known."""

    context: int
    output: int
    input: tuple[str, ...]
    reasoning: bool


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the user decided. `facts` has what is written about models, `caps` about endpoints
    (members of `translate.caps.Caps`). `sources` gives for each endpoint (provider, label of the key whose
    own it is or "", dialect) the TOML path that wrote it ("" if its preset did) and the preset that its
    provider names ("" if none). `known_at` is asked only for refusals and hints."""

    providers: Mapping[ProviderName, Provider] = field(default_factory=dict)
    fallbacks: Mapping[Pin, FallbackChain] = field(default_factory=dict)
    settings: Limits = Limits()
    gateway: GatewaySettings = GatewaySettings()
    store: StoreSettings = StoreSettings()
    sign_ins: Mapping[str, SignIn] = field(default_factory=dict)
    facts: Mapping[Pin, ModelFacts] = field(default_factory=dict)
    caps: Mapping[tuple[ProviderName, Dialect], Mapping[str, object]] = field(default_factory=dict)
    sources: Mapping[tuple[str, str, Dialect], tuple[str, str]] = field(
        default_factory=dict, compare=False, repr=False
    )
    locate: Locate = field(default=str, compare=False, repr=False)
    known_at: KnownAt = field(default=knows_none, compare=False, repr=False)

    def endpoint_source(self, provider: Provider, dialect: Dialect, key: Key | None = None) -> str:
        """Return what set the URL of a connection: `provider.mimo.url, holdfast.toml:3, instead of preset
        mimo`, or `preset mimo`; empty where that is unknown."""
        owner = key.label if key is not None and key.endpoints else ""
        written, preset = self.sources.get((provider.name, owner, dialect), ("", ""))
        sources = [preset and f"preset {preset}"]
        if written:
            sources = [written, self.locate(written), preset and f"instead of preset {preset}"]
        return ", ".join(filter(None, sources))


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint for a name that is not known: the nearest that is, else all of them."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known here: {', '.join(known) or 'nothing yet'}"
