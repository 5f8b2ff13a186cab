"""JSON5 as JSON: names without quotes, single quotes, comments, commas at ends, and numbers in more forms."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""(?P<space>[\s\ufeff]+|//[^\n]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))(?![\w$])
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<mark>[][{}:,])""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|.))", re.DOTALL)
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
_ENDS = ("}", "]")
_FARTHEST_COLON = 1000  # characters behind a name
_WORDS = {"true": "true", "false": "false", "null": "null"}


class NotJson5(ValueError):
    """The text is not JSON5; `line` is where, and nothing of the text is quoted."""

    def __init__(self, text: str, at: int) -> None:
        self.line = text.count("\n", 0, at) + 1
        super().__init__(f"is not JSON5 near line {self.line}")


def as_json(text: str) -> str:
    """Return a text of JSON5 as JSON, line breaks kept. Raises NotJson5."""
    parts: list[str] = []
    for kind, token, start in _tokens(text):
        if kind == "space":
            parts.append("\n" * token.count("\n"))
        elif kind == "string":
            parts.append(json.dumps(_unescaped(token[1:-1])))
        elif kind == "number":
            parts.append(_number(token))
        elif kind == "mark":
            if token in _ENDS:
                _drop_comma(parts)
            parts.append(token)
        elif _is_name(text, start + len(token)):
            parts.append(json.dumps(token))
        elif token in _WORDS:
            parts.append(token)
        else:
            raise NotJson5(text, start)
    return "".join(parts)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise NotJson5(text, at)
        yield match.lastgroup, match[0], at
        at = match.end()


def _is_name(text: str, end: int) -> bool:
    """Return whether a colon follows, with nothing but a little space and comments before it."""
    for kind, token, _ in _tokens(text[end : end + _FARTHEST_COLON]):
        if kind != "space":
            return token.startswith(":")
    return False


def _unescaped(text: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        code = match[1] or match[2]
        if code:
            return chr(int(code, 16))
        return _ESCAPED.get(match[3], match[3])

    return _ESCAPE.sub(replaced, text)


def _number(token: str) -> str:
    sign = ""
    if token[0] in "+-":
        sign, token = token[0].replace("+", ""), token[1:]
    if token[:2] in ("0x", "0X"):
        return f"{sign}{int(token, 16)}"
    if token.startswith("."):
        token = f"0{token}"
    return sign + re.sub(r"\.(?=\Z|[eE])", "", token)


def _drop_comma(parts: list[str]) -> None:
    """Remove a comma at the end of a list or an object."""
    for index in range(len(parts) - 1, -1, -1):
        if parts[index] == ",":
            del parts[index]
            return
        if parts[index].strip():
            return
