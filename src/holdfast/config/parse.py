"""Make a Config of a parsed holdfast.toml, or one ConfigError with all its mistakes.

docs/reference/configuration.md. The tables below say what may stand where; whatever they do not name is an
error. Nothing here opens a file, knows a secret, or repeats one: a literal key that somebody wrote into the
file never appears in a message."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from ..core import times
from ..core.config import Config, GatewaySettings, Limits, Listen, Place, SignIn, near
from ..core.errors import ConfigError, IdentityError, Problem
from ..core.identity import Auth, Dialect, Endpoint, FallbackChain, Key, Pin, Provider, ProviderName, Strategy
from ..core.key_labels import LABEL, label_of
from ..core.known_hosts import KnownAt, nobody_knows
from ..core.secret import redact
from ..wire.header_names import checked_forward, is_header_name, why_not_configured
from . import endpoints as endpoints_of
from .positions import join

T = TypeVar("T")
_Kind = TypeVar("_Kind", bound=StrEnum)
Presets = Callable[[str], Mapping[str, object] | None]

REFERENCES: Mapping[str, tuple[str, str]] = {
    "env": (r"[A-Za-z_]\w*", "env:VARIABLE"),
    "file": (r"[~/].+", "file:/PATH or file:~/PATH"),
    "cmd": (r".+", "cmd:PROGRAM ARGUMENTS"),
    "keyring": (r"[^/]+/.+", "keyring:SERVICE/USER"),
    "store": (r"[A-Za-z0-9][A-Za-z0-9._-]*", "store:LABEL"),
    "oauth": (r"[A-Za-z0-9][A-Za-z0-9._-]*", "oauth:NAME, with a table [signin.NAME]"),
    "call": (r"[A-Za-z0-9][A-Za-z0-9._-]*", "call:NAME"),
}
_USERINFO = re.compile(r"//[^/\s']*@")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB)", re.ASCII)
_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
# What other software calls our keys, where spelling alone would not lead there.
_FOREIGN = {
    "base_url": "url",
    "api_base": "url",
    "baseURL": "url",
    "api": "dialect",
    "type": "dialect",
    "api_mode": "dialect",
    "fallback": "then",
}
_SECRET_NAMES = frozenset({"api_key", "apikey", "apiKey", "token", "auth_token", "secret", "password"})


def checked_reference(text: str) -> str:
    """`text` if it is a reference to a key. Raises ValueError without repeating it: it may be a key
    itself."""
    scheme, _, rest = text.partition(":")
    if scheme not in REFERENCES:
        raise ValueError(
            f"must be a reference ({':, '.join(REFERENCES)}:): a literal key never stands in this file"
        )
    shape, wanted = REFERENCES[scheme]
    if not re.fullmatch(shape, rest, re.ASCII):
        raise ValueError(f"must look like {wanted}")
    return text


def _rule(holds: Callable[[Any], object], wanted: str, made: Callable[[Any], T]) -> Callable[[Any], T]:
    def convert(value: Any) -> T:
        if not holds(value):
            raise ValueError(f"must be {wanted}")
        return made(value)

    return convert


def _one_of(kind: type[_Kind]) -> Callable[[Any], _Kind]:
    return _rule(lambda v: v in list(kind), f"one of {', '.join(kind)}", kind)


def _like(pattern: str, wanted: str) -> Callable[[Any], str]:
    return _rule(lambda v: isinstance(v, str) and re.fullmatch(pattern, v), wanted, str.strip)


def _amount(value: Any) -> float:
    """Return a number that is not negative, or NaN."""
    number = None if isinstance(value, str) else times.number(value)
    return number if number is not None and number >= 0 else math.nan


def _span(value: Any) -> float:
    """Return a number of seconds, or those of a text with units; NaN for anything else."""
    if not isinstance(value, str) or times.number(value) is not None:
        return _amount(value)
    seconds = times.duration(value)
    return math.nan if seconds is None else seconds


def _bytes(value: Any) -> float:
    """Return a number of bytes, or those of a text with a unit; NaN for anything else."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return _amount(value) if match is None else _amount(float(match[1]) * _UNITS[match[2]])


_text = _like(r".*\S.*", "a string that is not empty")
_list = _rule(lambda v: isinstance(v, list), "a list", list)
_table = _rule(lambda v: isinstance(v, Mapping), "a table", dict)
_texts = _rule(
    lambda v: isinstance(v, list) and all(isinstance(one, str) for one in v) and len({*v}) == len(v),
    "a list of strings, none twice",
    tuple,
)


def _is_address(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(Listen.parse(value))
    except ConfigError:
        return False


_number = _rule(lambda v: not math.isnan(_amount(v)), "a number that is not negative", _amount)
_seconds = _rule(
    lambda v: not math.isnan(_span(v)), 'seconds, or a string such as "90s", "10m" or "1h30m"', _span
)
_size = _rule(lambda v: not math.isnan(_bytes(v)), 'a number of bytes, or a string such as "32MiB"', _bytes)
_dialect = _one_of(Dialect)
_ascii_table = _rule(
    lambda v: (
        isinstance(v, Mapping)
        and all(is_header_name(one) and isinstance(text, str) and text.isascii() for one, text in v.items())
    ),
    "a table of header names and ASCII strings",
    lambda v: tuple(v.items()),
)


def _headers(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = _ascii_table(value)
    for name, text in pairs:
        why_not = why_not_configured(name, text)
        if why_not:
            raise ValueError(why_not)
    return pairs


def _forwarded(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(checked_forward, _texts(value))))


_names = _rule(
    lambda v: isinstance(v, Mapping) and all(isinstance(text, str) and text.strip() for text in v.values()),
    'a table of names, such as { "my-deployment" = "gpt-5" }',
    lambda v: tuple(v.items()),
)
_label = _like(LABEL.pattern, "a short name of letters, digits, '.', '_' and '-'")
_listen = _rule(_is_address, 'host:port, such as "127.0.0.1:4141"', str)
_store = _like(
    r"(?:sqlite|memory):.*|postgresql://(?!.*password=)(?:[^:@/]*@)?[^@]*",
    '"sqlite:PATH", "memory:" or "postgresql://…" (its password in PGPASSWORD or ~/.pgpass)',
)

_Fields = Mapping[str, Callable[[Any], Any]]
_TOP: _Fields = dict.fromkeys(("provider", "fallback", "gateway", "settings", "signin"), _table)
_ENDPOINT: _Fields = {"url": _text, "auth": _one_of(Auth), "headers": _headers}
_PROVIDER: _Fields = {
    **_ENDPOINT,
    "preset": _text,
    "dialect": _dialect,
    "endpoints": _table,
    "models": _texts,
    "keys": _list,
    "strategy": _one_of(Strategy),
    "profile": _text,
    "answers_as": _names,
    "forward_headers": _forwarded,
}
_KEY: _Fields = {"from": _text, "label": _label, "account": _text, "url": _text, "endpoints": _table}
_switch = _rule(lambda v: isinstance(v, bool), "true or false", bool)
_FALLBACK: _Fields = {"then": _texts, "return_after": _seconds, "check": _switch}
_SIGN_IN: _Fields = {
    "client_id": _text,
    "token_url": _text,
    "device_url": _text,
    "authorize_url": _text,
    "scopes": _texts,
}
_SETTINGS: _Fields = {
    "probe_delays": lambda v: tuple(map(_seconds, _list(v))),
    "replay_limit": lambda v: int(_size(v)),
    "wait_budget": _seconds,
    "known_good_days": _number,
}
_GATEWAY: _Fields = {
    "listen": _listen,
    "store": _store,
    "public": _switch,
    "drain": _seconds,
    "names": _texts,
}


def parse(
    document: Mapping[str, object], *, presets: Presets, place: Place, known_at: KnownAt = nobody_knows
) -> Config:
    """Return the configuration that `document` writes. `presets` gives the row of a known provider or None;
    `place` says where a TOML path stands ("holdfast.toml:12"), and `known_at` which preset has a URL: both
    are asked only for messages. Raises ConfigError with all problems."""
    reader = _Reader(presets, place)
    top = reader.fields("", document, _TOP)
    entries = top.get("provider", {})
    reader.sign_ins = {name: reader.sign_in(name, raw) for name, raw in top.get("signin", {}).items()}
    providers = [reader.provider(name, raw) for name, raw in entries.items()]
    fallbacks = [reader.fallback_chain(pin, raw, entries) for pin, raw in top.get("fallback", {}).items()]
    settings = Limits(**reader.fields("settings", top.get("settings", {}), _SETTINGS))
    gateway = GatewaySettings(**reader.fields("gateway", top.get("gateway", {}), _GATEWAY))
    if reader.problems:
        raise ConfigError(
            "the configuration is wrong:",
            problems=reader.problems,
            next_step="holdfast doctor   (after mending the file)",
        )
    named, stepped = {one.name: one for one in providers if one}, {one.pin: one for one in fallbacks if one}
    signed = {name: one for name, one in reader.sign_ins.items() if one}
    return Config(named, stepped, settings, gateway, signed, reader.sources, place, known_at)


class _Reader:
    """Reads tables and collects what is wrong with them. What is wrong is left out, and told once."""

    def __init__(self, presets: Presets, place: Place) -> None:
        self.presets, self.place = presets, place
        self.problems: list[Problem] = []
        self.sources: dict[tuple[str, str, Dialect], tuple[str, str]] = {}
        self.sign_ins: dict[str, SignIn | None] = {}

    def wrong(self, path: str, what: str, fix: str = "") -> None:
        self.problems.append(Problem(path, what, fix, self.place(path)))

    def tried(self, path: str, make: Callable[..., T], *args: object, fix: str = "") -> T | None:
        """What `make` gives, or None and a problem that tells the refusal without repeating a secret."""
        try:
            return make(*args)
        except IdentityError as error:
            self.wrong(path, redact(_USERINFO.sub("//", error.what)), error.next_step or fix)
        except ValueError as error:
            self.wrong(path, str(error), fix)
        return None

    def fields(self, path: str, value: object, allowed: _Fields, owner: str = "NAME") -> dict[str, Any]:
        """The converted fields of one table; unknown ones are problems with the nearest known name."""
        found: dict[str, Any] = {}
        for name, raw in (self.tried(path, _table, value) or {}).items():
            here, foreign = join(path, name), _FOREIGN.get(name, "")
            if name in allowed:
                found[name] = self.tried(here, allowed[name], raw)
            elif name in _SECRET_NAMES:
                self.wrong(
                    here,
                    "a literal key never stands in this file",
                    f"holdfast key add {owner} --from env:VARIABLE",
                )
            else:
                self.wrong(
                    here,
                    f"unknown key '{name}'",
                    f"did you mean '{foreign}'?" if foreign in allowed else near(name, allowed),
                )
        return {name: made for name, made in found.items() if made is not None}

    def provider(self, name: str, raw: object) -> Provider | None:
        path, before = join("provider", name), len(self.problems)
        owner = self.tried(path, ProviderName, name) or ProviderName("new-name")
        given = self.fields(path, raw, _PROVIDER, name)
        row = self.preset(join(path, "preset"), given.get("preset"))
        found = endpoints_of.of_provider(self, path, given, row)
        self.sources |= {
            (owner, "", one): (written, given.get("preset", "")) for one, (written, _) in found.items()
        }
        endpoints = {dialect: endpoint for dialect, (_, endpoint) in found.items()}
        keys = self.keys(path, owner, given.get("keys", []), endpoints)
        for model in given.get("models", ()):
            self.tried(join(path, "models"), Pin, owner, model)
        for model, _ in given.get("answers_as", ()):
            self.tried(join(path, "answers_as"), Pin, owner, model)
        if keys and endpoints and all(endpoint.auth is Auth.NONE for endpoint in endpoints.values()):
            self.wrong(
                join(path, "keys"),
                'this provider takes no key (auth = "none")',
                'write auth = "bearer", or remove the keys',
            )
        if len(self.problems) > before:
            return None
        strategy, profile = (
            given.get("strategy", Strategy.FILL_FIRST),
            given.get("profile", row.get("profile")),
        )
        passed = (given.get("answers_as", ()), given.get("forward_headers", ()))
        more = (given.get("models"), strategy, given.get("preset"), profile, *passed)
        return self.tried(path, Provider, owner, tuple(endpoints.values()), keys, *more)

    def row(self, name: str) -> Mapping[str, object]:
        row = self.presets(name)
        if row is None:
            raise IdentityError(f"no preset is called '{name}'")
        return row

    def preset(self, path: str, name: str | None) -> dict[str, Any]:
        """The row of a preset, as far as it says what a provider's own table may say."""
        row = self.tried(path, self.row, name) if name else {}
        return self.fields(
            "", {key: value for key, value in (row or {}).items() if key in _PROVIDER}, _PROVIDER
        )

    def dialect(self, path: str, name: object) -> Dialect | None:
        return self.tried(path, _dialect, name)

    def endpoint_fields(self, path: str, value: object) -> dict[str, Any]:
        return self.fields(path, value, _ENDPOINT)

    def keys(
        self, path: str, owner: ProviderName, raws: list[object], endpoints: Mapping[Dialect, Endpoint]
    ) -> tuple[Key, ...]:
        found: list[Key] = []
        for position, raw in enumerate(raws):
            here = f"{path}.keys[{position}]"
            key = self.key(here, owner, raw, endpoints)
            twice = [
                what
                for what in ("ref", "label")
                if key and getattr(key, what) in [getattr(one, what) for one in found]
            ]
            if twice:
                self.wrong(
                    here,
                    f"'{getattr(key, twice[0])}' stands twice",
                    "remove one of the two" if "ref" in twice else 'give it another label = "…"',
                )
            found += [key] if key else []
        return tuple(found)

    def key(
        self, here: str, owner: ProviderName, raw: object, endpoints: Mapping[Dialect, Endpoint]
    ) -> Key | None:
        fix = f"holdfast key add {owner} --from env:VARIABLE"
        given = {"from": raw} if isinstance(raw, str) else self.fields(here, raw, _KEY, owner)
        if isinstance(raw, Mapping) and "from" not in raw:
            self.wrong(here, "has no 'from': a key is a reference to where it is kept", fix)
        ref = (
            self.tried(
                here if isinstance(raw, str) else join(here, "from"),
                checked_reference,
                given["from"],
                fix=fix,
            )
            if "from" in given
            else None
        )
        if "url" in given and len(endpoints) > 1:
            what = f"'{owner}' speaks {', '.join(endpoints)}: which one does this URL speak?"
            self.wrong(join(here, "url"), what, 'write endpoints = { DIALECT = "https://…" }')
            return None
        found = endpoints_of.written(self, here, given, endpoints)
        if ref is None:
            return None
        scheme, _, rest = ref.partition(":")
        if scheme == "oauth" and rest not in self.sign_ins:
            self.wrong(here, f"there is no table [signin.{rest}]", near(rest, self.sign_ins))
        label = given.get("label") or label_of(ref)
        self.sources |= {(owner, label, dialect): (written, "") for dialect, (written, _) in found.items()}
        return Key(owner, label, ref, given.get("account"), tuple(endpoint for _, endpoint in found.values()))

    def sign_in(self, name: str, raw: object) -> SignIn | None:
        path, before = join("signin", name), len(self.problems)
        self.tried(path, _label, name)
        given = self.fields(path, raw, _SIGN_IN)
        for needed in ("client_id", "token_url"):
            if needed not in given and len(self.problems) == before:
                self.wrong(path, f"has no {needed}", f'write {needed} = "…"')
        return None if len(self.problems) > before else self.tried(path, lambda: SignIn(name, **given))

    def fallback_chain(self, text: str, raw: object, entries: Iterable[str]) -> FallbackChain | None:
        path = join("fallback", text)
        fallbacks = join(path, "then")
        given, pin = self.fields(path, raw, _FALLBACK), self.tried(path, Pin.parse, text)
        then = [(fallbacks, self.tried(fallbacks, Pin.parse, one)) for one in given.get("then", ())]
        for at, one in ((path, pin), *then):
            if one is not None and one.provider not in entries:
                self.wrong(at, f"'{one}' names no provider of this file", near(one.provider, entries))
        if pin is None or any(one is None for _, one in then):
            return None
        return self.tried(
            path,
            FallbackChain,
            pin,
            tuple(one for _, one in then),
            given.get("return_after", 600.0),
            given.get("check", True),
        )
