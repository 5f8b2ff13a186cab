"""The answers of a token service: what they give, or why they give nothing.

Services answer with JSON, some with a form, and report a dead refresh token in words of their own, which
`refusals.toml` lists. A refresh token that has come is never dropped because of something else in its
answer: the one before is spent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from ..values import times
from ..values.secret import Secret

_LONGEST_LIFE = 10 * 366 * 86_400.0
_LONGEST_PREFIX = 16
_LONGEST_NUMBER = 300
"""Digits of a number that is read exactly; Python refuses to read 4,301."""
_NOT_OF_THE_SERVICE = frozenset({407, 408, 421, 425, 429})
"""Statuses below 500 that say nothing about what was asked."""
_CODES = (
    *("error", "code", "error_code", "errorcode", "type", "status", "error_subtype", "suberror", "subtype"),
    *("reason", "__type", "message", "msg"),
)
"""The members that may hold a code, the most telling first."""
_TEXTS = ("error_description", "message", "msg", "description", "error", "errorsummary", "detail")
_CODE = re.compile(r"[A-Za-z][\w.-]{2,60}", re.ASCII)
_AADSTS = re.compile(r"AADSTS\d{4,8}", re.ASCII)


class TokenAnswer(NamedTuple):
    """The answer of a token service: its status (0: none came, and the body is the reason), its body, and for
    how many seconds it asks not to be asked again (None: it does not say)."""

    status: int
    body: bytes
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens in an answer; None for one that it does not give or that cannot be sent. `lives` is the life
    of the access token in seconds, at most ten years; None where it is not known."""

    access: Secret | None
    refresh: Secret | None
    lives: float | None


class Verdict(Enum):
    """The state of a sign-in, as an answer without tokens tells it."""

    OVER = "it has ended"
    CLIENT = "the service refuses this client"
    SAID = "its words say that it has ended"
    REFUSED = "it is refused with a code that is not known"
    TURNED_AWAY = "the request is refused without a code"
    PASSING = "nothing"


class Refusal(NamedTuple):
    """Why an answer gives no tokens: the verdict, and the service's own code, or nothing."""

    verdict: Verdict
    code: str


def tokens_in(answer: TokenAnswer) -> Tokens | None:
    """Return the tokens in an answer, None if it has none."""
    if not 200 <= answer.status < 300:
        return None
    for fields in _holders(_fields(answer.body)):
        access, refresh = _secret(fields.get("accesstoken")), _secret(fields.get("refreshtoken"))
        if access is not None or refresh is not None:
            return Tokens(access, refresh, _life(fields.get("expiresin")))
    return None


def _holders(fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the objects that may hold tokens: the answer and its members, with names in one spelling
    (`accessToken` of AWS, `data` of Feishu, `authed_user` of Slack)."""
    for each in (fields, *fields.values()):
        yield {name.replace("_", ""): member for name, member in _lower(each).items()}


def refusal_in(answer: TokenAnswer) -> Refusal:
    """Return why an answer gives no tokens."""
    fields = _fields(answer.body)
    codes = list(dict.fromkeys(_codes(fields)))
    refuses = 400 <= answer.status < 500 and answer.status not in _NOT_OF_THE_SERVICE
    known = _known()
    passing = next((code for code in codes if known.get(code.lower(), _UNKNOWN)[0] is Verdict.PASSING), None)
    if passing is not None:
        return Refusal(Verdict.PASSING, passing)
    for code in codes:
        verdict, any_good_status = known.get(code.lower(), _UNKNOWN)
        if verdict is not None and (refuses or (any_good_status and answer.status == 200)):
            return Refusal(verdict, code)
    code = next(iter(codes), "")
    if not refuses:
        return Refusal(Verdict.PASSING, code)
    if _says_so().search(" ".join(_texts(fields))):
        return Refusal(Verdict.SAID, code)
    return Refusal(Verdict.REFUSED if code else Verdict.TURNED_AWAY, code)


_UNKNOWN: tuple[Verdict | None, bool] = (None, False)


@cache
def _table() -> Mapping[str, Any]:
    """Read refusals.toml, when a service first refuses."""
    import tomllib

    return tomllib.loads(Path(__file__).with_name("refusals.toml").read_text("utf-8"))


@cache
def _known() -> Mapping[str, tuple[Verdict | None, bool]]:
    """Return the verdict of each code, and whether it also counts with status 200."""
    verdicts = {"over": Verdict.OVER, "client": Verdict.CLIENT, "passing": Verdict.PASSING}
    known: dict[str, tuple[Verdict | None, bool]] = {}
    for service in _table()["service"]:
        for name, verdict in verdicts.items():
            for code in service.get(name, ()):
                known[code] = verdict, known.get(code, _UNKNOWN)[1] or "any_good_status" in service
    return known


@cache
def _says_so() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{phrase})" for phrase in _table()["says"]), re.IGNORECASE)


def _fields(body: bytes) -> Mapping[str, Any]:
    """Return the members of the JSON object, or of the form, in a body; none if it is neither."""
    text = body.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text, parse_int=_number)
    except (ValueError, RecursionError):
        return dict(parse_qsl(text.strip())) if _is_form(text) else _embedded(text)
    return _lower(value)


def _embedded(text: str) -> Mapping[str, Any]:
    """Return the object with which a text begins that is not JSON as a whole: after a prefix against
    scripts, or before a comment."""
    begins = text.find("{", 0, _LONGEST_PREFIX)
    try:
        value, _ = json.JSONDecoder(parse_int=_number).raw_decode(text, begins)
    except (ValueError, RecursionError, IndexError):
        return {}
    return _lower(value)


def _is_form(text: str) -> bool:
    return re.fullmatch(r"\s*[\w.-]+=[^\s<>]*\s*", text, re.ASCII) is not None


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < _LONGEST_NUMBER else float(digits)


def _lower(value: object) -> Mapping[str, Any]:
    """Return an object with its members' names in lower case; an empty one for anything else."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name).lower(): member for name, member in value.items()}


def _secret(value: object) -> Secret | None:
    try:
        return Secret(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _life(expires_in: object) -> float | None:
    if isinstance(expires_in, int | float) and expires_in > _LONGEST_LIFE:  # perhaps infinite
        return _LONGEST_LIFE
    seconds = times.duration(expires_in)
    if seconds is None or seconds <= 0:
        return None
    return min(seconds, _LONGEST_LIFE)


def _objects(fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the object itself, and those in it that describe an error, the inner ones first."""
    inner = fields.get("error")
    if isinstance(inner, Mapping):
        yield from _objects(_lower(inner))
    several = fields.get("errors")
    if isinstance(several, Sequence) and several and isinstance(several[0], Mapping):
        yield _lower(several[0])
    yield fields


def _codes(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield everything in an answer that may be a code."""
    for each in _objects(fields):
        for name in _CODES:
            value = each.get(name)
            if isinstance(value, str):
                code = value.rpartition("#")[2].partition(":")[0].strip()
                if _CODE.fullmatch(code):
                    yield code
        numbers = each.get("error_codes")
        if isinstance(numbers, list):
            yield from (f"AADSTS{number}" for number in numbers if isinstance(number, int))
        description = each.get("error_description")
        if isinstance(description, str):
            yield from _AADSTS.findall(description)


def _texts(fields: Mapping[str, Any]) -> Iterator[str]:
    for each in _objects(fields):
        yield from (each[name][:500] for name in _TEXTS if isinstance(each.get(name), str))
