"""How each value of holdfast.toml is converted and checked, and what JSON Schema says of it.

Converters raise ValueError or IdentityError and never repeat a value that may be a secret."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from ..core.config import INPUTS
from ..core.errors import ConfigError
from ..core.identity import Dialect, Translates
from ..values import times
from ..values.key_labels import LABEL
from ..wire.header_names import checked_forward, is_header_name, why_not_configured
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


@dataclass(frozen=True, slots=True)
class Converter(Generic[T]):
    """A check and conversion of a value. `json` is the JSON Schema of the values that it takes, which may
    take more than the converter does, and never less."""

    convert: Callable[[Any], T]
    json: Mapping[str, Any]

    def __call__(self, value: Any) -> T:
        """Return the converted value. Raises ValueError or IdentityError."""
        return self.convert(value)


def rule(
    holds: Callable[[Any], object], wanted: str, convert: Callable[[Any], T], json: Mapping[str, Any]
) -> Converter[T]:
    """Return a converter that refuses values for which `holds` is false."""

    def checked(value: Any) -> T:
        if not holds(value):
            raise ValueError(f"must be {wanted}")
        return convert(value)

    return Converter(checked, json)


def one_of_json(words: Sequence[str]) -> Mapping[str, Any]:
    """Return the JSON Schema of a list of these words, none twice."""
    return {"type": "array", "items": {"enum": [*words]}, "uniqueItems": True}


def one_of(kind: type[_Kind]) -> Converter[_Kind]:
    json = {"enum": [*map(str, kind)]}
    return rule(lambda v: v in list(kind), f"one of {', '.join(kind)}", kind, json)


def like(pattern: str, wanted: str) -> Converter[str]:
    json = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return rule(lambda v: isinstance(v, str) and re.fullmatch(pattern, v), wanted, str.strip, json)


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


_NUMBER = {"type": "number", "minimum": 0}
_SPAN = {"anyOf": [_NUMBER, {"type": "string", "pattern": r"[0-9].*[A-Za-zµμ]|^\s*[Pp]"}]}
_AMOUNT_OF_BYTES = {"anyOf": [_NUMBER, {"type": "string", "pattern": f"^{_SIZE.pattern}$"}]}
_STRINGS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
_NAMED_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}

string = like(r".*\S.*", "a string that is not empty")
any_list = rule(lambda v: isinstance(v, list), "a list", list, {"type": "array"})
table = rule(lambda v: isinstance(v, Mapping), "a table", dict, {"type": "object"})
strings = rule(_is_list_of_different_strings, "a list of strings, none twice", tuple, _STRINGS)
number = rule(lambda v: not math.isnan(_amount(v)), "a number that is not negative", _amount, _NUMBER)
span = rule(
    lambda v: not math.isnan(_span(v)), 'seconds, or a string such as "90s", "10m" or "1h30m"', _span, _SPAN
)
tokens = rule(
    lambda v: isinstance(v, int) and v > 0 and v is not True,
    "a whole number of tokens, such as 200_000",
    int,
    {"type": "integer", "minimum": 1},
)
kinds_of_input = rule(
    _is_list_of_kinds, f"a list of {', '.join(INPUTS)}, none twice", tuple, one_of_json(INPUTS)
)
timeout = rule(lambda v: _span(v) > 0, 'more than 0 seconds, such as 90, "90s" or "10m"', _span, _SPAN)
_size = rule(
    lambda v: not math.isnan(_bytes(v)),
    'a number of bytes, or a string such as "32MiB"',
    _bytes,
    _AMOUNT_OF_BYTES,
)
days = rule(lambda v: _span(v) >= _DAY, 'a day or more, such as "90d"', _span, _SPAN)
store_size = rule(
    lambda v: _bytes(v) >= 1024**2,
    '1 MiB or more, such as "256MiB"',
    lambda v: int(_bytes(v)),
    _AMOUNT_OF_BYTES,
)
switch = rule(lambda v: isinstance(v, bool), "true or false", bool, {"type": "boolean"})
_ascii_table = rule(_is_header_table, "a table of header names and ASCII strings", _pairs, _NAMED_STRINGS)
table_of_names = rule(
    _is_table_of_names, 'a table of names, such as { "my-deployment" = "gpt-5" }', _pairs, _NAMED_STRINGS
)
dialect = one_of(Dialect)
_translates = one_of(Translates)
label = like(LABEL.pattern, "a short name of letters, digits, '.', '_' and '-'")
listen_address = rule(
    _is_address, 'host:port, such as "127.0.0.1:4141"', str, {"type": "string", "pattern": ".:[0-9]+$"}
)
store_address = like(
    r"(?:sqlite|memory):.*|postgresql://(?!.*password=)(?:[^:@/]*@)?[^@]*",
    '"sqlite:PATH", "memory:" or "postgresql://…" (its password in PGPASSWORD or ~/.pgpass)',
)


def _read_headers(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = _ascii_table(value)
    for name, text in pairs:
        why_not = why_not_configured(name, text)
        if why_not:
            raise ValueError(why_not)
    return pairs


def _read_forwarded(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(checked_forward, strings(value))))


def _read_translate(value: Any) -> Mapping[str, Any]:
    """Return the fields of a Provider for what a translation may lose, or for what is always translated."""
    if isinstance(value, list):
        return {"forced": tuple(map(dialect, strings(value)))}
    return {"translates": _translates(value)}


headers = Converter(_read_headers, _ascii_table.json)
forwarded = Converter(_read_forwarded, _STRINGS)
translation = Converter(_read_translate, {"anyOf": [_translates.json, one_of_json([*Dialect])]})
spans = Converter(lambda v: tuple(map(span, any_list(v))), {"type": "array", "items": _SPAN})
size = Converter(lambda v: int(_size(v)), _AMOUNT_OF_BYTES)


def reference_json(kinds: Sequence[str] = tuple(REFERENCES)) -> Mapping[str, Any]:
    """Return the JSON Schema of a reference of one of these kinds."""
    patterns = [f"{kind}:(?:{REFERENCES[kind][0]})" for kind in kinds]
    return {"type": "string", "pattern": f"^(?:{'|'.join(patterns)})$"}


def _reference_of(kinds: Sequence[str]) -> Converter[str]:
    """Return a converter that takes references of these kinds only."""

    def checked(value: Any) -> str:
        reference = checked_reference(string(value))
        if reference.partition(":")[0] not in kinds:
            raise ValueError(f"must be a reference of the kind {':, '.join(kinds)}:")
        return reference

    return Converter(checked, reference_json(kinds))


client_secret = _reference_of(("env", "file", "cmd", "keyring"))
pepper = _reference_of(("env", "file", "cmd"))
