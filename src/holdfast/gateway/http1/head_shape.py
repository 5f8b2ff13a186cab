"""Recognises the heads of a provider's answers that have the same lines as one before them, with other
values: what such a head says, and which of its lines pass, need not be found out again."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from .framing import CRLF, LEGAL, MOST_DIGITS, HeaderNames
from .header_actions import CONNECTION, DROPPED, KEPT, LENGTH, OPTIONAL, TYPE
from .response_head import ResponseHead

_FIXED, _KEPT, _FORWARDED, _LENGTH = range(4)
"""What is done with a part of a head: nothing; it passes; it passes behind those; it is the length."""
_END = rb"\r\n"
_ANY_VALUE = rb"[^\r]*+"
_DIGITS = b"[0-9]{1,%d}" % MOST_DIGITS
_LENGTH_LINE = re.compile(rb"([^:]+: )%b" % _DIGITS)
_Part = tuple[int, bytes]
"""What is done with a part of a head, and the expression for it."""


class SeenHead(NamedTuple):
    """A head that was recognised: its lines that pass, each behind a line end; the length of the body, and
    where that begins."""

    lines: bytes
    length: int
    body: int


class HeadShape:
    """The head of a whole answer with the status 200 on a connection that is kept, by the names of its lines
    in their order. `dated`: one of those that pass is the date."""

    __slots__ = ("_ends", "_length", "_match", "_passing", "dated")

    def __init__(self, pattern: bytes, uses: tuple[int, ...], *, dated: bool) -> None:
        self._match, self.dated = re.compile(pattern + b"()").match, dated
        self._length = uses.index(_LENGTH)
        passing = [at for use in (_KEPT, _FORWARDED) for at, each in enumerate(uses) if each == use]
        self._passing = itemgetter(len(uses), *passing, len(uses))
        self._ends = CRLF * pattern.count(_END)

    def match(self, data: bytes) -> SeenHead | None:
        """Return what the head says with which `data` begins, if it has this shape."""
        match = self._match(data)
        if match is None:
            return None
        end, groups = match.end(), match.groups()
        if data[:end].translate(None, LEGAL) != self._ends:
            return None
        return SeenHead._make((b"".join(self._passing(groups)), int(groups[self._length]), end))


def shape_of(head: ResponseHead, names: HeaderNames, wanted: Container[bytes]) -> HeadShape | None:
    """Return the shape of a head; None for one that is not plain. `names` returns the action for each header;
    of the optional lines those pass whose names, in lower case, are `wanted`."""
    if head.status != 200 or head.length is None or head.coding or not head.keep:
        return None
    parts: list[_Part] = [(_FIXED, re.escape(head.lines[0]))]
    for line in head.lines[1:]:
        name = line.partition(b":")[0]
        parts += _parts_of(line, name, names[name], forwards=name.lower() in wanted)
    pattern, uses = b"", []
    for use, run in groupby([*parts, (_FIXED, 2 * _END)], key=itemgetter(0)):
        text = b"".join(each for _, each in run)
        if use != _FIXED:
            uses.append(use)
            text = b"(%b)" % text
        pattern += text
    if uses.count(_LENGTH) != 1:
        return None
    dated = any(line[:5].lower() == b"date:" for line in head.kept)
    return _shape(pattern, tuple(uses), dated)


def _parts_of(line: bytes, name: bytes, action: int, *, forwards: bool) -> Iterator[_Part]:
    """Yield the parts of a line; for one whose value counts, no length or two of them."""
    any_value = rb"%b%b:%b" % (_END, re.escape(name), _ANY_VALUE)
    written = _LENGTH_LINE.fullmatch(line)
    if action == KEPT:
        yield _KEPT, any_value
    elif action == TYPE:
        yield _KEPT, _END + re.escape(line)
    elif action == OPTIONAL and forwards:
        yield _FORWARDED, any_value
    elif action in (DROPPED, OPTIONAL):
        yield _FIXED, any_value
    elif action == CONNECTION:
        yield _FIXED, _END + re.escape(line)
    elif action == LENGTH and written is not None:
        yield _FIXED, _END + re.escape(written[1])
        yield _LENGTH, _DIGITS
    else:
        yield from [(_LENGTH, b""), (_FIXED, b""), (_LENGTH, b"")]


@lru_cache(maxsize=256)
def _shape(pattern: bytes, uses: tuple[int, ...], dated: bool) -> HeadShape:
    return HeadShape(pattern, uses, dated=dated)
