"""What may be written in each table of holdfast.toml, and how each value is converted and checked.

docs/reference/configuration.md. Whatever the tables below do not name is an error. Converters raise
ValueError or IdentityError and never repeat a value that may be a secret."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from ..core.config import INPUTS
from ..core.errors import ConfigError
from ..core.identity import Auth, Dialect, Strategy, Translates
from ..values import times
from ..values.key_labels import LABEL
from ..wire.header_names import checked_forward, is_header_name, why_not_configured
from .assertions import KINDS
from .listen import Listen

T = TypeVar("T")
_Kind = TypeVar("_Kind", bound=StrEnum)

REFERENCES: Mapping[str, tuple[str, str]] = {
    "env": (r"[A-Za-z_]\w*", "env:VARIABLE"),
    "file": (r"[~/].+", "file:/PATH or file:~/PATH"),
    "cmd": (r".+", "cmd:PROGRAM ARGUMENTS"),
    "keyring": (r"[^/]+/.+", "keyring:SERVICE/USER"),
    "store": (r"[A-Za-z0-9][A-Za-z0-9._-]*", "store:LABEL"),
    "oauth": (r"[A-Za-z0-9][A-Za-z0-9._-]*", "oauth:NAME, with a table [signin.NAME]"),
    "wif": (r"[A-Za-z0-9][A-Za-z0-9._-]*", "wif:NAME, with a table [signin.NAME] that has an assertion"),
    "call": (r"[A-Za-z0-9][A-Za-z0-9._-]*", "call:NAME"),
}
"""The kinds of reference to a key, by scheme: the pattern of what follows the colon, and an example."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB)", re.ASCII)
_DAY = 86_400.0
_UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def checked_reference(text: str) -> str:
    """Return `text` if it is a reference to a key. Raises ValueError without repeating it: it may be a key
    itself."""
    scheme, _, rest = text.partition(":")
    if scheme not in REFERENCES:
        raise ValueError(
            f"must be a reference ({':, '.join(REFERENCES)}:): a literal key does not belong in this file"
        )
    pattern, wanted = REFERENCES[scheme]
    if not re.fullmatch(pattern, rest, re.ASCII):
        raise ValueError(f"must look like {wanted}")
    return text


# --- makers of converters ---


def _rule(holds: Callable[[Any], object], wanted: str, convert: Callable[[Any], T]) -> Callable[[Any], T]:
    """Return a converter that refuses values for which `holds` is false."""

    def checked(value: Any) -> T:
        if not holds(value):
            raise ValueError(f"must be {wanted}")
        return convert(value)

    return checked


def _one_of(kind: type[_Kind]) -> Callable[[Any], _Kind]:
    return _rule(lambda v: v in list(kind), f"one of {', '.join(kind)}", kind)


def _like(pattern: str, wanted: str) -> Callable[[Any], str]:
    return _rule(lambda v: isinstance(v, str) and re.fullmatch(pattern, v), wanted, str.strip)


# --- numbers ---


def _amount(value: Any) -> float:
    """Return a number that is not negative, or NaN."""
    if isinstance(value, str):
        return math.nan
    number = times.number(value)
    if number is None or number < 0:
        return math.nan
    return number


def _span(value: Any) -> float:
    """Return a number of seconds, or those of a text with units; NaN for anything else."""
    if not isinstance(value, str) or times.number(value) is not None:
        return _amount(value)
    seconds = times.duration(value)
    if seconds is None:
        return math.nan
    return seconds


def _bytes(value: Any) -> float:
    """Return a number of bytes, or those of a text with a unit; NaN for anything else."""
    if not isinstance(value, str):
        return _amount(value)
    match = _SIZE.fullmatch(value)
    if match is None:
        return math.nan
    return _amount(float(match[1]) * _UNITS[match[2]])


# --- converters ---


def _is_list_of_different_strings(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        return False
    return len(set(value)) == len(value)


def _is_list_of_kinds(value: Any) -> bool:
    return _is_list_of_different_strings(value) and bool(value) and {*value} <= {*INPUTS}


def _is_address(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(Listen.parse(value))
    except ConfigError:
        return False


def _is_header_table(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(
        is_header_name(name) and isinstance(text, str) and text.isascii() for name, text in value.items()
    )


def _is_table_of_names(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(isinstance(text, str) and text.strip() for text in value.values())


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    return tuple(value.items())


_text = _like(r".*\S.*", "a string that is not empty")
_list = _rule(lambda v: isinstance(v, list), "a list", list)
table = _rule(lambda v: isinstance(v, Mapping), "a table", dict)
_texts = _rule(_is_list_of_different_strings, "a list of strings, none twice", tuple)
_number = _rule(lambda v: not math.isnan(_amount(v)), "a number that is not negative", _amount)
_seconds = _rule(
    lambda v: not math.isnan(_span(v)), 'seconds, or a string such as "90s", "10m" or "1h30m"', _span
)
_tokens = _rule(
    lambda v: isinstance(v, int) and v > 0 and v is not True, "a whole number of tokens, such as 200_000", int
)
_inputs = _rule(_is_list_of_kinds, f"a list of {', '.join(INPUTS)}, none twice", tuple)
_timeout = _rule(lambda v: _span(v) > 0, 'more than 0 seconds, such as 90, "90s" or "10m"', _span)
_size = _rule(lambda v: not math.isnan(_bytes(v)), 'a number of bytes, or a string such as "32MiB"', _bytes)
_kept = _rule(lambda v: _span(v) >= _DAY, 'a day or more, such as "90d"', _span)
_room = _rule(lambda v: _bytes(v) >= 1024**2, '1 MiB or more, such as "256MiB"', lambda v: int(_bytes(v)))
_switch = _rule(lambda v: isinstance(v, bool), "true or false", bool)
_ascii_table = _rule(_is_header_table, "a table of header names and ASCII strings", _pairs)
_names = _rule(_is_table_of_names, 'a table of names, such as { "my-deployment" = "gpt-5" }', _pairs)
dialect = _one_of(Dialect)
_translates = _one_of(Translates)
label = _like(LABEL.pattern, "a short name of letters, digits, '.', '_' and '-'")
_listen = _rule(_is_address, 'host:port, such as "127.0.0.1:4141"', str)
_store = _like(
    r"(?:sqlite|memory):.*|postgresql://(?!.*password=)(?:[^:@/]*@)?[^@]*",
    '"sqlite:PATH", "memory:" or "postgresql://…" (its password in PGPASSWORD or ~/.pgpass)',
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


def _translate(value: Any) -> Mapping[str, Any]:
    """Return the fields of a Provider for what a translation may lose, or for what is always translated."""
    if isinstance(value, list):
        return {"forced": tuple(map(dialect, _texts(value)))}
    return {"translates": _translates(value)}


def _reference_of(kinds: Sequence[str]) -> Callable[[Any], str]:
    """Return a converter that takes references of these kinds only."""

    def checked(value: Any) -> str:
        reference = checked_reference(_text(value))
        if reference.partition(":")[0] not in kinds:
            raise ValueError(f"must be a reference of the kind {':, '.join(kinds)}:")
        return reference

    return checked


_client_secret = _reference_of(("env", "file", "cmd", "keyring"))
_pepper = _reference_of(("env", "file", "cmd"))


# --- the tables of the file: the converter of each key ---

Fields = Mapping[str, Callable[[Any], Any]]
TOP: Fields = dict.fromkeys(("provider", "fallback", "gateway", "store", "settings", "signin"), table)
ENDPOINT: Fields = {"url": _text, "auth": _one_of(Auth), "headers": _headers}
PROVIDER: Fields = {
    **ENDPOINT,
    "preset": _text,
    "dialect": dialect,
    "endpoints": table,
    "models": _list,
    "keys": _list,
    "strategy": _one_of(Strategy),
    "profile": _text,
    "answers_as": _names,
    "forward_headers": _forwarded,
    "translate": _translate,
    "caps": table,
}
MODEL: Fields = {
    "id": _text,
    "context": _tokens,
    "output": _tokens,
    "input": _inputs,
    "reasoning": _switch,
}
KEY: Fields = {
    "from": _text,
    "value": _like(r"[^\s.]+(\.[^\s.]+)*", "names with dots between them, such as data.token"),
    "label": label,
    "account": _text,
    "url": _text,
    "endpoints": table,
}
FALLBACK: Fields = {"then": _texts, "return_after": _seconds, "check": _switch}
SIGN_IN: Fields = {
    "client_id": _text,
    "token_url": _text,
    "device_url": _text,
    "authorize_url": _text,
    "scopes": _texts,
    "revoke_url": _text,
    "client_secret": _client_secret,
    "client_auth": _like("post|basic", '"post" or "basic"'),
    "audience": _text,
    "resource": _text,
    "assertion": _client_secret,
    "kind": _rule(lambda v: v in KINDS, f"one of {', '.join(KINDS)}", str),
    "fields": _names,
}
SETTINGS: Fields = {
    "probe_delays": lambda v: tuple(map(_seconds, _list(v))),
    "replay_limit": lambda v: int(_size(v)),
    "wait_budget": _seconds,
    "known_good_days": _number,
    **dict.fromkeys(("connect_timeout", "answer_timeout", "stall_timeout"), _timeout),
    "mask_answers": _switch,
}
GATEWAY: Fields = {
    "listen": _listen,
    "store": _store,
    "public": _switch,
    "drain": _seconds,
    "names": _texts,
    "comment_after": _seconds,
}
STORE: Fields = {"keep": _kept, "max_size": _room, "forget_sessions": _kept, "pepper": _pepper}
