"""Masks keys in texts and in answers. This is the one owner of the question whether a text shows a key."""

from __future__ import annotations

import re
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from urllib.parse import unquote_plus

from ..values.secret import Secret, redact
from .spellings import Spellings, read_text

_STARS = bytes(code if code in b"\x00\r\n" else 0x2A for code in range(256))
"""A star for each byte, but for those that divide lines and those that UTF-16 needs."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{4,}")
_HEX = re.compile(r"[0-9A-Fa-f]{8,}")
_MOST_INFLATED = 64 * 1024
"""Bytes that are read of what is packed in an environment variable."""
_ZLIB_OR_GZIP = 47
_DEEPEST = 2
"""Codes within each other that are undone."""


def spellings_of(secret: Secret) -> Spellings:
    """Return the spellings of a key, which are kept with it."""
    if not isinstance(secret.spellings, Spellings):
        secret.spellings = Spellings(secret.reveal())
    return secret.spellings


def masked_bytes(raw: bytes, secret: Secret) -> bytes:
    """Return bytes of any encoding with the key replaced by its mask, however it is spelt."""
    spans = spellings_of(secret).spans(raw)
    if not spans:
        return raw
    parts: list[bytes] = []
    mask, done = str(secret).encode(), 0
    for span in spans:
        parts += (raw[done : span.start], mask)
        done = span.end
    return b"".join((*parts, raw[done:]))


def masked(text: str, known: Iterable[Secret]) -> str:
    """Return a text with the `known` keys replaced in the same way."""
    raw = text.encode("utf-8", "surrogatepass")
    for secret in known:
        raw = masked_bytes(raw, secret)
    return raw.decode("utf-8", "surrogatepass")


def redacted(text: str, known: Iterable[Secret], *, limit: int = 500) -> str:
    """Return a text as it may be logged, stored and shown: without the `known` keys, and without what looks
    like a secret (`values.secret.redact`)."""
    return redact(masked(text, known), limit=limit)


def starred(raw: bytes, secret: Secret) -> bytes:
    """Return an answer, or a part of it, with a star in the place of each byte of the key: its length and its
    framing stay."""
    spans = spellings_of(secret).spans(raw)
    if not spans:
        return raw
    parts: list[bytes] = []
    done = 0
    for span in spans:
        parts += (raw[done : span.start], raw[span.start : span.end].translate(_STARS))
        done = span.end
    return b"".join((*parts, raw[done:]))


class StreamMask:
    """Masks a key in an answer that comes in pieces. What may be the beginning of the key at the end of a
    piece is held back until the next one."""

    __slots__ = ("_held", "_secret", "_spellings")

    def __init__(self, secret: Secret) -> None:
        self._secret, self._spellings = secret, spellings_of(secret)
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """Return the next bytes that may be passed on."""
        if self._held:
            piece, self._held = self._held + piece, b""
        if self._spellings.may_show(piece):
            piece = starred(piece, self._secret)
        begun = self._spellings.begun(piece)
        if not begun:
            return piece
        self._held = piece[-begun:]
        return piece[:-begun]

    def rest(self) -> bytes:
        """Return what was held back, since no further piece comes."""
        held, self._held = self._held, b""
        return starred(held, self._secret)


def holds(text: str, secrets: Sequence[Secret]) -> bool:
    """Return whether a text, such as the value of a variable, contains one of the keys, also packed in codes
    within each other; a short one must be all of it."""
    return any(_is_in(raw, secrets) for raw in _readings(text, _DEEPEST))


def _is_in(raw: bytes, secrets: Sequence[Secret]) -> bool:
    maybe = [secret for secret in secrets if spellings_of(secret).may_show(raw)]
    read = read_text(raw) if maybe else None
    for secret in maybe:
        spans = spellings_of(secret).spans(raw, read)
        if spans and (secret.tail or spans == [(0, len(raw))]):
            return True
    return False


def _readings(text: str, depth: int) -> Iterator[bytes]:
    """Yield a text as it is and decoded as a form, and each run of base64 (of both alphabets) or hex digits
    in it, decoded, and inflated where it can be. Such a run may begin with letters that are not part of the
    code, so it is decoded from each position at which the first group may begin."""
    yield text.encode("utf-8", "surrogateescape")
    plain = unquote_plus(text)
    yield plain.encode("utf-8", "surrogateescape")
    if not depth:
        return
    for raw in _unpacked("".join(plain.split()), "".join(text.split())):
        yield raw
        if raw.isascii() and b"\x00" not in raw:
            yield from _readings(raw.decode("ascii"), depth - 1)


def _unpacked(*texts: str) -> Iterator[bytes]:
    for run in dict.fromkeys(run for text in texts for run in _BASE64.findall(text)):
        for start in range(4):
            digits = run[start:].replace("+", "-").replace("/", "_")
            if len(digits) % 4 == 1:  # one digit alone is less than a byte
                digits = digits[:-1]
            raw = urlsafe_b64decode(digits + "=" * (-len(digits) % 4))
            yield raw
            for window in (_ZLIB_OR_GZIP, -zlib.MAX_WBITS):
                with suppress(zlib.error):
                    yield zlib.decompressobj(window).decompress(raw, _MOST_INFLATED)
    for run in dict.fromkeys(run for text in texts for run in _HEX.findall(text)):
        for start in range(2):
            end = start + (len(run) - start) // 2 * 2
            yield bytes.fromhex(run[start:end])
