"""What the importers of programs with plain lists of providers share: the words for what has no counterpart
here, models, and names for entries that have none there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ..core.identity import Dialect
from ..providers import presets
from .addresses import OfPreset, OwnUrl, Where, is_same_url
from .base import ResultBuilder
from .headers import key_in
from .keys import FoundKey, NoKey
from .read_files import mapping, words

CHAT, RESPONSES = str(Dialect.OPENAI_CHAT), str(Dialect.OPENAI_RESPONSES)
MESSAGES = str(Dialect.ANTHROPIC_MESSAGES)

WhereAndKeys = tuple[Where, Sequence[FoundKey | NoKey]]
"""Where a provider is, and its keys."""
ReadKey = Callable[[str], FoundKey | NoKey]
"""Returns the key in a text, as a program reads it."""

HEADERS = "they may hold keys: write headers = { … } yourself"
PROXY = "Holdfast takes the proxy of HTTPS_PROXY in its own environment"
TIMEOUT = "time-outs are set for all providers together: [settings] of holdfast.toml"
SIGN_IN = "a refresh token works for one program only, and {title} uses it"
PIN = "a session is given its model: holdfast session pin SESSION {pin}"
_ONE_WAY = "an entry has one way to send a key"
_IN_HEADER = "a header holds the key, and an entry has one way to send it"
_STEP = "holdfast provider add NAME --url URL   (with an address that speaks one)"
_KNOWN_STEP = "holdfast provider add NAME --preset {preset}   (its maker serves a dialect of Holdfast too)"


def refuse_api(
    builder: ResultBuilder,
    what: str,
    api: str,
    keys: Iterable[FoundKey | NoKey] = (),
    *,
    url: str = "",
    step: str = "",
) -> None:
    """Note a provider whose API is no dialect of ours, the URL that its keys have, and what can be done."""
    known = presets.known_at(url)
    if not step and known is not None:
        step = _KNOWN_STEP.format(preset=known.preset)
    why = f"it speaks {api}, which is no dialect of Holdfast: {step or _STEP}"
    builder.refuse(what, why, keys, url=url)


def tell(builder: ResultBuilder, at: str, table: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    """Note each setting of a table that is set there and has no counterpart here: `reasons` says why, by its
    name. The names in a table are shown, and no value."""
    for name, why in reasons.items():
        value = table.get(name)
        if value in (None, "", [], {}, False):
            continue
        inner = ""
        if isinstance(value, Mapping):
            inner = f": {', '.join(words(value))}"
        builder.leave_out(f"{name} ({at}{inner})", why)


def where_of(url: str, dialect: str, default_url: str = "", *, auth: str = "") -> Where:
    """Return the URL that the files give a provider, else the program's own for it: a preset where that is
    the preset's."""
    if url:
        return OwnUrl(url, dialect, auth)
    preset = preset_at(default_url, dialect)
    if preset:
        return OfPreset(preset, dialect)
    return OwnUrl(default_url, dialect, auth)


def first_key(
    builder: ResultBuilder, keys: Mapping[str, FoundKey | NoKey], *, at: str, url: str
) -> tuple[str, FoundKey | NoKey]:
    """Return the first of the keys that a provider's files give, and its name there, "" for none; note each
    other one, which has the provider's URL too."""
    named = {name: key for name, key in keys.items() if key != NoKey()}
    used = next(iter(named), "")
    for name, key in named.items():
        if isinstance(key, FoundKey) and key != named[used]:
            builder.refuse(f"{name} of {at}", f"{used} is used: {_ONE_WAY}", [key], url=url)
    return used, named.get(used, NoKey())


def with_header_key(
    builder: ResultBuilder,
    headers: Mapping[str, object],
    read: ReadKey,
    *,
    given: WhereAndKeys,
    at: str,
) -> WhereAndKeys:
    """Return where a provider is and its keys: the key in its headers, as `read` reads it, before those of
    `given`, which are noted."""
    where, keys = given
    auth, key = key_in(headers, read)
    if not auth:
        return where, keys
    if any(isinstance(other, FoundKey) for other in keys):
        builder.leave_out(f"the other key of {at}", _IN_HEADER)
    if isinstance(where, OwnUrl):
        where = replace(where, auth=auth)
    return where, [key]


def preset_at(url: str, dialect: str) -> str | None:
    """Return the preset that has this URL for a dialect."""
    for name, row in presets.rows().items():
        own = row["endpoints"].get(dialect)
        if own and is_same_url(url, own, dialect):
            return name
    return None


def name_at(url: str, otherwise: str) -> str:
    """Return a name for an entry that has none there: its host, with the port that the URL names."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:
        return otherwise
    if not name:
        return otherwise
    if port:
        name += f"-{port}"
    return name


def inputs(images: object) -> tuple[str, ...] | None:
    """Return the kinds of input of a model that takes images too; None where nothing says so."""
    if images is True:
        return ("text", "image")
    return None


def rows_in(value: object) -> list[Mapping[str, Any]]:
    """Return the tables of a list; what is none of them is left out."""
    if not isinstance(value, list):
        return []
    return [mapping(row) for row in value if isinstance(row, Mapping)]
