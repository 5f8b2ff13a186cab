"""What the user decided, as values: providers, ladders and settings, and for each endpoint where it was
written.

`configfile` makes a Config from holdfast.toml, or one error that lists everything wrong with it; nothing here
opens a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from .errors import ConfigError, IdentityError
from .identity import Dialect, Endpoint, FallbackChain, Key, Pin, Provider, ProviderName, is_loopback
from .known_hosts import KnownAt, nobody_knows

_LAST_PORT = 65_535
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound here
Place = Callable[[str], str]
"""From a TOML path to where it stands: `holdfast.toml:12`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may cost: the table `[settings]`, and two numbers that no file changes.

    probe_delays      seconds before each probe of a known-good key that was refused (an empty list: no probe)
    replay_limit      bytes of request body kept for recovery ("32MiB" or a number); a larger one is sent once
    wait_budget       seconds ("60s" or a number) that recovery may wait in all for one request
    known_good_days   days for which a key that worked on a host counts as known-good there
    sends, rotations  of all classes together
    """

    probe_delays: tuple[float, ...] = (0.5, 1.0, 2.0)
    replay_limit: int = 32 * 1024**2
    wait_budget: float = 60.0
    known_good_days: float = 7.0
    sends: int = 3
    rotations: int = 2


class Listen(NamedTuple):
    """An address to listen on, as `[gateway] listen` or `--listen` writes it: host:port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """Return the address that `text` writes. Raises ConfigError."""
        host, _, port = text.rpartition(":")
        if not host.strip() or not port.isascii() or not port.isdigit() or int(port) > _LAST_PORT:
            step = "holdfast serve --listen 127.0.0.1:4141"
            raise ConfigError(f"'{text}' is no address to listen on", next_step=step)
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def url(self) -> str:
        """Where a client on this machine finds it: an address to listen on may be none to connect to."""
        return f"http://{_bracketed(_EVERYWHERE.get(self.host, self.host))}:{self.port}"

    def check(self, *, public: bool) -> None:
        """Raise ConfigError for an address that others can reach, unless that was asked for."""
        if public or is_loopback(_bracketed(self.host)):
            return
        what = f"{self.host} can be reached from other machines"
        step = "holdfast serve --listen 127.0.0.1:4141"
        step += "   (or, if that is meant and TLS ends in front of it: add --public)"
        raise ConfigError(f"{what}, and whoever has a token could use your keys from there", next_step=step)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The table `[gateway]`: where it listens (host:port), its store (sqlite:PATH, memory: or postgresql://…,
    never with a password), `public`, without which only a loopback address is served, for how long (seconds)
    running answers may go on when it is told to end, and further host names by which clients call it."""

    listen: str = "127.0.0.1:4141"
    store: str = "sqlite:state.db"
    public: bool = False
    drain: float = 30.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SignIn:
    """A table `[signin.NAME]`: where keys of the form `oauth:NAME` come from. `token_url` gives and renews
    tokens; the user signs in at `device_url` (RFC 8628) or `authorize_url` (RFC 7636, 8252). Only these
    places are ever sent what a sign-in left us."""

    name: str
    client_id: str
    token_url: str
    device_url: str = ""
    authorize_url: str = ""
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.device_url and not self.authorize_url:
            raise IdentityError(
                f"sign-in '{self.name}' has neither a device_url nor an authorize_url: nobody could sign in"
            )
        for url in filter(None, (self.token_url, self.device_url, self.authorize_url)):
            Endpoint(url)
            if not url.startswith("https://") and not is_loopback(url):
                raise IdentityError(f"{url} is not https: what is sent there would be readable on the way")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the user decided. `sources` says for each endpoint (provider, label of the key whose own it
    is or "", dialect) which path wrote it ("" if its preset did) and which preset its provider names ("" if
    none). `known_at` is asked only for refusals and hints."""

    providers: Mapping[ProviderName, Provider] = field(default_factory=dict)
    fallbacks: Mapping[Pin, FallbackChain] = field(default_factory=dict)
    settings: Limits = Limits()
    gateway: GatewaySettings = GatewaySettings()
    sign_ins: Mapping[str, SignIn] = field(default_factory=dict)
    sources: Mapping[tuple[str, str, Dialect], tuple[str, str]] = field(
        default_factory=dict, compare=False, repr=False
    )
    place: Place = field(default=str, compare=False, repr=False)
    known_at: KnownAt = field(default=nobody_knows, compare=False, repr=False)

    def endpoint_source(self, provider: Provider, dialect: Dialect, key: Key | None = None) -> str:
        """Return who set the URL of a connection: `provider.mimo.url, holdfast.toml:3, instead of preset
        mimo`, or `preset mimo`."""
        owner = key.label if key is not None and key.endpoints else ""
        written, preset = self.sources.get((provider.name, owner, dialect), ("", ""))
        if not written:
            return f"preset {preset}" if preset else ""
        return f"{written}, {self.place(written)}" + (f", instead of preset {preset}" if preset else "")


def near(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not known: the nearest that is, else all of them."""
    known = sorted(known)
    close = get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known) or 'nothing yet'}"
