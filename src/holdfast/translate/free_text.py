"""Takes the text of a free tool out of the arguments `{"input": "..."}` with which an endpoint that has no
free tools calls it, piece by piece."""

from __future__ import annotations

import json
import re

MEMBER = "input"
"""The only argument of the function that stands for a free tool."""
_HEAD = re.compile(r'\s*\{\s*"' + MEMBER + r'"\s*:\s*"')
_LONGEST_HEAD = 64
_PLAIN = re.compile(r'[^"\\]+')
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_HIGH, _LOW = range(0xD800, 0xDC00), range(0xDC00, 0xE000)


class FreeText:
    """Decodes the text while it arrives. Arguments that do not begin like such an object are given at the
    end."""

    __slots__ = ("_begun", "_held", "_over", "_rest")

    def __init__(self) -> None:
        self._held: list[str] = []
        self._rest = ""
        self._begun = self._over = False

    def feed(self, piece: str) -> str:
        """Return the text that is known now and was not before."""
        if self._over:
            return ""
        if not self._begun:
            return self._begin(piece)
        return self._decode(self._rest + piece)

    def end(self) -> str:
        """Return what is left: the text of another object's `input`, else the arguments as they are."""
        if self._begun:
            return ""
        whole = "".join(self._held)
        try:
            text = json.loads(whole, strict=False)[MEMBER]
        except (ValueError, KeyError, TypeError, RecursionError):
            return whole
        if not isinstance(text, str):
            return whole
        return text

    def _begin(self, piece: str) -> str:
        self._held.append(piece)
        if len(self._rest) > _LONGEST_HEAD:
            return ""
        self._rest += piece
        head = _HEAD.match(self._rest)
        if head is None:
            return ""
        self._begun = True
        self._held.clear()
        return self._decode(self._rest[head.end() :])

    def _decode(self, text: str) -> str:
        at, letters = 0, []
        while at < len(text) and not self._over:
            plain = _PLAIN.match(text, at)
            if plain:
                letters.append(plain[0])
                at = plain.end()
            elif text[at] == '"':
                self._over = True
            else:
                letter, length = _escaped(text, at)
                if not length:
                    break
                letters.append(letter)
                at += length
        self._rest = text[at:]
        return "".join(letters)


def text_of_free_tool(args: str) -> str:
    """Return the text in a free tool's whole arguments."""
    text = FreeText()
    return text.feed(args) + text.end()


def _escaped(text: str, at: int) -> tuple[str, int]:
    """Return the letter of the escape at `at` and the escape's length; 0 if its end has not come yet."""
    sign = text[at + 1 : at + 2]
    if sign != "u":
        return _SIMPLE.get(sign, sign), 2 * len(sign)
    if len(text) < at + 6:
        return "", 0
    unit = _unit(text, at)
    if unit is None:
        return "\\u", 2
    if unit not in _HIGH:
        return chr(unit), 6
    return _pair(text, at, unit)


def _pair(text: str, at: int, high: int) -> tuple[str, int]:
    """Return the letter that two units make; half a pair stays as it is."""
    behind = text[at + 6 : at + 12]
    if len(behind) < 6 and "\\u".startswith(behind[:2]):
        return "", 0
    low = _unit(text, at + 6)
    if low is None or low not in _LOW or not behind.startswith("\\u"):
        return chr(high), 6
    return chr(0x10000 + ((high - _HIGH.start) << 10) + (low - _LOW.start)), 12


def _unit(text: str, at: int) -> int | None:
    """Return the value of the four digits of an escape; None if they are none."""
    digits = _HEX.fullmatch(text, at + 2, at + 6)
    if digits is None:
        return None
    return int(digits[0], 16)
