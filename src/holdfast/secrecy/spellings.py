"""How a key may be written, and where it is written in a text: plain, in either case, backwards, in hex,
base64 or base32, with characters escaped as URLs, JSON and HTML do, in UTF-16, with invisible characters.

A text is read once: what is escaped is undone, what is invisible is left out. Then the few spellings that are
left are looked for. A text without any sign of either is not read.
"""

from __future__ import annotations

import json
import re
from base64 import b32encode, b64encode
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

SHORTEST_WITHIN = 8
"""Characters: a shorter key counts only where it is a word of its own, or other words would lose letters."""
_UNIT = re.compile(
    rb"""\\+u00(?P<json>[0-9a-fA-F]{2}) | \\+x(?P<x>[0-9a-fA-F]{2}) | %(?:25)*(?P<url>[0-9a-fA-F]{2})
    | &\#[xX]0*(?P<html>[0-9a-fA-F]{2}); | &\#0*(?P<decimal>[0-9]{2,3});
    | (?P<invisible>\\+u(?:200[b-fB-F]|2060|[fF][eE][fF][fF]) | \xe2\x80[\x8b-\x8f] | \xe2\x81\xa0
        | \xef\xbb\xbf | \xc2\xad | \x00+ | \\+(?=[/"]))
    | (?P<control>\\[nrtbf\\])""",
    re.VERBOSE,
)
"""One escaped or invisible character."""
_BEGUN = re.compile(
    rb"""(?:\\+(?:u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?)? | %(?:25)*[0-9a-fA-F]? | &(?:\#[xX]?[0-9a-fA-F]{0,4})?
    | \xe2[\x80\x81]? | \xef\xbb? | \xc2)\Z""",
    re.VERBOSE,
)
"""The beginning of one at the end of a text."""
_FIXED_SIGNS = (
    (b"\x00", re.compile(rb"\x00")),
    (b"\xe2", re.compile(rb"\xe2(?:\x80[\x8b-\x8f]|\x81\xa0)")),
    (b"\xef", re.compile(rb"\xef\xbb\xbf")),
    (b"\xc2", re.compile(rb"\xc2\xad")),
)
"""Invisible characters: the first byte of each, which is quick to look for, and the rest."""
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_OTHER, _OF_KEY, _SIGN = 0x20, 0x61, 0x73
"""Kinds of characters."""
_ENDS_NOTHING = frozenset(bytes([code]) for code in b" \n\r\t\"'}])>,.!?") | {b""}
"""The last bytes of a text behind which no spelling goes on, in most texts."""
_LONGEST_CLEARED, _MOST_CLEARED = 256, 64
_LONGEST_UNIT = 12
"""Bytes that one character of a key takes at most, as far as a held-back beginning is concerned."""


class Span(NamedTuple):
    """The bytes of a text that show a key: from `start` up to `end`."""

    start: int
    end: int


class Reading(NamedTuple):
    """A text as it reads. From its character `at[i]` on, it was written at `raw[i]`; `ends` says where the
    escaped characters end."""

    text: bytes
    at: list[int]
    raw: list[int]
    ends: dict[int, int]

    def span(self, start: int, end: int) -> Span:
        """Return where the characters from `start` up to `end` are written."""
        last = end - 1
        return Span(self._written(start), self.ends.get(last) or self._written(last) + 1)

    def _written(self, index: int) -> int:
        step = bisect_right(self.at, index) - 1
        return self.raw[step] + index - self.at[step]


class Spellings:
    """The spellings of one key.

    caseless  those in which upper and lower case are the same, in lower case
    exact     those in base64, in its first alphabet
    shortest, longest  the bytes that one of them takes at least and at most
    """

    __slots__ = (
        "_cleared",
        "_ends_nothing",
        "_kinds",
        "_odd",
        "_run",
        "_signs",
        "_whole",
        "caseless",
        "exact",
        "longest",
        "shortest",
    )

    def __init__(self, value: str) -> None:
        raw = value.encode("latin-1")
        self._whole: re.Pattern[bytes] | None = None
        self.caseless: tuple[bytes, ...] = _distinct(raw, value.encode(), json.dumps(value)[1:-1].encode())
        self.exact: tuple[bytes, ...] = ()
        if len(value) < SHORTEST_WITHIN:
            words = b"|".join(map(re.escape, self.caseless))
            self._whole = re.compile(rb"(?<!\w)(?:%b)(?!\w)" % words)
        else:
            once = tuple(_base64(raw))
            self.caseless += (raw[::-1].lower(), raw.hex().encode(), *_base32(raw))
            self.exact = (*once, *(each for inner in once for each in _base64(inner)))
        spellings = (*self.caseless, *self.exact)
        characters = set(b"".join((raw, *spellings, *map(bytes.upper, self.caseless), b"-_")))
        signs = (*_FIXED_SIGNS, *_signs(characters))
        self._signs = tuple((first, rest.search) for first, rest in signs)
        self._odd = any(ord(first) in characters for first, _ in signs)
        kinds = dict.fromkeys((ord(first) for first, _ in signs), _SIGN) | dict.fromkeys(characters, _OF_KEY)
        self._kinds = bytes(kinds.get(code, _OTHER) for code in range(256))
        self._ends_nothing = _ENDS_NOTHING - {bytes([code]) for code in characters}
        self.shortest = min(map(len, spellings))
        self._run = bytes([_OF_KEY]) * self.shortest
        self._cleared: set[bytes] = set()
        self.longest = _LONGEST_UNIT * max(map(len, spellings))

    def may_show(self, raw: bytes) -> bool:
        """Return whether a text has to be read: it holds a spelling as it is, or a character that may be one
        of the key's, escaped, or one that cannot be seen. Every piece of an answer that is searched asks."""
        kinds = raw.translate(self._kinds)
        if self._holds(raw, kinds):
            return True
        if _SIGN not in kinds and not self._odd:
            return False
        for first, search in self._signs:  # noqa: SIM110
            if first in raw and search(raw) is not None:
                return True
        return False

    def spans(self, raw: bytes, read: Reading | None = None) -> list[Span]:
        """Return where the key is written in `raw`, in order and apart from each other. `read` is what
        `read_text` makes of it, if that is known."""
        if not self.may_show(raw):
            return []
        if b"\x00" in raw and not self.may_show(raw.translate(None, b"\x00")):
            return []  # what is long in UTF-16 would take long to read
        read = read or read_text(raw)
        spans = [read.span(start, end) for start, end in self._matches(read.text)]
        spans += [Span(start, end) for start, end in self._matches(raw)]
        apart: list[Span] = []
        for span in sorted(spans):
            if apart and span.start <= apart[-1].end:
                apart[-1] = Span(apart[-1].start, max(span.end, apart[-1].end))
            else:
                apart.append(span)
        return apart

    def begun(self, raw: bytes) -> int:
        """Return how many bytes at the end of `raw` may be the beginning of a spelling."""
        if raw[-1:] in self._ends_nothing:
            return 0
        window = raw[-self.longest :]
        unit = _BEGUN.search(window[-_LONGEST_UNIT:])
        cut = 0 if unit is None else unit.end() - unit.start()
        read = read_text(window[: len(window) - cut])
        kinds = read.text.translate(self._kinds)
        tail = max(kinds.rfind(_OTHER), kinds.rfind(_SIGN)) + 1
        text = read.text[tail:]
        lower, packed = text.lower(), text.translate(_URL_SAFE)
        starts = [_begins(lower, spelling) for spelling in self.caseless]
        starts += [_begins(packed, spelling) for spelling in self.exact]
        first = min((start for start in starts if start is not None), default=None)
        if first is None:
            return cut
        return len(window) - read.span(tail + first, tail + first + 1).start

    def _holds(self, text: bytes, kinds: bytes) -> bool:
        """Return whether a text holds a spelling as it is. Only a run of the key's characters that is as long
        as the shortest spelling is looked at, and the same run (the id of a stream) once."""
        if self._whole is not None:
            return self._whole.search(text.lower()) is not None
        start = kinds.find(self._run)
        if start < 0:
            return False
        cleared = self._cleared
        while start >= 0:
            end = kinds.find(_OTHER, start)
            if end < 0:
                end = len(text)
            run = text[start:end]
            if run not in cleared:
                for _ in self._matches_in(run):
                    return True
                if len(cleared) >= _MOST_CLEARED:
                    cleared.clear()
                if end - start <= _LONGEST_CLEARED:
                    cleared.add(run)
            start = kinds.find(self._run, end)
        return False

    def _matches(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Yield start and end of each spelling in a text that was read."""
        if self._whole is not None:
            yield from (match.span() for match in self._whole.finditer(text.lower()))
        elif self._holds(text, text.translate(self._kinds)):
            yield from self._matches_in(text)

    def _matches_in(self, text: bytes) -> Iterator[tuple[int, int]]:
        for where, spellings in (
            (text.lower(), self.caseless),
            (text.translate(_URL_SAFE), self.exact),
        ):
            for spelling in spellings:
                start = where.find(spelling)
                while start >= 0:
                    yield start, start + len(spelling)
                    start = where.find(spelling, start + 1)


def _signs(characters: Iterable[int]) -> Iterator[tuple[bytes, re.Pattern[bytes]]]:
    """Yield how the `characters` begin that are escaped, and the rest of each."""
    codes = "|".join(f"{code:02x}" for code in sorted(characters))
    decimals = "|".join(map(str, sorted(characters)))
    quoted = "".join(f"|{re.escape(mark)}" for mark in '/"\\' if ord(mark) in characters)
    for first, rest in (
        ("\\", rf"\\(?:u00(?:{codes}|ad)|u200[b-f]|u2060|ufeff|x(?:{codes}){quoted})"),
        ("%", rf"%(?:25)*(?:{codes})"),
        ("&", rf"&\#0*(?:x0*(?:{codes})|{decimals});"),
    ):
        yield first.encode(), re.compile(rest.encode(), re.IGNORECASE)


def _distinct(*spellings: bytes) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(spelling.lower() for spelling in spellings))


def _begins(text: bytes, spelling: bytes) -> int | None:
    """Return where a spelling begins that `text` ends in the middle of."""
    start = text.find(spelling[:1], max(0, len(text) - len(spelling)))
    while start >= 0:
        if spelling.startswith(text[start:]):
            return start
        start = text.find(spelling[:1], start + 1)
    return None


def read_text(raw: bytes) -> Reading:
    """Return a text as it reads."""
    parts: list[bytes] = []
    at, where, ends = [0], [0], {}
    done = size = 0
    for unit in _UNIT.finditer(raw):
        start, end = unit.span()
        parts.append(raw[done:start])
        size += start - done
        character = _character(unit)
        if character:
            at.append(size)
            where.append(start)
            ends[size] = end
            parts.append(character)
            size += 1
        at.append(size)
        where.append(end)
        done = end
    parts.append(raw[done:])
    return Reading(b"".join(parts), at, where, ends)


def _character(unit: re.Match[bytes]) -> bytes:
    """Return the character that is written as `unit`; nothing for an invisible one."""
    kind, digits = unit.lastgroup, unit[unit.lastgroup or 0]
    if kind == "invisible":
        return b""
    if kind == "control":
        return b"\\" if digits == b"\\\\" else b"\n"
    code = int(digits) if kind == "decimal" else int(digits, 16)
    return b"" if code == 0xAD else bytes([code & 0xFF])


def _base64(raw: bytes) -> Iterator[bytes]:
    """Yield what is the same in every text in base64 that holds `raw`, for each place in a group."""
    for before, drop in ((0, 0), (1, 2), (2, 3)):
        yield _stable(b64encode(bytes(before) + raw).rstrip(b"="), drop, (before + len(raw)) % 3 != 0)


def _base32(raw: bytes) -> Iterator[bytes]:
    """Yield the same for base32, in lower case."""
    for before, drop in ((0, 0), (1, 2), (2, 4), (3, 5), (4, 7)):
        packed = b32encode(bytes(before) + raw).rstrip(b"=").lower()
        yield _stable(packed, drop, (before + len(raw)) % 5 != 0)


def _stable(packed: bytes, drop: int, mixed: bool) -> bytes:
    """Return a text in a code without the digits that hold bits of what is before and behind it."""
    return packed[drop : len(packed) - mixed]
