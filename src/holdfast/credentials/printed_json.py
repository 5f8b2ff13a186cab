"""JSON in which programs print a key: where its value is, and when that expires.

Without a path the usual names are looked for, at the top and in the envelopes of known programs. A path
(`data.token`) says where the value is; its expiry is looked for beside it, then further out."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta, timezone
from typing import Any

from ..values import times
from ..values.secret import redact
from .sources import Unreadable

# `token_expiry` is from gcloud's helper, `expireTime` from Google's IAM, `expiration_time` and `id_token`
# from its executables, `expires_on` from Azure, `expirationTimestamp` from kubectl's, `Expiration` from AWS.
_VALUES = ("token", "access_token", "accessToken", "key", "api_key", "apiKey", "id_token")
_ENDS = (
    *("expires_at", "expiresAt", "expires_on", "expirationTimestamp", "expiration", "Expiration", "expiry"),
    *("token_expiry", "expiration_time", "expireTime", "expireAt"),
)
_LOCAL_ENDS = ("expiresOn",)
"""Written in local time where there is no zone: `az account get-access-token`."""
_LIVES = ("expires_in", "expiresIn", "lease_duration")
_ENVELOPES = ("status", "credential", "Credentials", "auth", "data")
"""The members in which kubectl, gcloud, AWS and Vault wrap what they print."""
_NAME = re.compile(r"[A-Za-z_][\w-]{0,40}", re.ASCII)
_MOST_SHOWN = 8


def key_in(document: Any, path: str, now: float) -> tuple[str, float | None]:
    """Return the key in a JSON document, at `path` or, where that is empty, under a usual name; and its
    expiry (epoch seconds; None: unknown). Raises Unreadable."""
    if path:
        return _at_path(document, path.split("."), now)
    if not isinstance(document, Mapping):
        raise Unreadable("printed JSON that is no object")
    fields = {**_envelope(document), **document}
    value = next((fields[name] for name in _VALUES if isinstance(fields.get(name), str)), None)
    if value is None:
        raise Unreadable(f"printed JSON without a string 'token', 'key' or 'api_key'{_hint(document)}")
    return value, _end(fields, now)


def part_at(path: str) -> Callable[[str], str] | None:
    """Return what takes the key at `path` out of JSON; None without a path."""
    if not path:
        return None
    return lambda text: key_in(_parsed(text), path, 0.0)[0]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("holds something that looks like JSON and is not") from None


def _at_path(document: Any, names: list[str], now: float) -> tuple[str, float | None]:
    """Return the value at a path, and the expiry nearest to it."""
    around, here = [], document
    for name in names:
        around.append(here)
        here = _member(here, name)
    if not isinstance(here, str):
        raise Unreadable(f"printed JSON without a string at '{'.'.join(names)}'{_hint(document)}")
    objects = [each for each in reversed(around) if isinstance(each, Mapping)]
    ends = (_end({**_envelope(each), **each}, now) for each in objects)
    return here, next((end for end in ends if end is not None), None)


def _member(value: Any, name: str) -> Any:
    """Return a member of an object, or the element of a list; None where there is none."""
    if isinstance(value, Mapping):
        return value.get(name)
    if isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
        return value[int(name)]
    return None


def _envelope(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields inside an envelope that programs are known to use, or none."""
    for name in _ENVELOPES:
        inner = document.get(name)
        if isinstance(inner, dict):
            return inner
    return {}


def _end(fields: Mapping[str, Any], now: float) -> float | None:
    """Return when what these fields describe expires: `expires_in` seconds from now, or a moment; None where
    they do not say so in words that are known. A lease of 0 seconds has no end, nor has what ended in 1970
    or before: so programs write that they do not know."""
    life = next((name for name in _LIVES if fields.get(name) is not None), None)
    if life is not None and not (life == "lease_duration" and fields[life] == 0):
        seconds = times.duration(fields[life])
        if seconds is None:
            return None
        return now + seconds
    ends = [times.moment(fields[name]) for name in _ENDS if fields.get(name) is not None][:1]
    if not ends:
        ends = [_local(fields[name]) for name in _LOCAL_ENDS if fields.get(name) is not None][:1]
    return next((end for end in ends if end is not None and end > 0), None)


def _local(written: object) -> float | None:
    """Return the moment that is written, in local time where it names no zone; None if it is none."""
    moment = times.moment(written)
    if moment is None or moment == times.moment(written, timezone(timedelta(hours=1))):
        return moment
    return time.mktime((*time.gmtime(moment)[:8], -1))


def _hint(document: Any) -> str:
    """Return where there are strings, for the user to choose from: paths alone, no value."""
    paths = [path for path in _strings(document, "") if path]
    if not paths:
        return ""
    shown = redact(", ".join(paths[:_MOST_SHOWN]))
    return f'; say which is the key by value = "…": {shown}'


def _strings(value: Any, path: str, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield path
    elif isinstance(value, Mapping) and depth < len(_ENVELOPES):
        for name, inner in value.items():
            if _NAME.fullmatch(name):
                yield from _strings(inner, f"{path}.{name}".lstrip("."), depth + 1)
